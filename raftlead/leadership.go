package raftlead

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/protocol"
)

// Leadership is one term of this server. It is a tenure.Term.
type Leadership struct {
	e      *Elector
	at     Transition      // the election,
	gone   <-chan struct{} // and its end
	token  tenure.Token
	ctx    context.Context
	cancel context.CancelCauseFunc
	over   func() // called when another may begin, unless Lead knows better
	led    bool   // by Lead, which says when it has drained

	ended atomic.Bool
	lost  bool           // not by its holder; valid once ctx is done, like the next
	to    *raft.ServerID // whom it is to go to; nil for anybody
	from  *place         // of the election, for who passes it on; nil after, as it keeps all that follow

	began    protocol.Instant
	alone    atomic.Bool // this server is a quorum, or there is no witness: no deadline
	deadline clock.Deadline

	proofs sync.Mutex
	proved protocol.Instant
	proven chan struct{} // closed at the next proof
}

var _ tenure.Term = (*Leadership)(nil)

func newLeadership(ctx context.Context, e *Elector, at *place, token tenure.Token, led bool, over func()) *Leadership {
	l := &Leadership{e: e, at: at.Transition, gone: at.gone, from: at, token: token, led: led, over: sync.OnceFunc(over), proven: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l.proved.Mono = -1 // before all: the clock of a Witness begins at 0
	l.alone.Store(e.witness == nil)
	return l
}

// Context implements tenure.Term.
func (l *Leadership) Context() context.Context { return l.ctx }

// Token implements tenure.Term. It is the index of the term's barrier in raft's log: it rises
// with the raft term, and with each term of a server that leads in one raft term twice. An entry
// that this server proposes in the term has a higher index.
func (l *Leadership) Token() tenure.Token { return l.token }

// RaftTerm is the raft term. What this term's function gives to raft.Apply is applied with
// raft.Log.Term equal to it, or is not of this term; see Package.
func (l *Leadership) RaftTerm() uint64 { return l.at.Term }

// Cause implements tenure.Term: ErrSteppedDown, ErrShutdown, ErrClosed, tenure.ErrUnproven,
// tenure.ErrTransferred, tenure.ErrResigned, or the cause of the context given to Lead.
func (l *Leadership) Cause() error { return context.Cause(l.ctx) }

// Held implements tenure.Term. It costs a clock read, and allocates nothing while it is true.
func (l *Leadership) Held() bool {
	switch {
	case l.ended.Load():
		return false
	case l.e.watch.now.Load().Seq != l.at.Seq:
		l.lose(l.e.lost())
		return false
	case !l.alone.Load() && !l.deadline.Ahead(l.e.witness.clock.Now()):
		l.lose(tenure.ErrUnproven)
		return false
	}
	return true
}

// Until implements tenure.Term. Where this server is a quorum by itself, or there is no
// Witness, it is a Lease from now.
func (l *Leadership) Until() time.Time {
	t := time.Now()
	if l.alone.Load() {
		return t.Add(l.e.lease())
	}
	return t.Add(l.deadline.Left(l.e.witness.clock.Instant(t)))
}

// prove takes note that a quorum has answered what was sent at that moment.
func (l *Leadership) prove(at protocol.Instant) {
	l.proofs.Lock()
	defer l.proofs.Unlock()
	l.proveLocked(at)
}

func (l *Leadership) proveLocked(at protocol.Instant) {
	if at.Mono <= l.proved.Mono {
		return
	}
	l.proved = at
	l.deadline.Set(at.Add(l.e.lease()))
	close(l.proven)
	l.proven = make(chan struct{})
}

// attend ends the term when raft's leadership or the deadline does.
func (l *Leadership) attend() {
	timer := time.NewTimer(time.Until(l.Until()))
	defer timer.Stop()
	for l.Held() {
		select {
		case <-l.gone:
		case <-timer.C:
		case <-l.ctx.Done():
		}
		timer.Reset(time.Until(l.Until()))
	}
	<-l.ctx.Done() // at once
	l.e.present.CompareAndSwap(l, nil)
	l.e.opts.Logger.Info("term ended", "server", l.e.id, "raft_term", l.at.Term, "token", l.token, "cause", l.Cause())
}

// lose makes the term not held, then cancels its context. Whoever sees that may campaign again at
// once. The first end counts.
func (l *Leadership) lose(cause error) {
	if l.ended.Swap(true) {
		return
	}
	l.lost, l.from = true, nil
	l.over()
	l.cancel(cause)
}

// giveUp is lose by who holds the term. The leadership is to go to somebody, or with nil to
// anybody. It is false for a term that has ended otherwise.
func (l *Leadership) giveUp(cause error, to *raft.ServerID) bool {
	if l.ended.Swap(true) {
		return false
	}
	l.to = to
	l.cancel(cause)
	return true
}

// Verify asks a quorum whether it still follows this server: nil means that it did at some moment
// after the call. It is what a read of the latest state needs before it.
//
// Errors: the cause of the term's end, and that of ctx.
func (l *Leadership) Verify(ctx context.Context) error {
	if err := l.verify(ctx); err != nil {
		return fail("verify", err)
	}
	return nil
}

func (l *Leadership) verify(ctx context.Context) error {
	asked := l.e.clockNow()
	if !l.Held() {
		<-l.ctx.Done()
		return l.Cause()
	}
	// Its answer alone would not do, see Witness; but it sends heartbeats at once. It refuses when it
	// does not lead any more, or is shut down: then the term is about to end, and its cause
	// is what to return.
	_, err := l.e.ask(ctx, l.ctx.Done(), l.e.r.VerifyLeader)
	for {
		l.proofs.Lock()
		proved, proven := l.proved, l.proven
		l.proofs.Unlock()
		switch {
		case !l.Held():
			<-l.ctx.Done()
			return l.Cause()
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && (l.alone.Load() || proved.Mono > asked.Mono):
			return nil
		}
		select {
		case <-proven:
		case <-l.ctx.Done():
		case <-ctx.Done():
		}
	}
}

// Resign implements tenure.Term: the term ends with tenure.ErrResigned, and another server is made
// the leader. Inside Lead it returns at once, and that is done when the function has returned.
// Otherwise it waits until another leads. In a cluster with no other voter there is
// nobody to pass the leadership on to, which is no error.
//
// Errors: ErrNotTransferred, ErrShutdown, ErrClosed, and that of ctx.
func (l *Leadership) Resign(ctx context.Context) error {
	if !l.Held() || !l.giveUp(tenure.ErrResigned, nil) {
		return nil
	}
	if err := l.release(ctx); err != nil {
		return fail("resign", err)
	}
	return nil
}

// TransferTo is Resign for a named voter: the term ends with tenure.ErrTransferred. Inside Lead
// it returns at once; if raft still leads here after the attempt, Lead begins another term.
// A transfer to this server itself does nothing.
//
// Errors: tenure.ErrNotCandidate, for one that has no vote, has not answered for a Lease, or has
// made raft give up a transfer in this raft term, and the term goes on; the cause of the term's end if it has ended; tenure.ErrWentElsewhere;
// ErrNotTransferred, after which Campaign begins another term unless raft elects another server all the same; ErrShutdown,
// ErrClosed, and that of ctx.
func (l *Leadership) TransferTo(ctx context.Context, id raft.ServerID) error {
	if err := l.transferTo(ctx, id); err != nil {
		return fail("transfer", err)
	}
	return nil
}

func (l *Leadership) transferTo(ctx context.Context, id raft.ServerID) error {
	if !l.Held() {
		<-l.ctx.Done()
		return l.Cause()
	}
	if id == l.e.id {
		return nil
	}
	if err := l.e.canLead(l, id); err != nil {
		return err
	}
	if !l.giveUp(fmt.Errorf("%w to %s", tenure.ErrTransferred, id), &id) {
		<-l.ctx.Done()
		return l.Cause()
	}
	return l.release(ctx)
}

// release passes on what was given up, unless Lead does, when its function has returned.
func (l *Leadership) release(ctx context.Context) error {
	if l.led {
		return nil
	}
	defer l.over()
	return l.handOver(ctx)
}

// handOver passes on what was given up, once.
func (l *Leadership) handOver(ctx context.Context) error {
	from := l.from
	l.from = nil
	return l.e.handOver(ctx, from, l.to)
}
