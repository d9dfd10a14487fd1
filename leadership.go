package tenure

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Term is one held leadership of one election. It begins once and ends once,
// with a cause. All methods may be called from many goroutines.
type Term interface {
	// Context is cancelled when the term ends, with Cause as its cause. It
	// carries the values of the context that the campaign was started with.
	Context() context.Context
	// Held reports whether this process leads now. Once false, it stays false.
	// A process that is paused between Held and what it does next may act too
	// late: whatever can check a token should be given one.
	Held() bool
	// Token is the term's fencing token.
	Token() Token
	// Until is the moment up to which nobody else can be elected, whatever
	// happens; renewals move it. Until the end of its clean drain a term that
	// is no longer held still has one.
	Until() time.Time
	// Cause says why the term has ended: ErrResigned, ErrClosed, the cause of the
	// context given to Lead, an error that is ErrLost, or one that is ErrYielded; or
	// what its campaign has returned because of CampaignOptions.If. It is nil before.
	Cause() error
	// Resign ends the term. Inside Lead it returns at once, and the seat is
	// handed over when the function has returned. Otherwise it waits until the
	// seat has been handed over, or for ctx; the hand-over goes on in either
	// case. A term that has ended already is nil, not an error; without Lead, one
	// that was ended with an ErrYielded keeps its seat until Resign says that nobody
	// works under it any more.
	Resign(ctx context.Context) error
}

// Leadership is a Term over a store.
type Leadership struct {
	s        *session
	c        *candidacy
	token    Token
	began    time.Time
	ctx      context.Context
	cancel   context.CancelCauseFunc
	evidence clock.Deadline
	lapsed   atomic.Bool // a reader has seen a deadline passed; that is final
	ended    atomic.Bool
	released atomic.Bool // it has drained
}

var _ Term = (*Leadership)(nil)

func newLeadership(s *session, c *candidacy, token Token, until protocol.Instant) *Leadership {
	l := &Leadership{s: s, c: c, token: token, began: time.Now()}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(c.ctx))
	l.evidence.Set(until)
	return l
}

// Election is the name of the election.
func (l *Leadership) Election() string { return l.c.election }

// Member is the id of the member that holds the term.
func (l *Leadership) Member() string { return l.s.m.opts.ID }

// Context implements Term.
func (l *Leadership) Context() context.Context { return l.ctx }

// Token implements Term.
func (l *Leadership) Token() Token { return l.token }

// Cause implements Term.
func (l *Leadership) Cause() error { return context.Cause(l.ctx) }

// Held implements Term. It costs a clock read and allocates nothing.
func (l *Leadership) Held() bool {
	if l.ended.Load() {
		return false
	}
	now := l.s.clock.Now()
	if l.s.trust.Ahead(now) && l.evidence.Ahead(now) && !l.lapsed.Load() {
		return true
	}
	l.lapse()
	return false
}

// lapse makes a passed deadline final, before any reply that is on its way.
func (l *Leadership) lapse() {
	if l.lapsed.CompareAndSwap(false, true) {
		l.s.inbox.Put(protocol.Lapsed{Election: l.c.election, Token: l.token})
	}
}

// Until implements Term.
func (l *Leadership) Until() time.Time {
	t := time.Now()
	now := l.s.clock.Instant(t)
	return t.Add(min(l.s.trust.Left(now), l.evidence.Left(now)))
}

// end makes the term not held, then cancels its context. The first cause counts.
func (l *Leadership) end(cause error) {
	l.ended.Store(true)
	l.cancel(cause)
}

// resign ends the term here and now, and lets the protocol know. The seat stays
// taken until drained.
//
// The protocol is told before the context is cancelled: the function may return
// at once, and that it has drained must not be said before that it was to.
func (l *Leadership) resign(cause error) { l.resignTo(cause, "") }

func (l *Leadership) resignTo(cause error, to string) {
	l.ended.Store(true)
	l.s.inbox.Put(protocol.Resign{Election: l.c.election, Token: l.token, Cause: cause, To: to})
	l.cancel(cause)
}

// drained lets the protocol pass the seat on.
func (l *Leadership) drained() {
	l.released.Store(true)
	l.s.inbox.Put(protocol.Drained{Election: l.c.election, Token: l.token})
}

// Resign implements Term.
func (l *Leadership) Resign(ctx context.Context) error {
	if err := l.leave(ctx, ErrResigned, ""); err != nil {
		return l.fail("resign", err)
	}
	return nil
}

func (l *Leadership) leave(ctx context.Context, cause error, to string) error {
	l.resignTo(cause, to)
	if l.c.attended {
		return nil
	}
	l.drained()
	select {
	case <-l.c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TransferTo is Resign for a named member, which must be in line or stand back: the
// term ends with ErrTransferred, and the seat goes to that member, or, if it is gone
// by the time the function has returned, to the first in line. Inside Lead it returns
// at once, and this member stays a candidate. Otherwise it waits for the outcome. A
// transfer to this member itself does nothing.
//
// Errors: ErrNotCandidate and ErrPaused, and the term goes on; ErrWentElsewhere; the cause of the
// term's end if it has ended; those of the store and of ctx.
func (l *Leadership) TransferTo(ctx context.Context, member string) error {
	if err := l.transferTo(ctx, member); err != nil {
		return l.fail("transfer", err)
	}
	return nil
}

func (l *Leadership) transferTo(ctx context.Context, member string) error {
	switch {
	case !l.Held():
		return l.lossCause()
	case member == l.Member():
		return nil
	}
	view := NewView(l.s.m.st, l.c.election)
	look, err := view.look(ctx)
	if err != nil {
		return err
	}
	if _, err := look.named(member); err != nil {
		return err
	}
	if err := l.leave(ctx, fmt.Errorf("%w to %s", ErrTransferred, member), member); err != nil || l.c.attended {
		return err
	}
	_, err = view.transferred(ctx, l.token, member)
	return err
}

// Guard is the condition that a term is current, for the user's own
// transactions against the store that Tenure runs over. Drivers turn it into a
// condition of the store's own kind.
type Guard struct {
	// Key of the seat, as the store that was opened knows it.
	Key string
	// Token is the revision at which the seat must have been modified last.
	Token Token
}

// Cond is the guard as a condition for the store that was opened (not for a
// part of it made by store.Sub).
func (g Guard) Cond() store.Cond { return store.ModifiedAt(g.Key, g.Token) }

// Guard returns the condition that this term is current.
func (l *Leadership) Guard() Guard {
	return Guard{Key: store.Path(l.s.m.st, protocol.SeatKey(l.c.election)), Token: l.token}
}

// Data returns the part of st that Leadership.Commit writes to, for reading and
// watching it.
func Data(st store.Store) store.Store { return store.Sub(st, protocol.DataPrefix) }

// Commit applies a transaction of the user's, on keys as seen through Data, if
// the term is current; no clock is involved in that. Whatever its outcome, a
// transaction of an older term never takes effect after a newer one has begun.
// An error that is ErrLost, or the cause of the term's end, says that nothing
// was written. Result.Committed is false when a condition of tx did not hold.
// Any other error is the store's; ErrUnavailable and a context's error leave
// the outcome unknown.
func (l *Leadership) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	res, err := l.apply(ctx, tx)
	if err != nil {
		return store.Result{}, l.fail("commit", err)
	}
	return res, nil
}

// apply is Commit, with errors as they are.
func (l *Leadership) apply(ctx context.Context, tx store.Tx) (store.Result, error) {
	if !l.Held() {
		return store.Result{}, l.lossCause()
	}
	// The prefix would make a forbidden empty key look allowed.
	if err := tx.Validate(l.s.m.st.Capabilities()); err != nil {
		return store.Result{}, err
	}
	res, err := l.commit(ctx, tx.Under(protocol.DataPrefix))
	if err != nil {
		return store.Result{}, err
	}
	entries := res.Entries
	res.Entries = nil
	for _, e := range entries {
		if key, ok := strings.CutPrefix(e.Key, protocol.DataPrefix); ok {
			e.Key = key
			res.Entries = append(res.Entries, e)
		}
	}
	return res, nil
}

// commit applies a transaction under the term's guard.
func (l *Leadership) commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	seat := protocol.SeatKey(l.c.election)
	tx.If = append(tx.If, store.ModifiedAt(seat, l.token))
	tx.Else = append(tx.Else, seat)
	ctx, cancel := context.WithDeadline(ctx, l.Until())
	defer cancel()
	sent := l.s.clock.Now()
	res, err := l.s.m.st.Commit(ctx, tx)
	if err != nil {
		return store.Result{}, err
	}
	current := res.Committed || isAt(res.Entry(seat), l.token)
	return res, l.proved(sent, res.Revision, current, res.Entry(seat))
}

// Verify asks the store whether the term is current. Nil says that it was at
// some moment after Verify was called; an error that is ErrLost, or the cause
// of the term's end, that it is not. Any other error is the store's.
func (l *Leadership) Verify(ctx context.Context) error {
	if !l.Held() {
		return l.fail("verify", l.lossCause())
	}
	ctx, cancel := context.WithDeadline(ctx, l.Until())
	defer cancel()
	sent := l.s.clock.Now()
	seat := protocol.SeatKey(l.c.election)
	listing, err := l.s.m.st.List(ctx, store.Keys(seat))
	if err != nil {
		return l.fail("verify", err)
	}
	entry := listing.Entry(seat)
	if err := l.proved(sent, listing.Revision, isAt(entry, l.token), entry); err != nil {
		return l.fail("verify", err)
	}
	return nil
}

// proved hands to the protocol what a reply showed of the seat.
func (l *Leadership) proved(sent protocol.Instant, rev store.Revision, current bool, seat *store.Entry) error {
	l.s.inbox.Put(protocol.Proof{Election: l.c.election, Token: l.token, Sent: sent, Revision: rev, Current: current, Seat: seat})
	if !current {
		cause := protocol.LossOf(seat, l.token)
		l.end(cause)
		return cause
	}
	return nil
}

// lossCause is why the term is not held; before its end was noticed, ErrLost.
func (l *Leadership) lossCause() error {
	if cause := l.Cause(); cause != nil {
		return cause
	}
	return ErrLost
}

func (l *Leadership) fail(op string, err error) error {
	return &Error{Op: op, Election: l.c.election, Err: err}
}

func isAt(e *store.Entry, token Token) bool { return e != nil && e.Modified == token }
