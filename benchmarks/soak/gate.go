package main

import "sync"

// gate keeps calls out while what they leave behind is looked at.
type gate struct {
	mu    sync.Mutex
	shut  bool
	under int
	idle  chan struct{} // closed when the last has left a gate that is shut
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.under++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.under--; g.under == 0 && g.shut {
		close(g.idle)
	}
}

// close lets nobody in any more, and waits until all have left.
func (g *gate) close() {
	g.mu.Lock()
	g.shut, g.idle = true, make(chan struct{})
	if g.under == 0 {
		close(g.idle)
	}
	idle := g.idle
	g.mu.Unlock()
	<-idle
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}
