package tenure

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// What can be wanted of an election, or of a member, from outside.

// Reason is who wants something of others, and why. Those whom it concerns find it
// in the cause of their term's end, and all in the Status.
type Reason struct {
	By  string
	Why string
}

func (r Reason) order() (protocol.Order, error) {
	for _, s := range []string{r.By, r.Why} {
		switch {
		case len(s) > MaxReason:
			return protocol.Order{}, invalid("reason of %d bytes; the limit is %d", len(s), MaxReason)
		case !utf8.ValidString(s):
			return protocol.Order{}, invalid("reason %q is not UTF-8", s)
		}
	}
	return protocol.Order(r), nil
}

// Depose forces an election: the leader at the given token loses its seat, whether it
// answers or not; 0 stands for whoever leads now. If it can, it stops at once, and its
// function is waited for by nobody but its own process. Its successor leads when it
// has cleared its seat, at the latest after its TTL x (1 + drift), and the time a
// commit takes: by then it has stopped by itself. So no two lead at once even if it
// hangs while its renewals go on. The one who was deposed stands back for a TTL.
//
// Depose returns once the seat is vacant; see Wait for the next leader. Where it is
// vacant already, nothing changes.
//
// Errors: ErrNoLeader, ErrChanged when somebody else leads than at the token,
// ErrInvalid, and those of the store and of ctx; unless it is ErrDenied, an error of
// the store leaves the outcome unknown, and the call may be repeated.
func (v *View) Depose(ctx context.Context, token Token, reason Reason) error {
	return v.operate(ctx, "depose", func(ctx context.Context) error { return v.depose(ctx, token, reason) })
}

func (v *View) depose(ctx context.Context, token Token, reason Reason) error {
	order, err := reason.order()
	if err != nil {
		return err
	}
	key := protocol.SeatKey(v.election)
	for {
		l, err := list(ctx, v.st, store.Keys(key))
		if err != nil {
			return err
		}
		seat := l.Entry(key)
		if seat == nil {
			return ErrNoLeader
		}
		at := seat.Modified
		if s, err := protocol.DecodeSeat(seat.Value); err == nil && s.Vacancy != nil {
			if token == 0 || token == s.Vacancy.Token || token == at {
				return nil
			}
			at = 0
		}
		if token != 0 && token != at {
			return ErrChanged
		}
		res, err := commit(ctx, v.st, protocol.Depose(v.election, seat, MaxTTL, order))
		switch {
		case errors.Is(err, store.ErrConflict):
		case err != nil || res.Committed:
			return err
		}
		token = seat.Modified // whoever leads next is not who was to be deposed
	}
}

// Transfer asks the leader at the given token (0: whoever leads now) to hand over to
// a member that waits, or stands back. The leader's function is drained first, for as
// long as that takes. Transfer waits for the outcome, and returns who leads then; it
// does nothing if the member leads already.
//
// Errors: ErrNoLeader, ErrChanged as of Depose, ErrNotCandidate when the member is not
// in line, ErrPaused, ErrWentElsewhere when it was gone by the time the leader had drained,
// ErrInvalid, and those of the store and of ctx. When ctx ends while the leader drains,
// the transfer goes on.
func (v *View) Transfer(ctx context.Context, token Token, to string, reason Reason) (Leader, error) {
	var leader Leader
	err := v.operate(ctx, "transfer", func(ctx context.Context) (err error) {
		leader, err = v.transfer(ctx, token, to, reason)
		return err
	})
	return leader, err
}

func (v *View) transfer(ctx context.Context, token Token, to string, reason Reason) (Leader, error) {
	if err := checkName("member id", to); err != nil {
		return Leader{}, err
	}
	order, err := reason.order()
	if err != nil {
		return Leader{}, err
	}
	for {
		look, err := v.look(ctx)
		switch {
		case err != nil:
			return Leader{}, err
		case look.status.Leader == nil:
			return Leader{}, ErrNoLeader
		case token != 0 && token != look.status.Leader.Token:
			return *look.status.Leader, ErrChanged
		}
		leader := *look.status.Leader
		if leader.Member == to {
			return leader, nil
		}
		candidate, err := look.named(to)
		if err != nil {
			return leader, err
		}
		token = leader.Token
		res, err := commit(ctx, v.st, protocol.Transfer(v.election, look.seat, candidate.Key, candidate.Modified, to, order))
		switch {
		case errors.Is(err, store.ErrConflict):
		case err != nil:
			return leader, err
		case res.Committed:
			return v.transferred(ctx, token, to)
		}
	}
}

// transferred waits for the outcome of a transfer.
func (v *View) transferred(ctx context.Context, token Token, to string) (Leader, error) {
	leader, err := v.wait(ctx, token)
	if err == nil && leader.Member != to {
		err = fmt.Errorf("%w: %q leads", ErrWentElsewhere, leader.Member)
	}
	return leader, err
}

// Wait waits until somebody leads with a token above the given one, and returns who;
// after 0 that is whoever leads. Errors as of Observe.
func (v *View) Wait(ctx context.Context, after Token) (Leader, error) {
	leader, err := v.wait(ctx, after)
	if err != nil {
		return Leader{}, v.fail("wait", err)
	}
	return leader, nil
}

func (v *View) wait(ctx context.Context, after Token) (Leader, error) {
	for ev, err := range v.Observe(ctx) {
		if err != nil {
			if outer, ok := errors.AsType[*Error](err); ok {
				err = outer.Err
			}
			return Leader{}, err
		}
		if ev.Kind == Elected && ev.Leader.Token > after {
			return ev.Leader, nil
		}
	}
	return Leader{}, ctx.Err() // not reached: the sequence ends with an error
}

// Pause lets nobody be elected until Unpause. A leader goes on, and when its term ends
// the seat stays free. Errors: ErrInvalid, and those of the store and of ctx.
func (v *View) Pause(ctx context.Context, reason Reason) error {
	return v.operate(ctx, "pause", func(ctx context.Context) error {
		return command(ctx, v.st, protocol.PauseKey(v.election), &reason)
	})
}

// Unpause ends a Pause; without one it does nothing. Errors as of Pause.
func (v *View) Unpause(ctx context.Context) error {
	return v.operate(ctx, "unpause", func(ctx context.Context) error {
		return command(ctx, v.st, protocol.PauseKey(v.election), nil)
	})
}

// Drain has a member give up its seats, each when its function has returned, and take
// none until Undrain, whichever elections it campaigns in and however often it is
// started. It need not run. Drain does not wait for that. Errors: ErrInvalid, and
// those of the store and of ctx.
func Drain(ctx context.Context, st store.Store, member string, reason Reason) error {
	return operateOn(ctx, "drain", member, func(ctx context.Context) error {
		return command(ctx, st, protocol.DrainKey(member), &reason)
	})
}

// Undrain ends a Drain; without one it does nothing. Errors as of Drain.
func Undrain(ctx context.Context, st store.Store, member string) error {
	return operateOn(ctx, "undrain", member, func(ctx context.Context) error {
		return command(ctx, st, protocol.DrainKey(member), nil)
	})
}

// command writes what operators want, or that they want it no longer.
func command(ctx context.Context, st store.Store, key string, reason *Reason) error {
	op := store.Delete(key)
	if reason != nil {
		order, err := reason.order()
		if err != nil {
			return err
		}
		op = store.Put(key, protocol.Encode(protocol.NewControl(order)), store.NoLease)
	}
	for {
		_, err := commit(ctx, st, store.Tx{Then: []store.Op{op}})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// list and commit bound one request.
func list(ctx context.Context, st store.Store, q store.Query) (store.Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return st.List(ctx, q)
}

func commit(ctx context.Context, st store.Store, tx store.Tx) (store.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return st.Commit(ctx, tx)
}

func (v *View) operate(ctx context.Context, op string, f func(context.Context) error) error {
	err := checkName("election name", v.election)
	if err == nil {
		err = f(ctx)
	}
	if err != nil {
		return v.fail(op, err)
	}
	return nil
}

func (v *View) fail(op string, err error) error {
	return &Error{Op: op, Election: v.election, Err: err}
}

func operateOn(ctx context.Context, op, member string, f func(context.Context) error) error {
	err := checkName("member id", member)
	if err == nil {
		err = f(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s member %q: %w", op, member, err)
	}
	return nil
}
