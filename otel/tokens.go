package otel

import "context"

// flow is a way in which tokens leave a budget, or come into it, other than by
// calls of this process.
type flow uint8

const (
	lent flow = iota
	borrowed
	burned
)

func (f flow) String() string { return [...]string{"lent", "borrowed", "burned"}[f] }

// flow returns the hook that counts tokens of one flow.
func (t *Telemetry) flow(f flow) func(service string, n float64) {
	return func(service string, n float64) {
		ctx := context.Background() // what moves tokens belongs to no call
		if t.inst.budgetTokens.Enabled(ctx) {
			t.inst.budgetTokens.Add(ctx, n, t.targets.get(service, "").with(tokens+label(f)).add...)
		}
	}
}
