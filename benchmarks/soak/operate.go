package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

// restart starts a member where one was. The port may be busy for a moment.
func (f *fleet) restart(ctx context.Context, s *slot) {
	var err error
	for range 20 {
		if err = f.start(ctx, s); err == nil || ctx.Err() != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.broken("a member does not start: %v", err)
}

// roll restarts all that are at work, one by one.
func (f *fleet) roll(ctx context.Context) {
	f.rolling.Lock()
	defer f.rolling.Unlock()
	for _, s := range f.all() {
		f.mu.Lock()
		here := s.member != nil
		f.mu.Unlock()
		if !here || ctx.Err() != nil {
			continue
		}
		f.stop(s, (*member).leave)
		f.restart(ctx, s)
	}
}

// rotate replaces the key: first all can read the new one, then all use it, then nobody
// can read the old one any more. Members are given keys when they start.
func (f *fleet) rotate(ctx context.Context) {
	old, next := f.currentKeys()[0], newKey()
	for _, keys := range [][][]byte{{old, next}, {next, old}, {next}} {
		if ctx.Err() != nil {
			return // all keep what they have
		}
		f.setKeys(keys...)
		f.roll(ctx)
	}
}

// override places an operator's order, and revokes it half of the time before it
// expires.
func override(f *fleet, rng *rand.Rand) (string, func(context.Context) (func(), error)) {
	o := gossip.Override{Kind: gossip.Freeze + gossip.OverrideKind(rng.IntN(int(gossip.RetriesOff))), Service: pick(rng, services), Author: "soak", Reason: "by chance"}
	if o.Kind.OneEndpoint() || rng.IntN(2) == 0 {
		o.Endpoint = o.Service + "-" + pick(rng, f.zones).name
	}
	life, revoked := time.Duration(4+rng.IntN(17))*time.Second, rng.IntN(2) == 0
	here, there := rng.Uint32(), rng.Uint32()
	what := fmt.Sprintf("an operator orders %v of %s %s for %v", o.Kind, o.Service, o.Endpoint, life)
	return what, func(context.Context) (func(), error) {
		o.Issued = time.Now()
		o.Expires = o.Issued.Add(life)
		placed, err := f.order(o, here)
		if err != nil || !revoked {
			return nil, err
		}
		return func() {
			if time.Now().After(placed.Expires.Add(-2 * time.Second)) {
				return // over before long
			}
			if _, err := f.order(placed.Revocation("soak", "enough", time.Now()), there); err != nil {
				f.broken("revoking %v: %v", &placed, err)
			}
		}, nil
	}
}

// order signs an order and places it at a member.
func (f *fleet) order(o gossip.Override, at uint32) (gossip.Override, error) {
	signed, err := gossip.SignOverride(f.operator, cluster, o)
	if err != nil {
		return o, err
	}
	living := f.living()
	return living[int(at)%len(living)].cluster.PlaceOverride(signed)
}
