package otel_test

import (
	"testing"
	"testing/synctest"

	"github.com/murmuration-go/murmuration/failover"
	"github.com/murmuration-go/murmuration/internal/coord"
)

// A call that left home for its last attempt says why, whether it was dimmed there, has
// failed while the cluster knew, or has just failed; and whatever became of it.
func TestSpanOfACallThatLeftHome(t *testing.T) {
	known := coord.Advice{Phi: coord.PhiFull, Mode: coord.RetryNone, Source: coord.SourceCluster, Evidence: evidence, Fresh: 3, Planned: true}
	dims := known
	dims.Phi, dims.Tag = 0, 1
	const clusters = " evidence.age=0 evidence.failures=30 evidence.outcomes=40 evidence.reporters=5"
	for _, test := range []struct {
		home coord.Advice
		errs []error
		want []string
	}{
		{dims, nil, []string{
			"murmuration.call attempt_count=1 decided_by=cluster diverted_from=a endpoint=b" + clusters + " phi=0 refused_endpoint=a service=svc",
			"  murmuration.attempt attempt=1 endpoint=b service=svc",
		}},
		{known, []error{errDown}, []string{
			"murmuration.call attempt_count=2 decided_by=cluster diverted_from=a endpoint=b" + clusters + " phi=1 service=svc",
			"  murmuration.attempt error.type=_OTHER attempt=1 endpoint=a service=svc Error",
			"  murmuration.attempt attempt=2 endpoint=b service=svc",
		}},
		{coord.Advice{Phi: coord.PhiFull, Fresh: 3, Planned: true}, []error{errDown, coded(14)}, []string{
			"murmuration.call error.type=UNAVAILABLE attempt_count=2 decided_by=local diverted_from=a endpoint=b" +
				" evidence.age=0 evidence.failures=1 evidence.outcomes=1 evidence.reporters=1 phi=1 service=svc rpc.response.status_code=UNAVAILABLE Error",
			"  murmuration.attempt error.type=_OTHER attempt=1 endpoint=a service=svc Error",
			"  murmuration.attempt error.type=UNAVAILABLE attempt=2 endpoint=b service=svc rpc.response.status_code=UNAVAILABLE Error",
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			cluster := advised{coord.NewService("svc")}
			g := l.group(func(c *failover.Config) { c.Cluster = cluster }, "a", "b")
			test.home.AsOf = coord.Now()
			cluster.publish("a", test.home)
			cluster.publish("b", coord.Advice{Phi: coord.PhiFull, Fresh: 3, Planned: true, Sigma: coord.ShareOf(1)})
			_ = g.Do(t.Context(), answers(test.errs...))
			wantLines(t, l.spans(), test.want...)
		})
	}
}
