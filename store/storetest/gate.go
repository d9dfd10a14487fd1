package storetest

import "sync"

// gate keeps the checks that compact apart from those that need history: they
// may run at the same time on one store. It is a read-write lock made of a
// condition variable, on which the clock of a testing/synctest bubble goes on
// while somebody waits; on a sync.RWMutex it would stand still.
type gate struct {
	mu      sync.Mutex
	changed *sync.Cond
	keeping int  // checks that need history now
	waiting int  // checks that want to compact
	alone   bool // one compacts now
}

func newGate() *gate {
	g := &gate{}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// keep waits until nobody wants to compact, and holds off those who do.
func (g *gate) keep() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.alone || g.waiting > 0 {
		g.changed.Wait()
	}
	g.keeping++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.keeping--
		g.changed.Broadcast()
	}
}

// drop waits until nobody needs history.
func (g *gate) drop() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	for g.alone || g.keeping > 0 {
		g.changed.Wait()
	}
	g.waiting--
	g.alone = true
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.alone = false
		g.changed.Broadcast()
	}
}
