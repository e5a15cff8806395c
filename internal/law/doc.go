// Package law is the control law: what one steward makes of the reports about
// one endpoint. It is pure. Reports, the other stewards' dimmers and the time
// go in; a decision comes out. It reads no clock, draws no random number and
// starts no goroutine, so a simulator and the live loop run the same code.
//
// # States
//
//	CLOSED   healthy: phi 1, all retries
//	NOTLOAD  failing, but not for load: phi 1, retries from the ratio or none
//	DIM      failing in a way that costs time: phi < 1 or on probation at 1,
//	         no retries
//
//	CLOSED  -> DIM      failures are slow, and successes are slow too or absent
//	CLOSED  -> NOTLOAD  failures of any kind
//	NOTLOAD -> DIM      as CLOSED -> DIM
//	NOTLOAD -> CLOSED   the evidence has drained (S2 = 0)
//	DIM     -> CLOSED   10 s clean at phi 1, evidence drained
//	DIM     -> NOTLOAD  10 s clean at phi 1, evidence left; or it began on the
//	                    word of the only reporter, and now there is another
//	                    that does not fail as well
//
// # Evidence
//
// Each tick (250 ms) the differences of the reporters' cumulative counters are
// pooled, after clamps that keep one reporter from speaking for all. Two
// Bernoulli CUSUM sums (Page, "Continuous inspection schemes", 1954) watch the
// pool: S the slow failures, S2 all failures. They drift down while fewer than
// 21.8 % of outcomes fail and cross h = 20.7 about once in 1e9 requests at 5 %.
//
// In DIM the evidence is tagged: only attempts sent since the present phi came
// into force judge it. An epoch gathers them, is judged once, and leads to at
// most one step.
//
// # Invariants
//
//  1. Every step leads to a phi within [phiMin, 1], phiMin = min(1, 3 /
//     demand): whatever happens about three probes a second still go. While
//     probing phi follows the demand only when that would make the probes more
//     than a fifth too many, or a third too few.
//  2. In DIM phi rises only at the end of a clean epoch, by at most twice below
//     the ceiling and 1.12 times above it (or to .1 out of probing).
//  3. Outside DIM phi is 1.
//  4. Retries are off throughout DIM.
//  5. A single reporter among several cannot trip an endpoint. Among three or
//     more it can neither end an epoch before 10 s nor keep one from ending.
//     What the only reporter has tripped ends when there is another.
//  6. A report that is not newer than the last from the same member changes
//     nothing; counters that run backwards count as none. (A member that was
//     silent for 30 s is forgotten, and so is which report was its last.)
//  7. What has been judged is not judged again.
//  8. When nothing has succeeded for three timeouts and a second, whatever was
//     let through, phi falls, epoch or not.
//  9. A report without traffic for 2 s makes nobody present: such members only
//     ask what is in force.
//  10. Retries are asked to wait for the endpoint's own sake only as long as the
//     second of two reporters says who have seen it within 5 s, and never for
//     more than 30 s. That leaves state, phi and mode alone.
//
// # Rejected alternatives
//
// Ceilings learned from failed probes made the ramp crawl. Judging by untagged
// evidence doubled the recovery time, since outcomes from before a step judged
// the step. Judging as soon as successes arrive is falsely clean, for successes
// arrive before timeouts; hence "unresolved at most half of sent". Declaring
// "slow, but not for load" after three tight epochs in a row called a queue that
// was slow to drain normal, and let a surge of 1.5 times the capacity back in;
// so did four, now that epochs end as soon as reports suffice, but five do not
// (the surges of sim/scenario's TestIncidents). Treating the ceiling after a trip as
// learned, though it is a guess, made recovery from a stall much slower.
// Epochs of .25 s below the ceiling gained half a hundredth in a stall and lost
// it in a surge. Pooling the tagged latency tick by tick let one reporter that
// claims huge latencies hold an endpoint dimmed, since few have successes in a
// tick; hence a mean for each reporter. Judging failures by epochs alone let one
// steward that says something else every second keep an endpoint that answers
// nobody open; hence despair.
// Beginning at .25 when nothing at all succeeds only fed the queue. Following
// each small move of phiMin started the evidence
// anew. Dimming on fast refusals lost to doing nothing.
package law
