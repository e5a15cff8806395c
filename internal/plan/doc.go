// Package plan decides how much of what fails at one endpoint may go to another. It
// is pure: what the reports of a service add up to goes in, tick by tick, and for
// each pair of a zone and an endpoint one number comes out, sigma: the chance that a
// request of that zone which failed or was dimmed at home may make one final attempt
// there. Where the zone has several endpoints at home, siblings, that is also for a
// sibling of one in trouble. First tries are never moved.
//
//	sigma = spare / need
//
// Spare is what the endpoint can take beside its own users; need is what may come.
// So diverted load stays within what is free, whoever diverts it, and members need
// not talk to each other for that.
//
// # Invariants
//
//  1. Diverted load keeps an endpoint within a share U of its configured capacity
//     and within its known-good load, in expectation.
//  2. Its own users come first: they count by what they wanted at most in the last
//     minutes, not by what they happen to want now, and when the endpoint is
//     strained what is diverted to it is cut first, and by half.
//  3. An endpoint that is itself in trouble, or on probation, or was strained in
//     the last three seconds gets nothing.
//  4. Sigma falls at once and rises slowly where it rises above what the whole
//     demand of the zone would make of the spare.
//  5. What is well has nothing diverted to its siblings: retries turn to them anyhow.
//     Only of siblings in trouble and of other zones is there a need.
//  6. Nobody is needed for it: members that are cut off from all others, each going by
//     what it remembers (Lone), divert together what there was room for.
//  7. Everything is bounded: MaxZones zones, coord.MaxEndpoints endpoints.
//
// # Rejected alternatives
//
// A panic threshold forbids the very failover one wants. A hold-down and flap
// damping keep help away that is needed, and what flaps is bounded by the spare
// anyway. To let nothing go to siblings but what the budget pays for leaves a fleet
// that is coordinated worse off than one whose breakers are alone. A limit on how fast
// routes change, and a token bucket for what is diverted, cost goodput and bounded
// nothing that sigma does not. To let a member run elsewhere as soon as it hears no
// steward makes a stampede of the smaller side of each split.
package plan
