package raftlead

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
)

// Elector turns the leadership of a raft cluster into terms, on one server. All methods may
// be called from many goroutines.
type Elector struct {
	r       *raft.Raft
	id      raft.ServerID
	witness *Witness
	opts    Options
	watch   *Watch
	live    sync.WaitGroup // goroutines that end with their term
	asked   sync.WaitGroup // goroutines that wait for an answer of raft's

	present atomic.Pointer[Leadership] // the term that answers to heartbeats count for

	mu        sync.Mutex
	candidate bool                     // somebody campaigns, or has a term that has not drained
	stalled   map[raft.ServerID]uint64 // raft terms in which transfers may not be over; see transfer
	closed    chan struct{}
}

// New makes an Elector over r, whose Config.LocalID is id, and whose transport is that of
// witness. Close it before r is shut down, or after.
//
// Errors: tenure.ErrInvalid.
func New(r *raft.Raft, id raft.ServerID, witness *Witness, opts Options) (*Elector, error) {
	switch {
	case r == nil:
		return nil, invalid("no raft; give the one whose leadership is meant")
	case id == "":
		return nil, invalid("no id; give raft's Config.LocalID")
	case witness == nil && !opts.TrustRaft:
		return nil, invalid("no Witness; give the one whose Transport was given to raft.NewRaft, or set Options.TrustRaft")
	}
	opts, err := opts.withDefaults(r)
	if err != nil {
		return nil, err
	}
	e := &Elector{r: r, id: id, witness: witness, opts: opts, stalled: map[raft.ServerID]uint64{}, closed: make(chan struct{})}
	e.watch = newWatch(r, id, e.prove)
	if witness != nil {
		prove := e.prove
		if !witness.told.CompareAndSwap(nil, &prove) {
			e.watch.Close()
			return nil, invalid("the Witness has an Elector already; make one for each raft")
		}
	}
	return e, nil
}

// Now is who leads, as this server knows it. It costs no lock, and asks nobody.
func (e *Elector) Now() Transition { return e.watch.Now() }

// Transitions yields who leads now, and each change that follows; see Watch.Transitions.
func (e *Elector) Transitions(ctx context.Context) iter.Seq2[Transition, error] {
	return e.watch.Transitions(ctx)
}

// Close ends the Elector: campaigns and sequences end with ErrClosed, and so does a term,
// without being passed on. It does not wait for functions that Lead has called; Lead does.
// Raft goes on.
func (e *Elector) Close() {
	e.mu.Lock()
	first := !e.isClosed()
	if first {
		close(e.closed)
	}
	e.mu.Unlock()
	if !first {
		return
	}
	if e.witness != nil {
		e.witness.told.Store(nil)
	}
	e.watch.Close()
	e.live.Wait()
	// Raft answers everything when it steps down, but may forget what it is asked in
	// the moment of its shutdown.
	answered := make(chan struct{})
	go func() {
		e.asked.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(e.lease()):
	}
}

func (e *Elector) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// enter makes the caller the one candidate of this server.
func (e *Elector) enter() error {
	// A term that is lost, though nobody has looked since, is in nobody's way; whoever ends it
	// makes room before its context ends.
	if l := e.present.Load(); l != nil && !l.Held() {
		<-l.ctx.Done()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.isClosed():
		return ErrClosed
	case e.candidate:
		return tenure.ErrAlreadyCandidate
	}
	e.candidate = true
	return nil
}

func (e *Elector) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.candidate = false
}

// Campaign waits until this server leads and has applied a barrier: all that leaders before it
// have committed. The term lasts until Resign, TransferTo, Close or its loss; ctx
// only bounds the wait. There is one candidate at a time, and one term of each.
//
// Errors: tenure.ErrAlreadyCandidate, tenure.ErrInvalid if raft leads under another id than New was given,
// ErrShutdown, ErrClosed, and that of ctx.
func (e *Elector) Campaign(ctx context.Context) (*Leadership, error) {
	if err := e.enter(); err != nil {
		return nil, fail("campaign", err)
	}
	l, err := e.await(ctx, false, e.leave)
	if err != nil {
		e.leave()
		return nil, fail("campaign", err)
	}
	return l, nil
}

// await waits for a term. Over is called when it has drained, unless Lead, which knows better,
// asks.
func (e *Elector) await(ctx context.Context, led bool, over func()) (*Leadership, error) {
	for {
		at, err := e.elected(ctx)
		if err != nil {
			return nil, err
		}
		began := e.clockNow()
		index, err := e.barrier(ctx, at)
		if err == nil {
			return e.begin(newLeadership(ctx, e, at, tenure.Token(index), led, over), began), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.opts.Logger.Debug("no barrier yet", "server", e.id, "raft_term", at.Term, "error", err)
		pause := time.NewTimer(e.pause()) // a transfer that goes wrong takes its time
		select {
		case <-at.gone:
			pause.Stop()
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// pause is the time between two attempts at something that raft refuses for now.
func (e *Elector) pause() time.Duration { return max(e.lease()/10, time.Millisecond) }

// elected waits until raft leads here.
func (e *Elector) elected(ctx context.Context) (*place, error) {
	for at := e.watch.now.Load(); ; at = e.watch.now.Load() {
		switch {
		case at.err != nil:
			return nil, at.err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case at.Leading:
			return at, nil
		}
		if leader, wrong := e.misnamed(); wrong {
			return nil, invalid("raft leads as %q, and this Elector was made for %q; give New raft's Config.LocalID", leader, e.id)
		}
		select {
		case <-at.gone:
		case <-ctx.Done():
		}
	}
}

// misnamed: raft leads under another id. Its state says so only together with the address, as a heartbeat
// of another leader, which is handled beside raft's main loop, sets the one before the other.
func (e *Elector) misnamed() (raft.ServerID, bool) {
	if e.witness == nil {
		return "", false
	}
	address, id := e.r.LeaderWithID()
	return id, id != e.id && address == e.witness.transport.LocalAddr()
}

// barrier applies a barrier while this server leads as at says, and returns its index.
func (e *Elector) barrier(ctx context.Context, at *place) (uint64, error) {
	f, err := e.ask(ctx, at.gone, func() raft.Future { return e.r.Barrier(e.lease()) })
	if err != nil {
		return 0, err
	}
	entry, ok := f.(raft.IndexFuture)
	if !ok {
		return 0, fmt.Errorf("raftlead: raft's barrier is a %T, which has no index", f)
	}
	return entry.Index(), nil
}

// ask waits for raft's answer to a request, but no longer than for ctx or until gone: raft
// may keep both waiting for as long as its disk hangs.
func (e *Elector) ask(ctx context.Context, gone <-chan struct{}, request func() raft.Future) (raft.Future, error) {
	type answer struct {
		raft.Future
		err error
	}
	answers := make(chan answer, 1)
	if !e.start(&e.asked, func() {
		f := request()
		answers <- answer{f, f.Error()}
	}) {
		return nil, ErrClosed
	}
	select {
	case a := <-answers:
		return a.Future, a.err
	case <-gone:
		return nil, ErrSteppedDown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin starts a term, which may be over already: its Cause says so then.
func (e *Elector) begin(l *Leadership, began protocol.Instant) *Leadership {
	l.began = began
	l.prove(began) // a quorum has answered the barrier
	e.present.Store(l)
	e.prove()
	e.opts.Logger.Info("elected", "server", e.id, "raft_term", l.at.Term, "token", l.token)
	if !e.start(&e.live, l.attend) {
		l.lose(ErrClosed)
	}
	return l
}

// start starts a goroutine that Close waits for, unless Close has been called.
func (e *Elector) start(group *sync.WaitGroup, f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isClosed() {
		return false
	}
	group.Go(f)
	return true
}

// prove moves the deadline of the present term to what the witness knows. Raft calls it, on
// goroutines that it needs.
func (e *Elector) prove() {
	l := e.present.Load()
	if l == nil || l.ended.Load() || e.witness == nil {
		return
	}
	l.proofs.Lock()
	defer l.proofs.Unlock()
	proved, alone, ok := e.witness.quorum(l.at.Term, e.id, e.r.GetConfiguration().Configuration().Servers)
	switch {
	case alone:
		l.alone.Store(true)
	case l.alone.Load(): // the second voter of a cluster cannot be elected without this one
		l.proveLocked(e.clockNow())
		l.alone.Store(false)
	case ok:
		l.proveLocked(proved)
	}
}

func (e *Elector) clockNow() protocol.Instant {
	if e.witness == nil {
		return protocol.Instant{}
	}
	return e.witness.clock.Now()
}

func fail(op string, err error) error { return &tenure.Error{Op: op, Err: err} }

// lost says what a loss came from: the end of the list, or the next transition.
func (e *Elector) lost() error {
	if at := e.watch.now.Load(); at.err != nil && !errors.Is(at.err, ErrClosed) {
		return at.err
	}
	if e.isClosed() {
		return ErrClosed
	}
	return ErrSteppedDown
}
