package main

import (
	"context"
	"fmt"
	"time"
)

// chaos does to the members of a cluster what happens in incidents: one
// crashes, the steward crashes whose verdict is in force, one joins and is
// driven like the others.
func chaos(ctx context.Context, r *run, s settings, start time.Time, note func(string, ...any), drive func(member int)) {
	if len(s.chaos) == 0 {
		return
	}
	select {
	case <-time.After(time.Until(start.Add(s.stallAt + s.stall/2))):
	case <-ctx.Done():
		return
	}
	for _, what := range s.chaos {
		switch what {
		case "kill-member":
			for i, c := range r.clients {
				t := c.(*together)
				if !r.dead[i] && t.self() != t.state().Evidence.Steward {
					r.kill(i)
					note("killed member %d", i)
					break
				}
			}
		case "kill-steward":
			steward := ""
			for i, c := range r.clients {
				if !r.dead[i] {
					steward = c.(*together).state().Evidence.Steward
				}
			}
			for i, c := range r.clients {
				if !r.dead[i] && c.(*together).self() == steward {
					r.kill(i)
					note("killed member %d, the steward whose verdict was in force", i)
				}
			}
		case "join":
			if err := r.join(ctx); err != nil {
				note("join: %v", err)
				continue
			}
			note("a new member joined")
			drive(len(r.clients) - 1)
		}
	}
}

// checkChaos reports an unknown kind of chaos.
func checkChaos(kinds []string) error {
	for _, k := range kinds {
		if k != "kill-member" && k != "kill-steward" && k != "join" {
			return fmt.Errorf("-chaos: unknown %q; known are kill-member, kill-steward and join", k)
		}
	}
	return nil
}
