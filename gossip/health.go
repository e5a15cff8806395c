package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/gossip/internal/mlog"
	"github.com/murmuration-go/murmuration/internal/law"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Mode says how far the cluster can be relied on.
type Mode uint8

// The modes, in rising order of coordination.
const (
	// ModeAlone: there is no other live member; local rules decide.
	ModeAlone Mode = iota
	// ModeDegraded: there are other members, but for an endpoint in use fewer
	// than two of them are heard, or this process is too late with its own
	// part. Where two are not heard, local rules decide.
	ModeDegraded
	// ModeCoordinated: at least two verdicts are fresh for every endpoint in
	// use.
	ModeCoordinated
)

func (m Mode) String() string {
	switch m {
	case ModeAlone:
		return "alone"
	case ModeDegraded:
		return "degraded"
	case ModeCoordinated:
		return "coordinated"
	}
	return "unknown"
}

// MarshalText writes the mode's name.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Mode) UnmarshalText(b []byte) error {
	for c := ModeAlone; c <= ModeCoordinated; c++ {
		if c.String() == string(b) {
			*m = c
			return nil
		}
	}
	return fmt.Errorf("gossip: no mode %q", b)
}

// Health is the state of the coordination itself. It fails first, long before
// requests do. Counters count from Join on.
type Health struct {
	Mode   Mode      `json:"mode"`
	Reason string    `json:"reason"`          // why it is in this mode, for people
	Since  time.Time `json:"since,omitzero"`  // when it entered the mode
	Name   string    `json:"name,omitempty"`  // of this member
	Seeds  []Seed    `json:"seeds,omitempty"` // what became of each in the last round
	// SeedError is why the last round of joining found nobody; empty if it
	// did, or if there was nobody to join.
	SeedError string `json:"seed_error,omitempty"`

	Members int `json:"members"` // live ones, this one included

	// Coverage is the number of fresh verdict sources over the number
	// expected (three, or as many as there are members), over all endpoints
	// in use. 1 when none is in use; 0 for a member alone.
	Coverage  float64 `json:"coverage"`
	Endpoints int     `json:"endpoints"` // in use: with traffic in the last 2 s
	Services  int     `json:"services"`

	// VerdictAgeP50 and VerdictAgeP99 are percentiles of the age of the verdicts
	// that this member holds on endpoints in use, those that do not count any more
	// included; 0 when it holds none. While all is well stewards speak every 5 s,
	// and of trouble each second.
	VerdictAgeP50 time.Duration `json:"verdict_age_p50"`
	VerdictAgeP99 time.Duration `json:"verdict_age_p99"`

	// Disagreements are fresh verdicts on endpoints in use that want something else
	// than what is in force, at most 64 of them; Disagree is how many there are.
	// For a second or so they are usual whenever advice changes.
	Disagreements []Disagreement `json:"disagreements,omitempty"`
	Disagree      int            `json:"disagree"`

	// PolicyDrift are services for which not all members have the same policy, as two
	// stewards have counted, at most 64 of them: first those for which this member is
	// an odd one, each by name. Drifting is how many there are.
	PolicyDrift []Drift `json:"policy_drift,omitempty"`
	Drifting    int     `json:"drifting"`

	// Missing is the number of members that were found dead within the last five
	// minutes, had not left and have not come back. SplitSuspected says that they
	// are at least two and a quarter of all: the network may be split, in which case
	// each side decides for itself.
	Missing        int  `json:"missing"`
	SplitSuspected bool `json:"split_suspected"`

	// OwnPaths are the endpoints, as service/endpoint, that this member fails to
	// reach while the cluster finds nothing amiss: its own path is broken, and
	// it turns to others.
	OwnPaths []string `json:"own_paths,omitempty"`

	// Trust is how far this member trusts its own view: 1 as long as its
	// ticks are at most 100 ms late, falling to 0 at 1 s.
	Trust     float64       `json:"trust"`
	TickDelay time.Duration `json:"tick_delay"` // the worst of the last 2 s
	LateTicks uint64        `json:"late_ticks"` // by over 100 ms
	LostTicks uint64        `json:"lost_ticks"` // skipped, being late by a whole tick

	Received   uint64 `json:"received"` // messages of the coordination, dropped ones included
	Sent       uint64 `json:"sent"`     // to one member each
	Cast       uint64 `json:"cast"`     // to everybody, passed on ones included
	SendErrors uint64 `json:"send_errors"`

	// Of loans of retry tokens: messages sent that ask for one, answers sent
	// to those of others, and how many of these answers, sent and received,
	// held anything.
	LoanAsks      uint64 `json:"loan_asks"`
	LoanAnswers   uint64 `json:"loan_answers"`
	LoansLent     uint64 `json:"loans_lent"`
	LoansBorrowed uint64 `json:"loans_borrowed"`

	PacketsIn  uint64 `json:"packets_in"` // all traffic, membership included
	PacketsOut uint64 `json:"packets_out"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`

	// Malformed counts messages that could not be decoded, by what was wrong
	// with them; Dropped counts what could be, or was not even looked at, by
	// the reason it was not heeded. All kinds are always there.
	Malformed map[string]uint64 `json:"malformed,omitempty"`
	Dropped   map[string]uint64 `json:"dropped,omitempty"`

	// Overrides is the number of operators' orders in force. OverridesRefused counts
	// those that were not taken, by why; all kinds are always there.
	Overrides        int               `json:"overrides"`
	OverridesRefused map[string]uint64 `json:"overrides_refused,omitempty"`

	// DecryptFailures counts packets and connections that none of the keys
	// decrypts, or where only one side encrypts; LabelMismatches those of
	// other clusters, or of none.
	DecryptFailures uint64 `json:"decrypt_failures"`
	LabelMismatches uint64 `json:"label_mismatches"`
}

// Reasons for which a message is dropped, besides node.Drop's.
const (
	dropOverflow  = "overflow"          // the queue of inbound messages was full
	dropOversized = "oversized"         // longer than any message
	dropMembers   = "member-refused"    // a member with a bad name, or one too many
	dropServices  = "too-many-services" // CoordService for one service too many
	dropCasts     = "cast-overflow"     // the queue of outbound broadcasts was full
)

// Hooks are functions that are told of changes; each may be nil. They run on
// the goroutine that does the coordination, after the state has been updated:
// Health and Members already tell the new one. They must return soon, for
// nothing is sent and no advice is renewed meanwhile. They must not call Close,
// which waits for that goroutine, nor Leave, which takes long.
type Hooks struct {
	// Joined is called once, by Join and on its goroutine, with the Cluster that it
	// is about to return.
	Joined func(c *Cluster)

	// ModeChange is called once for each change of mode.
	ModeChange func(from, to Mode, reason string)

	// MembersChanged is called when the list of live members has changed,
	// with their number. Changes at nearly the same time may make one call.
	MembersChanged func(n int)
}

const (
	lateFrom  = 100 * time.Millisecond // ticks later than this cost trust
	lateTo    = time.Second            // all of it
	delayKept = 8                      // ticks: 2 s
	settle    = 2 * time.Second        // before a change between coordinated and degraded counts
	inUse     = 8                      // ticks without traffic after which an endpoint is out of use
)

// trustOf turns the worst delay of a tick into trust, 0 to 1.
func trustOf(delay time.Duration) float64 {
	return 1 - min(max(float64(delay-lateFrom)/float64(lateTo-lateFrom), 0), 1)
}

// situation is what the mode follows from.
type situation struct {
	left      bool
	members   int
	missing   int
	trust     float64
	delay     time.Duration
	endpoints int // in use
	short     int // of them those with fewer than two fresh verdicts
	alone     solitude
}

// split reports whether so many are missing at once that they may be alive elsewhere.
func (s *situation) split() bool { return s.missing >= 2 && s.missing*3 >= s.members }

// judge says which mode fits the situation, and why.
func (s *situation) judge() (Mode, string) {
	switch {
	case s.left:
		return ModeAlone, "this member has left the cluster; working with local rules"
	case s.members < 2:
		return ModeAlone, s.alone.reason() + "; working with local rules"
	case s.trust < .5:
		return ModeDegraded, fmt.Sprintf("this process is late by up to %v: it has too little CPU", s.delay.Round(time.Millisecond))
	case s.short > 0:
		return ModeDegraded, fmt.Sprintf("%d of %d endpoints in use have fewer than two fresh verdicts; local rules decide there", s.short, s.endpoints)
	}
	return ModeCoordinated, fmt.Sprintf("%d members", s.members)
}

// solitude is what explains why a member has no peer.
type solitude struct {
	seeds           []string
	tried           bool // a round of joining is over, or there is nobody to join
	met             bool // there were peers once
	last            round
	decrypt, labels uint64
}

func (s *solitude) reason() string {
	var why []string
	at := strings.Join(s.seeds, ", ")
	switch {
	case s.met && s.last.err == nil:
		why = append(why, "all the other members are gone")
	case len(s.seeds) == 0:
		why = append(why, "no seeds are configured and nobody has joined this member")
	case !s.tried:
		why = append(why, "the seeds "+at+" have not answered yet")
	case s.last.err != nil:
		why = append(why, "no peer answers at these seeds: "+at+hint(s.last.err))
	case s.last.tried == 0:
		why = append(why, "the seeds "+at+" lead to nobody but this member")
	default:
		why = append(why, "nobody else is alive")
	}
	if s.decrypt > 0 {
		why = append(why, fmt.Sprintf("%d packets or connections came that Keys do not decrypt", s.decrypt))
	}
	if s.labels > 0 {
		why = append(why, fmt.Sprintf("%d packets or connections came that are not of this Config.Cluster", s.labels))
	}
	return strings.Join(why, "; ")
}

// hint says what a failed attempt to join most likely means.
func hint(err error) string {
	switch mlog.Classify(err.Error()) {
	case mlog.Key:
		return " (one answers, but with another key or none: compare Keys; " + err.Error() + ")"
	case mlog.Label, mlog.HungUp:
		return " (one hangs up without an answer: compare Cluster; " + err.Error() + ")"
	default:
		return " (" + err.Error() + ")"
	}
}

// mood is the mode in force. It changes at once to and from alone, and between
// the others only when they have lasted.
type mood struct {
	mode   Mode
	reason string
	want   Mode
	since  time.Duration // of want
	told   bool          // the first reason has been logged
	toldAt time.Duration // when a reason was logged last
	log    string        // that reason
}

// move reports whether the mode changes.
func (m *mood) move(now time.Duration, mode Mode, reason string) bool {
	if mode != m.want {
		m.want, m.since = mode, now
	}
	switch {
	case mode == m.mode:
		m.reason = reason
		return false
	case mode == ModeAlone, m.mode == ModeAlone && mode == ModeCoordinated, now-m.since >= settle:
		m.mode, m.reason = mode, reason
		return true
	}
	return false
}

// moodLogEvery is how often a new reason for the same mode is logged at most.
const moodLogEvery = time.Minute

// say logs a change of mode, and now and then a new reason for being alone.
func (m *mood) say(log *slog.Logger, now time.Duration, changed bool, from Mode, s *situation) {
	switch {
	case changed:
	case m.mode != ModeAlone || !s.alone.tried:
		return
	case m.told && (digits(m.reason) == digits(m.log) || now-m.toldAt < moodLogEvery):
		return
	}
	level := slog.LevelWarn
	if m.mode == ModeCoordinated || s.left || m.mode == ModeAlone && !s.alone.met && len(s.alone.seeds) == 0 {
		level = slog.LevelInfo
	}
	m.told, m.toldAt, m.log = true, now, m.reason
	log.Log(context.Background(), level, "gossip: "+m.mode.String(), "was", from.String(), "reason", m.reason, "members", s.members)
}

// digits takes the numbers out of a reason, so that a counter is no new reason.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// counts fills in the counters of a node.
func (h *Health) counts(s node.Stats) {
	h.LoanAsks, h.LoanAnswers, h.LoansLent, h.LoansBorrowed = s.Asks, s.Answers, s.Lent, s.Borrowed
	h.Malformed = make(map[string]uint64, wire.NumErrorKinds)
	for k, n := range s.Malformed {
		h.Malformed[wire.ErrorKind(k).String()] = n
	}
	h.Dropped = make(map[string]uint64, int(node.NumDrops)+5)
	for d, n := range s.Dropped {
		h.Dropped[node.Drop(d).String()] = n
	}
}

// expected is how many stewards an endpoint has among so many members.
func expected(members int) int { return min(members, rendezvous.Stewards) }

const tick = law.Tick
