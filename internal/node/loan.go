package node

import (
	"maps"
	"math"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/rendezvous"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Loans. A member whose budget is short of a retry asks two others, drawn at
// random, while the retry's wait runs. Each may debit itself by up to half of what
// it has, at most one token, and sends that; who has nothing says so. The answer
// credits once, and only who has asked.
//
// Nobody asks or lends unless two stewards are heard and leave the service alone:
// in trouble tokens would only feed it, and a member that hears nobody could not
// know. Asking is paced, and pauses when answers come empty, for then there is
// nothing to be had. Who asks everybody all the time would empty every purse: a
// member answers another no more often than twice what falls to it when that one
// asks as fast as it may and draws at random.
const (
	asksPerSecond = 10 // of a member, for all services; each goes to askedAtOnce others
	askedAtOnce   = 2
	lendsPerPeer  = 10 // answers a second to one other member, where they are few
	lendsAbove    = 2  // times the fair share, where they are many
	lendsAtOnce   = 4  // answers to one at once, or a second's, if that is more
	lendsMost     = 20 // answers a second to all of them
	askLasts      = 2 * time.Second
	emptyMost     = 3 // empty answers in a row that pause it
	emptyPause    = time.Second
)

// lending is a node's state of loans.
type lending struct {
	asks, answers *rate.Limiter
	out           []ask // not answered yet, oldest first
	peers         map[string]*peer
	swept         time.Duration // when peers were forgotten last
}

// ask is a question that is on its way.
type ask struct {
	service *service
	to      string
	nonce   uint64
	at      time.Duration
}

// peer is a member that has been answered lately.
type peer struct {
	answers *rate.Limiter
	nonces  [lendsPerPeer]uint64 // of what it was answered last, a ring; 0: none
	next    int
	heard   time.Duration
}

// Asked is somebody's wish for a loan that may be granted: the answer is Lend.
type Asked struct {
	Service, From string
	Nonce         uint64
}

// Credit is a loan that has come.
type Credit struct {
	Service string
	Amount  int64 // in units of coord.TokenUnit
}

// Lending says whether there is anybody to ask for a loan.
type Lending struct {
	Service string
	Open    bool
}

func newLending() lending {
	return lending{
		asks:    rate.NewLimiter(asksPerSecond, asksPerSecond),
		answers: rate.NewLimiter(lendsMost, lendsMost),
		peers:   map[string]*peer{},
	}
}

// instant is a reading of the member's clock as package rate wants it.
func instant(now time.Duration) time.Time { return time.Unix(0, 0).Add(now) }

// Ask asks two other members for a loan. r is random: it says whom, and nobody else
// knows the nonce that an answer has to carry. Each of the two knows that of the
// other, so that one of them may answer in the other's name: it may as well lie in
// its own.
func (n *Node) Ask(now time.Duration, service string, r uint64) *Output {
	n.out = Output{}
	if s := n.services[service]; s != nil && n.mayAsk(now, s) && n.loans.asks.AllowN(instant(now), 1) {
		for _, to := range n.roster.draw(n.self, r) {
			origin := n.origin()
			nonce := rendezvous.Mix(r ^ rendezvous.Mix(origin.Seq)) // differs even if r does not
			data, err := wire.AppendAsk(nil, &wire.Loan{Origin: origin, Service: s.name, Nonce: nonce})
			if err != nil {
				n.stats.malformed(err)
				continue
			}
			n.loans.out = append(n.loans.out, ask{s, to, nonce, now})
			n.out.Sends = append(n.out.Sends, Send{to, data})
			n.stats.Asks++
		}
		n.lendingOf(now, s)
	}
	n.tape.ask(now, service, r, &n.out)
	return &n.out
}

// calm reports whether the stewards of a service are heard and find nothing amiss.
func (s *service) calm() bool {
	heard := false
	for _, v := range s.views {
		if !v.own {
			continue
		}
		if v.advice.InForce() {
			return false
		}
		heard = heard || v.advice.Coordinated()
	}
	return heard
}

func (n *Node) mayAsk(now time.Duration, s *service) bool {
	return s.used && now >= s.loansPaused && s.calm() && n.roster.Len() > 1 && n.loans.asks.TokensAt(instant(now)) >= 1
}

// lendingOf tells when it changes whether there is anybody to ask.
func (n *Node) lendingOf(now time.Duration, s *service) {
	if open := n.mayAsk(now, s); open != s.loansOpen {
		s.loansOpen = open
		n.out.Lending = append(n.out.Lending, Lending{s.name, open})
	}
}

// lend takes the tick's part of the loans: what was not answered in time counts
// as an empty answer.
func (n *Node) lend(now time.Duration) {
	l := &n.loans
	late := 0
	for late < len(l.out) && now-l.out[late].at >= askLasts {
		l.out[late].service.gotNothing(now)
		late++
	}
	l.out = slices.Delete(l.out, 0, late)
	if now-l.swept >= time.Second {
		l.swept = now
		maps.DeleteFunc(l.peers, func(_ string, p *peer) bool {
			return now-p.heard >= askLasts && p.answers.TokensAt(instant(now)) >= float64(p.answers.Burst())
		})
	}
	for _, s := range n.order {
		if s.used {
			n.lendingOf(now, s)
		}
	}
}

func (s *service) gotNothing(now time.Duration) {
	if s.empty++; s.empty >= emptyMost {
		s.empty, s.loansPaused = 0, now+emptyPause
	}
}

// fromOther reports whether a message is another live member's.
func (n *Node) fromOther(member string) bool {
	switch {
	case !n.roster.Has(member):
		n.stats.Drop(DropStranger)
		return false
	case member == n.self:
		n.stats.Drop(DropStale)
		return false
	}
	return true
}

// heardAsk answers with nothing at once, or wants it answered by Lend.
func (n *Node) heardAsk(now time.Duration, l *wire.Loan) {
	from := l.Origin.Member
	if !n.fromOther(from) {
		return
	}
	p := n.loans.peers[from]
	if p == nil {
		p = &peer{answers: newFair(n.roster.Len() - 1)}
		n.loans.peers[from] = p
	}
	switch {
	case slices.Contains(p.nonces[:], l.Nonce):
		n.stats.Drop(DropStale)
		return
	case !p.answers.AllowN(instant(now), 1) || !n.loans.answers.AllowN(instant(now), 1):
		n.stats.Drop(DropPaced)
		return
	}
	p.nonces[p.next], p.heard = l.Nonce, now
	p.next = (p.next + 1) % len(p.nonces)
	a := Asked{l.Service, from, l.Nonce}
	if s := n.services[l.Service]; s == nil || !s.used || !s.calm() {
		n.grant(a, 0)
		return
	}
	n.out.Asked = append(n.out.Asked, a)
}

// newFair paces the answers to one of so many others.
func newFair(others int) *rate.Limiter {
	fair := float64(lendsAbove*asksPerSecond*askedAtOnce) / float64(max(others, 1))
	perSecond := min(lendsPerPeer, fair)
	return rate.NewLimiter(rate.Limit(perSecond), max(lendsAtOnce, int(math.Ceil(perSecond))))
}

// Lend answers a wish for a loan with an amount that has been debited already, in
// units of coord.TokenUnit.
func (n *Node) Lend(now time.Duration, a Asked, amount int64) *Output {
	n.out = Output{}
	n.grant(a, amount)
	n.tape.lend(now, a, amount, &n.out)
	return &n.out
}

func (n *Node) grant(a Asked, amount int64) {
	amount = min(max(amount, 0), coord.TokenUnit)
	data, err := wire.AppendLoan(nil, &wire.Loan{Origin: n.origin(), Service: a.Service, Nonce: a.Nonce, Amount: uint64(amount)})
	if err != nil {
		n.stats.malformed(err)
		return
	}
	n.out.Sends = append(n.out.Sends, Send{a.From, data})
	n.stats.Answers++
	if amount > 0 {
		n.stats.Lent++
	}
}

// heardLoan takes in an answer, if it is one.
func (n *Node) heardLoan(now time.Duration, l *wire.Loan) {
	if !n.fromOther(l.Origin.Member) {
		return
	}
	i := slices.IndexFunc(n.loans.out, func(a ask) bool {
		return a.nonce == l.Nonce && a.to == l.Origin.Member && a.service.name == l.Service
	})
	if i < 0 || now-n.loans.out[i].at >= askLasts {
		n.stats.Drop(DropStale) // not asked for, answered already, or late
		return
	}
	s := n.loans.out[i].service
	n.loans.out = slices.Delete(n.loans.out, i, i+1)
	switch {
	case l.Amount == 0:
		s.gotNothing(now)
		n.lendingOf(now, s)
	case s.calm():
		s.empty = 0
		n.stats.Borrowed++
		n.out.Credits = append(n.out.Credits, Credit{s.name, int64(l.Amount)})
	default: // in trouble there is to be no retry
		n.stats.Drop(DropStale)
	}
}
