package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/murmuration-go/murmuration/breaker"
)

// tally counts what becomes of calls.
type tally struct {
	calls, failed, refused atomic.Int64
}

// ended counts a call. One that is interrupted at the end is none.
func (t *tally) ended(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	t.calls.Add(1)
	if open := (*breaker.OpenError)(nil); errors.As(err, &open) {
		t.refused.Add(1)
	} else if err != nil {
		t.failed.Add(1)
	}
}

// tell tells of the calls since it was last told.
func (t *tally) tell(note func(string, ...any)) {
	calls, failed, refused := t.calls.Swap(0), t.failed.Swap(0), t.refused.Swap(0)
	note("  %d calls, %d of them failed, %d were refused by a breaker or the cluster", calls, failed, refused)
}

// traffic has the users of all members call both services. Those of payments in a zone
// are as many as what stands there can take a share of; those of search are spread over
// all members.
func (f *fleet) traffic(ctx context.Context) {
	living := map[string]int{} // members by zone
	for _, m := range f.members {
		living[m.zone]++
	}
	for _, m := range f.members {
		f.work.Go(func() { f.drive(ctx, m, "payments", f.load*capacity/float64(living[m.zone])) })
		f.work.Go(func() { f.drive(ctx, m, "search", f.load*capacity/float64(len(f.members))) })
	}
}

// drive makes a member's calls of a service, so many a second, by chance, whether or not
// earlier ones have ended (an open loop: users do not wait for each other).
func (f *fleet) drive(ctx context.Context, m *member, service string, rate float64) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for due := time.Now(); ; {
		due = due.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return
		}
		calls.Go(func() { f.tally.ended(ctx, get(ctx, m.clients[service], service)) })
	}
}

func get(ctx context.Context, client *http.Client, service string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+service+"/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
