package raftlead

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// Transition is who leads a raft cluster, as one of its servers knows it.
type Transition struct {
	// Seq counts the transitions of a Watch, from 1. None is ever left out.
	Seq uint64
	// Leading: the server itself leads. Between two terms of its own there is always
	// a transition that says that it does not.
	Leading bool
	// Term is the raft term.
	Term uint64
	// Leader is whom the server takes for the leader; empty if it knows of none.
	Leader raft.ServerID
	// Address is the leader's.
	Address raft.ServerAddress
}

func (t Transition) String() string {
	switch {
	case t.Leading:
		return fmt.Sprintf("leads in term %d", t.Term)
	case t.Leader == "":
		return fmt.Sprintf("knows of no leader in term %d", t.Term)
	default:
		return fmt.Sprintf("follows %q in term %d", t.Leader, t.Term)
	}
}

// Watch follows who leads, as one server of a raft cluster knows it, for any number of
// readers. It never makes raft wait, whatever readers do, and leaves nothing out.
//
// Raft tells its observers of each change from the goroutine that makes it, and asks
// first whether they care. Watch does all of its work in that question: it appends the
// change to a list, and says no. So there is no channel that could be full.
// A reader holds its place in the list; what all readers have passed is garbage.
type Watch struct {
	r        *raft.Raft
	id       raft.ServerID
	observer *raft.Observer
	peers    func() // called when a server is added or removed; must not block

	now atomic.Pointer[place] // the last of the list

	mu sync.Mutex // guards the end of the list
}

// place is an element of the list of transitions. The last one of all has an error.
type place struct {
	Transition
	err  error
	next *place        // valid once gone is closed
	gone chan struct{} // closed when there is a next place
}

func (p *place) isGone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// NewWatch watches r, whose Config.LocalID is id. Close ends it; so does the shutdown
// of r.
func NewWatch(r *raft.Raft, id raft.ServerID) *Watch { return newWatch(r, id, func() {}) }

func newWatch(r *raft.Raft, id raft.ServerID, peers func()) *Watch {
	w := &Watch{r: r, id: id, peers: peers}
	w.observer = raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		w.observe(o.Data)
		return false
	})
	// From here on every change waits in observe for the mutex, with what it has
	// changed already visible. So either it is seen below, and nothing new when it gets
	// the mutex, or it comes after what is seen.
	w.mu.Lock()
	defer w.mu.Unlock()
	r.RegisterObserver(w.observer)
	state := r.State()
	address, leader := r.LeaderWithID()
	first := w.transition(state, leader, address)
	first.Seq = 1
	w.now.Store(&place{Transition: first, gone: make(chan struct{})})
	if state == raft.Shutdown {
		w.finish(ErrShutdown)
	}
	return w
}

// observe is called by raft, on goroutines that it needs: it must not block.
func (w *Watch) observe(data any) {
	switch data := data.(type) {
	case raft.LeaderObservation:
		w.mu.Lock()
		state := w.r.State()
		t := w.transition(state, data.LeaderID, data.LeaderAddr)
		// Raft handles heartbeats beside its main loop. So an election may be told after another
		// goroutine has taken it back, which tells of that itself; and the leader of
		// before may be set by a heartbeat that was on its way during an election.
		late := t.Leader != data.LeaderID
		stale := state == raft.Leader && w.now.Load().Leading && !t.Leading && t.Leader != ""
		if !late && !stale {
			w.append(t)
		}
		w.mu.Unlock()
	case raft.RaftState:
		// The leader is set after the state, and taken back before it. That is enough,
		// unless two goroutines of raft change both at a time.
		w.mu.Lock()
		if data != raft.Leader && w.now.Load().Leading {
			w.append(w.transition(data, "", ""))
		}
		if data == raft.Shutdown {
			w.finish(ErrShutdown)
		}
		w.mu.Unlock()
	case raft.PeerObservation:
		w.peers()
	}
}

func (w *Watch) transition(state raft.RaftState, leader raft.ServerID, address raft.ServerAddress) Transition {
	t := Transition{Term: w.r.CurrentTerm(), Leader: leader, Address: address}
	if leader == w.id {
		if t.Leading = state == raft.Leader; !t.Leading {
			t.Leader, t.Address = "", ""
		}
	}
	return t
}

// append appends what is new. The mutex is held.
func (w *Watch) append(t Transition) {
	last := w.now.Load()
	t.Seq = last.Seq
	if t == last.Transition || last.err != nil {
		return
	}
	t.Seq++
	w.add(last, &place{Transition: t, gone: make(chan struct{})})
}

// finish appends the end of the list. The mutex is held.
func (w *Watch) finish(err error) {
	last := w.now.Load()
	if last.err != nil {
		return
	}
	if last.Leading {
		w.append(Transition{Term: last.Term})
		last = w.now.Load()
	}
	w.add(last, &place{Transition: last.Transition, err: err, gone: make(chan struct{})})
}

func (w *Watch) add(last, next *place) {
	last.next = next
	w.now.Store(next)
	close(last.gone)
}

// Now is the last transition. It costs no lock.
func (w *Watch) Now() Transition { return w.now.Load().Transition }

// Transitions yields the transition that is the present one at the call, and then all
// that follow, in their order. Its last element is an error: that of ctx, ErrShutdown or
// ErrClosed. Sequences do not affect each other; a second loop over one begins with
// what is the present one then.
//
// What a reader has not read yet is kept: about 100 bytes a transition, of which raft
// makes a few in an election.
func (w *Watch) Transitions(ctx context.Context) iter.Seq2[Transition, error] {
	var first atomic.Pointer[place]
	first.Store(w.now.Load())
	return func(yield func(Transition, error) bool) {
		at := first.Swap(nil) // or it would keep all that follows
		if at == nil {
			at = w.now.Load()
		}
		for ; ; at = at.next {
			if at.err != nil {
				yield(Transition{}, at.err)
				return
			}
			if err := ctx.Err(); err != nil {
				yield(Transition{}, err)
				return
			}
			if !yield(at.Transition, nil) {
				return
			}
			select {
			case <-at.gone:
			case <-ctx.Done():
				yield(Transition{}, ctx.Err())
				return
			}
		}
	}
}

// Close ends the watch and all sequences, with ErrClosed.
func (w *Watch) Close() {
	w.r.DeregisterObserver(w.observer)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish(ErrClosed)
}
