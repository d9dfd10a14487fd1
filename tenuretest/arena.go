package tenuretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// Arena is a store, in memory unless its options say otherwise, the processes that
// use it, and the history of what happens. Its methods may be called from many goroutines. Close ends all of its
// goroutines.
type Arena struct {
	opts ArenaOptions
	open func() store.Store // another handle, without faults
	st   store.Store        // such a handle
	h    *History
	rec  *recorder

	mu        sync.Mutex
	nodes     []*Node
	links     []*Link
	observers []*Observer
	step      time.Duration // between samples of Pass
	closed    bool
}

// ArenaOptions tune an arena. The zero value is what NewArena uses.
type ArenaOptions struct {
	// Open, if not nil, returns another handle on the store to run over, in place
	// of one in memory. The arena closes what it is given. The store must hold
	// nothing that Tenure has written, see every change, and compact none of what
	// happens. Over a server, the arena works in real time alone. Where others write to
	// the store too, Check takes as long as a watch without events takes to say
	// that it is complete.
	Open func() store.Store
	// Wrap, if not nil, is put around the way of each process to the store, below
	// its faults: to break the store in ways that no fault does.
	Wrap func(store.Store) store.Store
	// Quiet leaves it to the test alone to call Sample. Without it, an arena also
	// samples whenever a seat changes hands.
	Quiet bool
}

// NewArena returns an empty arena.
func NewArena() *Arena { return NewArenaWith(ArenaOptions{}) }

// NewArenaWith returns an empty arena with the given options.
func NewArenaWith(opts ArenaOptions) *Arena {
	a := &Arena{opts: opts, h: NewHistory(), step: tenure.DefaultTTL / 20}
	until := untilListed
	if a.open = opts.Open; a.open == nil {
		until = untilWatching
		st := memstore.NewWith(memstore.Options{History: 1 << 20}) // no recording is ever cut short
		a.open = func() store.Store { return st.Open() }
	}
	a.st = a.open()
	a.rec = newRecorder(a.open(), a.h)
	if !opts.Quiet {
		a.rec.changed = a.Sample
	}
	a.rec.start(until)
	return a
}

// History is what has happened so far. More may be recorded in it.
func (a *Arena) History() *History { return a.h }

// Store is the arena's store without faults: to look at it, to compact it, or to
// interfere with what lies in it. Unless the options say otherwise it is a
// *memstore.Store, and can be looked at after Close, too.
func (a *Arena) Store() store.Store { return a.st }

// Link returns a way to the store for a process of that name, for a program that
// makes its own Member.
func (a *Arena) Link(name string) *Link {
	var st store.Store = &ledger{Store: a.open(), rec: a.rec}
	if a.opts.Wrap != nil {
		st = a.opts.Wrap(st)
	}
	l := newLink(a.h, name, st)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.links = append(a.links, l)
	return l
}

// Join makes a member over a way to the store of its own. Its Trace is called as
// opts say, after the history was told. Errors are those of tenure.Join.
//
// To restart a member that has crashed, join anew with its ID.
func (a *Arena) Join(ctx context.Context, opts tenure.Options) (*Node, error) {
	if opts.ID == "" {
		a.mu.Lock()
		opts.ID = fmt.Sprintf("m%d", len(a.nodes)+1)
		a.mu.Unlock()
	}
	return a.JoinOver(ctx, a.Link(opts.ID), opts)
}

// JoinOver is Join over a link that was made before, so that it may go wrong
// from the beginning. The link's name stands for the ID.
func (a *Arena) JoinOver(ctx context.Context, l *Link, opts tenure.Options) (*Node, error) {
	n := &Node{Link: l, calls: map[string]int{}, releases: map[tenure.Token]bool{}}
	opts.ID = l.name
	opts.Trace = n.trace(opts.Trace)
	m, err := tenure.Join(ctx, l.Store(), opts)
	if err != nil {
		return nil, err
	}
	n.Member = m
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.links {
		if other != l && other.name == l.name {
			other.replaced()
		}
	}
	a.nodes = append(a.nodes, n)
	if opts.TTL > 0 {
		a.step = min(a.step, opts.TTL/20)
	}
	return n, nil
}

// Sample records of every term that is or was of late in office whether it is
// held.
func (a *Arena) Sample() {
	a.mu.Lock()
	links := slices.Clone(a.links)
	a.mu.Unlock()
	for _, l := range links {
		l.sample()
	}
}

// Pass lets time go by, and samples twenty times in the shortest TTL.
func (a *Arena) Pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		a.Sample()
		left := time.Until(end)
		if left <= 0 {
			return
		}
		a.mu.Lock()
		step := a.step
		a.mu.Unlock()
		time.Sleep(min(left, step))
	}
}

// Heal removes every fault but crashes, and records that all faults are over.
func (a *Arena) Heal() {
	a.mu.Lock()
	links := slices.Clone(a.links)
	a.mu.Unlock()
	for _, l := range links {
		l.heal()
	}
	a.h.Record(Event{Kind: FaultsOver})
}

// Hits says of each kind of fault, by the text in the history, how many have met
// a leader in office. A fault that met none has shown nothing.
func (a *Arena) Hits() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	hits := map[string]int{}
	for _, l := range a.links {
		l.mu.Lock()
		for text, n := range l.hits {
			hits[text] += n
		}
		l.mu.Unlock()
	}
	return hits
}

// Check checks the history once everything that is in the store by now has been
// recorded. It returns nil or a *Violation.
func (a *Arena) Check(x Expect) error {
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed {
		return a.h.Check(x)
	}
	a.Sample()
	if err := a.rec.catchUp(); err != nil {
		return err
	}
	if a.h.Check(x) == nil {
		return nil
	}
	// Members go on meanwhile, and are told of writes that the record lacks yet. What is
	// broken stays so.
	if err := a.rec.catchUp(); err != nil {
		return err
	}
	return a.h.Check(x)
}

// Close heals all faults, closes every node and observer, and waits for all that
// the arena has started. It returns what closing the nodes that have not crashed
// has.
func (a *Arena) Close() error {
	a.mu.Lock()
	nodes, links, observers := slices.Clone(a.nodes), slices.Clone(a.links), slices.Clone(a.observers)
	done := a.closed
	a.closed = true
	a.mu.Unlock()
	if done {
		return nil
	}
	for _, l := range links {
		l.heal()
	}
	errs := make([]error, len(nodes)+2)
	var closing sync.WaitGroup
	for i, n := range nodes {
		closing.Go(func() {
			if n.isCrashed() {
				_ = n.st.Close() // its calls hang for ever
				_ = n.Close()
			} else {
				errs[i] = n.Close()
			}
		})
	}
	closing.Wait()
	for _, o := range observers {
		o.Stop()
	}
	a.Sample()
	for _, l := range links {
		_ = l.st.Close()
	}
	errs[len(nodes)] = a.rec.stop()
	if a.opts.Open != nil {
		errs[len(nodes)+1] = a.st.Close()
	}
	return errors.Join(errs...)
}
