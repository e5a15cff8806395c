package scenario

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/murmuration-go/murmuration/internal/sim"
)

func TestZZProbe(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	seeds, _ := strconv.Atoi(os.Getenv("SEEDS"))
	lines := make([]string, 3*len(All))
	var wg sync.WaitGroup
	sem := make(chan bool, 2)
	k := 0
	for ns := range strings.SplitSeq(os.Getenv("ZZ"), ",") {
		n, _ := strconv.Atoi(ns)
		for _, s := range All {
			if f := os.Getenv("SC"); f != "" && !strings.HasPrefix(s.ID, f) {
				continue
			}
			i := k
			k++
			wg.Add(1)
			go func() {
				defer wg.Done()
				sem <- true
				defer func() { <-sem }()
				var o, p []Result
				worst, before, never := 0.0, 0, 0
				for seed := range seeds {
					a := s.Run(Params{N: n, Seed: uint64(seed) + 1, Strategy: sim.Ours(sim.Options{})})
					o = append(o, a)
					p = append(p, s.Run(Params{N: n, Seed: uint64(seed) + 1, Strategy: sim.NoRetries()}))
					before += a.Before
					if a.Recovery == nil {
						never++
					} else {
						worst = max(worst, *a.Recovery)
					}
				}
				mo, mp := Mean(o), Mean(p)
				rec := -1.0
				if mo.Recovery != nil {
					rec = *mo.Recovery
				}
				flag := ""
				if mo.Goodput < mp.Goodput-.01 {
					flag = "  <<<<"
				}
				lines[i] = fmt.Sprintf("%-24s n=%-4d good %.3f vs %.3f rec %.1f (worst %.0f, never %d) trips %d before %d peak %.2f amp %.2f und %d%s", s.ID, n, mo.Goodput, mp.Goodput, rec, worst, never, mo.Trips, before, mo.Peak, mo.Amplification, mo.Undimmed, flag)
			}()
		}
	}
	wg.Wait()
	for _, l := range lines {
		if l != "" {
			fmt.Println(l)
		}
	}
}
