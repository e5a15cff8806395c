package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/node"
	"github.com/murmuration-go/murmuration/internal/race"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// bench is a member without a driver of its own: the test is the driver.
func bench(t testing.TB, peers ...string) *driver {
	t.Helper()
	c, _, err := start(t.Context(), Config{Cluster: "test", Bind: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}.private())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.ml.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	for i, name := range peers {
		c.roster.put(&memberlist.Node{Name: name, Addr: net.IPv4(127, 0, 0, 1).To4(), Port: uint16(9 + i)})
	}
	d := newDriver(c, 1)
	d.meet(coord.Now())
	return d
}

// feed hands messages to the member as memberlist does, and waits for no one.
func (d *driver) feed(msgs ...[]byte) {
	for _, m := range msgs {
		d.c.delegate.NotifyMsg(m)
		if len(d.c.delegate.inbox) > 0 {
			d.deliver(<-d.c.delegate.inbox)
		}
	}
}

// forger makes messages out of valid ones.
type forger struct {
	rng   *rand.Rand
	valid [][]byte
	sent  [][]byte // for replays
	buf   []byte
}

func verdictsBy(t testing.TB, member string, seq uint64, rows ...wire.VerdictRow) []byte {
	t.Helper()
	b, err := wire.AppendVerdicts(nil, &wire.Verdicts{Origin: wire.Origin{Member: member, Incarnation: 1, Seq: seq}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func reportBy(t testing.TB, member string, seq uint64, rows ...wire.ReportRow) []byte {
	t.Helper()
	b, err := wire.AppendReport(nil, &wire.Report{Origin: wire.Origin{Member: member, Incarnation: 1, Seq: seq}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lies(t testing.TB, member string, seq uint64) [][]byte {
	dim := wire.VerdictRow{Service: "payments", Endpoint: "eu", Phi: 100, Mode: coord.RetryNone, State: wire.Dim, Thr: time.Second, Demand: 1 << 40}
	other := dim
	other.Service, other.Endpoint = "elsewhere", "us"
	bad := wire.ReportRow{Service: "payments", Health: 255, Sample: coord.Sample{
		Endpoint: "eu", Phi: coord.PhiFull, Timeout: time.Second,
		Totals: coord.Totals{Demand: 1 << 50, FailSlow: 1 << 50}, Tagged: coord.TagCounts{Sent: 1 << 50, FailSlow: 1 << 50},
	}}
	worse := bad
	worse.Service, worse.Endpoint = "elsewhere", "us"
	loan := &wire.Loan{Origin: wire.Origin{Member: member, Incarnation: 1, Seq: seq}, Service: "payments", Nonce: seq, Amount: wire.MaxLoan}
	ask, err := wire.AppendAsk(nil, loan)
	if err != nil {
		t.Fatal(err)
	}
	unasked, err := wire.AppendLoan(nil, loan)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{
		ask, unasked,
		verdictsBy(t, member, seq, dim),
		verdictsBy(t, member, seq+1, dim, other),
		reportBy(t, member, seq+2, bad),
		reportBy(t, member, seq+3, bad, worse),
		reportBy(t, member, seq+4),
	}
}

// next makes a message: sometimes a valid one, mostly one that is damaged.
func (f *forger) next() []byte {
	b := append(f.buf[:0], f.valid[f.rng.IntN(len(f.valid))]...)
	switch f.rng.IntN(10) {
	case 0: // as it is
	case 1: // cut off
		b = b[:f.rng.IntN(len(b)+1)]
	case 2: // too long
		for n := wire.MaxMessage + 1 + f.rng.IntN(200); len(b) < n; {
			b = append(b, byte(f.rng.Uint32()))
		}
	case 3: // from the future
		b[1] = wire.Version + 1 + byte(f.rng.IntN(200))
	case 4: // replayed
		if len(f.sent) > 0 {
			b = append(b[:0], f.sent[f.rng.IntN(len(f.sent))]...)
		}
	case 5: // noise
		b = b[:f.rng.IntN(len(b)+1)]
		for i := range b {
			b[i] = byte(f.rng.Uint32())
		}
	case 6: // something in the middle
		at := f.rng.IntN(len(b))
		b = slices.Insert(b, at, byte(f.rng.Uint32()))
	default: // a few bits are wrong
		for range 1 + f.rng.IntN(4) {
			b[f.rng.IntN(len(b))] ^= 1 << f.rng.IntN(8)
		}
	}
	if len(f.sent) < 1000 {
		f.sent = append(f.sent, slices.Clone(b))
	}
	f.buf = b
	return b
}

// pocket is a budget of any size.
type pocket struct{ debited, credited int64 }

func (p *pocket) Lend(time.Duration) int64 { p.debited++; return 1 }

func (p *pocket) Borrow(_ time.Duration, amount int64) { p.credited += amount }

// tally is what must become of messages, worked out apart from the node.
type tally struct {
	oversized, stranger, rows uint64
	orders                    uint64 // of operators, as they say
	malformed                 [wire.NumErrorKinds]uint64
}

func (y *tally) add(b []byte, members map[string]bool, self string) {
	if len(b) > wire.MaxMessage {
		y.oversized++
		return
	}
	if _, ok := wire.Override(b); ok {
		y.orders++
		return
	}
	m, err := wire.Decode(b)
	var e *wire.Error
	switch {
	case errors.As(err, &e):
		y.malformed[e.Kind]++
	case m.Loan != nil && !members[m.Loan.Origin.Member]:
		y.stranger++
	case m.Loan != nil:
		y.rows++
	case m.Kind == wire.KindReport && !members[m.Report.Origin.Member], m.Kind == wire.KindVerdicts && !members[m.Verdicts.Origin.Member]:
		y.stranger++
	case m.Kind == wire.KindReport && m.Report.Origin.Member == self, m.Kind == wire.KindVerdicts && m.Verdicts.Origin.Member == self:
		y.rows++ // refused as a whole
	case m.Kind == wire.KindReport:
		y.rows += uint64(len(m.Report.Rows))
	default:
		y.rows += uint64(len(m.Verdicts.Rows))
	}
}

// One member that sends lies and noise, and strangers that do, must not change
// the advice of a healthy endpoint; each message is counted once under what
// became of it; nothing grows.
func TestHostileMessages(t *testing.T) {
	n := 1_000_000
	if testing.Short() || race.Enabled {
		n = 100_000
	}
	const liar, honest = "the-liar", "an-honest-member"
	d := bench(t, liar, honest)
	self := d.c.name
	svc := d.c.CoordService("payments")
	ep := svc.Endpoint("eu")
	var money pocket
	svc.SetPurse(&money)
	well := wire.VerdictRow{Service: "payments", Endpoint: "eu", Phi: coord.PhiFull}
	last := coord.Now()
	rows := func() (n uint64) { // heeded or dropped one by one
		s := d.node.Stats()
		for k, dropped := range s.Dropped {
			if node.Drop(k) != node.DropStranger {
				n += dropped
			}
		}
		return n + s.Verdicts + s.Reports + s.Answers + s.Borrowed
	}
	own := uint64(0) // rows of this member's own reports
	tickNow := func() {
		for range 10 {
			call(ep, true)
		}
		last = coord.Now()
		before := rows()
		d.tick(last)
		own += rows() - before
	}
	var want tally
	fed := uint64(0)
	members := map[string]bool{liar: true, honest: true, self: true}
	feed := func(b []byte) {
		fed++
		want.add(b, members, self)
		d.feed(b)
	}
	tickNow()
	feed(verdictsBy(t, honest, 1, well))
	tickNow()
	if adv := ep.Advice(); adv.Fresh != 2 || adv.InForce() {
		t.Fatalf("advice before %+v", adv)
	}
	was := *ep.Advice()

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &forger{
		rng:   rand.New(rand.NewPCG(seed, 0)),
		valid: slices.Concat(orderedBy(t, liar), lies(t, liar, 100), lies(t, "a-stranger", 100), lies(t, self, 1<<50)),
		sent:  [][]byte{verdictsBy(t, honest, 1, well)}, // replayed only: damaged, it would be a second liar
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var halfway uint64
	began := time.Now()
	for i := range n {
		feed(f.next())
		if i%100 == 0 && coord.Now()-last >= tick {
			feed(verdictsBy(t, honest, fed, well))
			tickNow()
		}
		if i == n/2 {
			halfway = heap()
		}
	}
	for nonce := range uint64(30) { // wishes that are no replays
		wish, err := wire.AppendAsk(nil, &wire.Loan{Origin: wire.Origin{Member: liar, Incarnation: 1}, Service: "payments", Nonce: nonce + 1<<60})
		if err != nil {
			t.Fatal(err)
		}
		feed(wish)
	}
	t.Logf("%d messages in %v", n, time.Since(began))
	if end := heap(); end > halfway+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", halfway, end)
	}
	if adv := *ep.Advice(); adv.Phi != was.Phi || adv.Mode != was.Mode || adv.Source != was.Source || adv.Tag != was.Tag || adv.Era != was.Era {
		t.Errorf("advice was %+v, is %+v", was, adv)
	}
	s := d.node.Stats()
	if s.Malformed != want.malformed {
		t.Errorf("malformed %v, want %v", s.Malformed, want.malformed)
	}
	for k, n := range s.Malformed {
		if kind := wire.ErrorKind(k); n == 0 && kind != wire.TooLarge && kind != wire.TooManyRows {
			t.Errorf("no message was %v", wire.ErrorKind(k))
		}
	}
	if s.Dropped[node.DropStranger] != want.stranger {
		t.Errorf("%d strangers, want %d", s.Dropped[node.DropStranger], want.stranger)
	}
	d.observe(coord.Now())
	h := d.c.Health()
	if h.Received != fed || h.Dropped[dropOversized] != want.oversized || h.Dropped[dropOverflow] != 0 {
		t.Errorf("received %d, oversized %d, overflow %d", h.Received, h.Dropped[dropOversized], h.Dropped[dropOverflow])
	}
	refused := uint64(0)
	for _, n := range h.OverridesRefused {
		refused += n
	}
	if refused != want.orders || h.Overrides != 0 {
		t.Errorf("%d overrides were refused, want %d; %d are in force", refused, want.orders, h.Overrides)
	}
	if s.Received != fed-want.oversized-want.orders {
		t.Errorf("the node received %d", s.Received)
	}
	if money.credited != 0 {
		t.Errorf("%d units were credited of loans that nobody had asked for", money.credited)
	}
	if money.debited == 0 || s.Dropped[node.DropPaced] == 0 {
		t.Errorf("%d units were lent, %d wishes were too many", money.debited, s.Dropped[node.DropPaced])
	}
	if got := rows() - own; got != want.rows {
		t.Errorf("%d rows were heeded or dropped, want %d", got, want.rows)
	}
}

// Names that others come up with must not crowd out this member's own services,
// and reports under its name must not outrank its own.
func TestOwnReportsGetThrough(t *testing.T) {
	const liar = "the-liar"
	d := bench(t, liar)
	row := wire.ReportRow{Service: "payments", Sample: coord.Sample{Endpoint: "eu"}}
	d.feed(reportBy(t, d.c.name, 1<<60, row))
	for i := range node.MaxKnown + 100 {
		d.feed(verdictsBy(t, liar, uint64(i+1), wire.VerdictRow{Service: fmt.Sprint("made-up-", i), Endpoint: "eu"}))
	}
	before := d.node.Stats()
	if before.Dropped[node.DropFull] == 0 {
		t.Error("no limit of names")
	}
	for i := range node.MaxUsed {
		call(d.c.CoordService(fmt.Sprint("own-", i)).Endpoint("eu"), true)
	}
	d.tick(coord.Now())
	if got := d.node.Stats().Reports - before.Reports; got != node.MaxUsed { // it is a steward of all: there are two members
		t.Errorf("%d of %d own reports were heard", got, node.MaxUsed)
	}
}

// Datagrams of any content at the member's port, with and without the name of
// the cluster, encrypted or not, must leave the membership as it is.
func TestHostileDatagrams(t *testing.T) {
	for _, keys := range [][][]byte{nil, {slices.Repeat([]byte("k"), 32)}} {
		a := join(t, Config{Keys: keys})
		b := join(t, Config{Keys: keys, Seeds: []string{a.Addr()}, RequireSeeds: true})
		a.waitMembers(t, 2)
		b.waitMembers(t, 2)
		conn, err := net.Dial("udp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		f := &forger{rng: rand.New(rand.NewPCG(seed, 0)), valid: slices.Concat(
			lies(t, "a-stranger", 1), lies(t, b.name, 1),
			[][]byte{[]byte("\x82\xa5SeqNo\x01\xa4Node\xa1a"), slices.Repeat([]byte{7, 255}, 600)},
		)}
		const user, compound, n = 8, 7, 5000
		strangers := uint64(0)
		for i := range n {
			body := f.next()
			var d []byte
			switch i % 5 {
			case 0: // no label
				d = body
				strangers++
			case 1: // noise of the right cluster
				d, _ = memberlist.AddLabelHeaderToPacket(body, "test")
			case 2: // a message of ours
				d, _ = memberlist.AddLabelHeaderToPacket(append([]byte{user}, body...), "test")
			case 3: // any kind of memberlist's messages but those on who is alive
				kind := []byte{0, 1, 2, 6, compound, 9, 10, 11, 12, 13, 14}[f.rng.IntN(11)]
				d, _ = memberlist.AddLabelHeaderToPacket(append([]byte{kind}, body...), "test")
			case 4: // another cluster
				d, _ = memberlist.AddLabelHeaderToPacket(append([]byte{user}, body...), "other")
				strangers++
			}
			if _, err := conn.Write(d); err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 { // let the receiver keep up
				poll(t, "packets to arrive", func() bool { return a.transport.packetsIn.Load() > uint64(i/2) })
			}
		}
		poll(t, "the datagrams to be counted", func() bool {
			h := a.Health()
			if len(keys) > 0 {
				return h.DecryptFailures > n/10 && h.LabelMismatches > strangers/2 && h.Received == 0
			}
			malformed := uint64(0)
			for _, n := range h.Malformed {
				malformed += n
			}
			return malformed > n/20 && h.LabelMismatches > strangers/2 && h.Received > n/10
		})
		for _, m := range []*cluster{a, b} {
			if h := m.Health(); h.Members != 2 || h.Mode != ModeCoordinated {
				t.Errorf("health %+v", h)
			}
		}
		if lines := a.log.count("memberlist"); lines > 100 {
			t.Errorf("%d lines in the log", lines)
		}
	}
}

// Connections that say nothing, or nonsense, must neither hold up Close nor
// outlive it.
func TestHostileConnections(t *testing.T) {
	m := join(t, Config{})
	var conns []net.Conn
	for i := range 30 {
		c, err := net.Dial("tcp", m.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		label, _ := memberlist.AddLabelHeaderToPacket(nil, "test")
		for _, b := range [][]byte{nil, label, append(label, 6, 255, 255), {244, 0}, []byte("GET / HTTP/1.1\r\n")}[i%5 : i%5+1] {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	poll(t, "the connections to be taken", func() bool {
		m.transport.mu.Lock()
		defer m.transport.mu.Unlock()
		return len(m.transport.open) > 0
	})
	began := time.Now()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	for _, c := range conns {
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection outlived its member")
		}
	}
}
