package main

import (
	"context"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

// joining is how long it takes members to come and to go, in seconds.
type joining struct {
	Virtual bool      `json:"virtual"`
	Members int       `json:"members"`
	Fleet   float64   `json:"fleet_s"`  // all start, 10 ms apart: from the last start until all know all
	Join    []float64 `json:"join_s"`   // one more: until Join has returned
	Known   []float64 `json:"known_s"`  // and until all know it
	Left    []float64 `json:"left_s"`   // it leaves: until nobody lists it any more
	Rejoin  []float64 `json:"rejoin_s"` // one crashes and starts anew at once: until all know the new one
	Missed  []float64 `json:"missed_s"` // and until nobody lists the old one any more
}

// join has members come and go.
func (f *fleet) join(ctx context.Context, j *joining) error {
	for range f.joins {
		began := time.Now()
		m, err := f.add(ctx)
		if err != nil {
			return err
		}
		joined := time.Since(began)
		known, err := f.known(ctx, m, began)
		if err != nil {
			return err
		}
		f.members = f.members[:len(f.members)-1]
		began = time.Now()
		if err := m.Leave(ctx); err != nil {
			return err
		}
		left, err := f.missed(ctx, m, began)
		if err != nil {
			return err
		}
		if err := m.Close(); err != nil {
			return err
		}
		f.note("a member joined, all knew it after %v; it left, and nobody listed it after %v", known, left)
		j.Join, j.Known, j.Left = append(j.Join, joined.Seconds()), append(j.Known, known.Seconds()), append(j.Left, left.Seconds())
	}
	for range f.joins {
		last := f.members[len(f.members)-1]
		f.members = f.members[:len(f.members)-1]
		if err := last.Close(); err != nil { // no goodbye
			return err
		}
		began := time.Now()
		m, err := f.add(ctx)
		if err != nil {
			return err
		}
		known, err := f.known(ctx, m, began)
		if err != nil {
			return err
		}
		missed, err := f.missed(ctx, last, began)
		if err != nil {
			return err
		}
		f.note("a member crashed; all knew its successor after %v, and missed it after %v", known, missed)
		j.Rejoin, j.Missed = append(j.Rejoin, known.Seconds()), append(j.Missed, missed.Seconds())
	}
	return nil
}

// known waits until all list m, and returns how long after began that was.
func (f *fleet) known(ctx context.Context, m *gossip.Cluster, began time.Time) (time.Duration, error) {
	name := m.Health().Name
	err := f.until(ctx, "arrival", func(m *gossip.Cluster) bool { return lists(m, name) })
	return time.Since(began).Round(time.Millisecond), err
}

// missed waits until nobody lists m.
func (f *fleet) missed(ctx context.Context, m *gossip.Cluster, began time.Time) (time.Duration, error) {
	name := m.Health().Name
	err := f.until(ctx, "departure", func(m *gossip.Cluster) bool { return !lists(m, name) })
	return time.Since(began).Round(time.Millisecond), err
}
