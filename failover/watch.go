package failover

import (
	"slices"
	"sync"
)

// watchers are told of the endpoints.
type watchers struct {
	telling sync.Mutex // one call of one watcher at a time
	list    []*watcher // guarded by telling
}

type watcher struct{ fn func([]Endpoint) }

// Watch calls fn with the group's endpoints, nearest first, before it returns and
// after each Update, until stop is called. It is for those who keep something for
// each endpoint, such as a connection. Calls come one at a time, each with the
// endpoints as they are then; none is under way any more when stop has returned.
// Calls to the new endpoints may be ahead of fn. fn must not call Update, Watch or
// stop.
func (g *Group) Watch(fn func([]Endpoint)) (stop func()) {
	w := &watcher{fn}
	g.watchers.telling.Lock()
	defer g.watchers.telling.Unlock()
	g.watchers.list = append(g.watchers.list, w)
	fn(g.endpoints())
	return func() {
		g.watchers.telling.Lock()
		defer g.watchers.telling.Unlock()
		g.watchers.list = slices.DeleteFunc(g.watchers.list, func(o *watcher) bool { return o == w })
	}
}

// tell tells the watchers of a change.
func (g *Group) tell() {
	g.watchers.telling.Lock()
	defer g.watchers.telling.Unlock()
	for _, w := range g.watchers.list {
		w.fn(g.endpoints())
	}
}

func (g *Group) endpoints() []Endpoint {
	r := g.routes.Load()
	list := make([]Endpoint, len(r.targets))
	for i, t := range r.targets {
		list[i] = t.Endpoint
	}
	return list
}
