package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestKinds: each kind of fault happens and ends as it should, and by itself breaks no
// promise. Afterwards the fleet is as it was.
func TestKinds(t *testing.T) {
	var log strings.Builder
	f, err := newFleet(t.Context(), settings{members: 4, rate: 5, seed: 1, last: time.Minute}, &log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			what, begin := k.draw(f, rng)
			f.setUnder(what)
			end, err := begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = pause(t.Context(), 200*time.Millisecond)
			for _, m := range f.living() {
				f.examine(m)
			}
			if end != nil {
				end()
			}
			if f.broke > 0 {
				t.Errorf("%s: %+v", what, f.violations)
			}
			if len(f.living()) != 4 || len(f.all()) != 4 || len(f.currentKeys()) != 1 {
				t.Errorf("%s: %d members in %d slots, %d keys", what, len(f.living()), len(f.all()), len(f.currentKeys()))
			}
		})
	}
}
