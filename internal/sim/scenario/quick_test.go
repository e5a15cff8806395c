package scenario

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

func TestQuick(t *testing.T) {
	list := os.Getenv("SC")
	if list == "" {
		t.Skip()
	}
	l, err := Find(list)
	if err != nil {
		t.Fatal(err)
	}
	extras, err := FindExtras(os.Getenv("FAULT"))
	if err != nil {
		t.Fatal(err)
	}
	seeds, _ := strconv.Atoi(os.Getenv("SEEDS"))
	pol := []sim.Strategy{sim.Ours(sim.Options{}), sim.NoRetries()}
	if os.Getenv("ONLY") != "" {
		pol = pol[:1]
	}
	for _, s := range l {
		for _, p := range pol {
			for ns := range strings.SplitSeq(os.Getenv("NS"), ",") {
				n, _ := strconv.Atoi(ns)
				for seed := range max(seeds, 1) {
					start := time.Now()
					r := s.Run(Params{N: n, Seed: uint64(seed) + 1, Strategy: p, Extras: extras})
					rec, act := -1.0, -1.0
					if r.Recovery != nil {
						rec = *r.Recovery
					}
					if r.Acted != nil {
						act = *r.Acted
					}
					t.Logf("%-10s n=%-5d seed %d %-12s amp %.2f peak %.2f good %.3f rec %3.0f down %5d trips %4d/%d notload %d acted %.2f retr %.2f und %d sent %.0f goss %.0f ev %d %.1fs",
						s.ID, n, seed+1, p.Name, r.Amplification, r.Peak, r.Goodput, rec, r.AttemptsDown, r.Trips, r.Before, r.NoLoad, act, r.Retried, r.Undimmed, r.Sent, r.Gossiped, r.Events, time.Since(start).Seconds())
				}
			}
		}
	}
}
