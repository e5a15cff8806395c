// Package node is one member's part in the coordination, as a pure machine:
// messages, samples of counters, the list of live members and the time go in;
// messages to send and advice to follow come out as data. It has no clock, no
// goroutine, no socket and no random source. Package gossip drives it from one
// goroutine over memberlist; a simulator drives thousands of them. That they run
// the same core can be shown: what a live node is told and answers fits on a Tape
// (tape.go), from which a fresh node answers the same.
//
// A node has two halves. As a member it reports what it saw to the stewards of
// the services it uses (report.go), and makes advice of the verdicts it hears
// (view.go); it borrows tokens for retries, and lends them (loan.go). As a
// steward of the services it ranks in the top three for, it runs package law on
// the reports of others (steward.go), and counts whose policy is not that of most
// (policy.go). Which names it keeps, of those it uses and those that others come
// up with, is in names.go.
//
// # Invariants
//
//  1. A verdict counts only if its writer ranks among the service's stewards in
//     this node's own list, and only if it is newer than the last from the same
//     writer.
//  2. Advice restricts an endpoint, and lets its retries wait, only as much as
//     two stewards agree on. With fewer than two fresh verdicts nothing new is
//     restricted, what was restricted is held 10 s and then fades, and waits end
//     when they were to end.
//  3. A verdict that rests on the word of one reporter binds no other member.
//  4. A change is passed on once, when it is first seen.
//  5. Stewards know what their fellows say of all that is not CLOSED, whether
//     they use the service themselves or not; otherwise they could not tell what
//     is in force.
//  6. Reports go out at a fixed rate whatever the outcomes were.
//  7. A loan is credited once, to whom it was promised, and only if it was asked
//     for; its lender has been debited before it is sent.
//  8. No member can crowd out, with names that it makes up, what this member
//     uses or what two others speak of.
package node
