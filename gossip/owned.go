package gossip

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"time"
)

// memberlist does not wait for its goroutines: a probe of a peer that does not
// answer goes on until it times out, after a second and up to eight while the
// network looks bad. They carry a label, as do the goroutines that they start,
// by which Close can wait for them; in a profile it tells whose they are.
const (
	memberLabel = "murmuration_member"
	probeLasts  = 10 * time.Second // at most
)

// labelled runs start so that the goroutines it starts are known as the
// member's.
func labelled(member string, start func()) {
	pprof.Do(context.Background(), pprof.Labels(memberLabel, member), func(context.Context) { start() })
}

// awaitLabelled waits until no goroutine is the member's any more.
func awaitLabelled(member string) error {
	label := fmt.Appendf(nil, "%q:%q", memberLabel, member)
	var profile bytes.Buffer
	for began, pause := time.Now(), time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		profile.Reset()
		if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
			return fmt.Errorf("gossip: close: %w", err)
		}
		switch {
		case !bytes.Contains(profile.Bytes(), label):
			return nil
		case time.Since(began) > probeLasts:
			return fmt.Errorf("gossip: close: memberlist's goroutines did not end within %v", probeLasts)
		}
		time.Sleep(pause)
	}
}
