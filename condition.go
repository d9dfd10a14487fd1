package tenure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// checkConds refuses conditions of a campaign that no transaction under its term
// could have.
func checkConds(conds []store.Cond, caps store.Capabilities) error {
	if len(conds) == 0 {
		return nil
	}
	tx := store.Tx{If: slices.Clone(conds)}
	err := tx.Validate(caps) // the prefix would make a forbidden empty key look allowed
	if err == nil {
		tx = tx.Under(protocol.DataPrefix)
		tx.If = append(tx.If, store.Exists(protocol.LeadersPrefix)) // in place of the seat
		err = tx.Validate(caps)
	}
	if err != nil {
		return fmt.Errorf("%w: conditions of a campaign: %w", ErrInvalid, err)
	}
	return nil
}

// meets asks the store whether the conditions of the campaign hold, under the term
// that it has won and before anybody works in it. What cannot be known now is asked
// again, as long as the term and ctx last. Nil: they held while the term was current.
//
// They cannot be conditions of the commit that seats this member. That is its
// predecessor's, most often, who knows nothing of them.
func (l *Leadership) meets(ctx context.Context) error {
	if len(l.c.opts.If) == 0 {
		return nil
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	round := roundOf(l.s.lease.TTL)
	for pause := min(reopenMin, round); ; pause = min(2*pause, round) {
		err := l.check(asking, round)
		switch {
		case err == nil || errors.Is(err, ErrConditionFailed):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !l.Held():
			<-l.ctx.Done() // at once, if it was a reader of the clocks who has noticed
			return l.Cause()
		case !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		l.s.m.trouble(l.c.election, "check conditions", err)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-asking.Done():
		}
	}
}

// check asks once.
func (l *Leadership) check(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tx := store.Tx{If: l.c.opts.If}
	for _, c := range tx.If {
		tx.Else = append(tx.Else, c.Key)
	}
	tx.Else = distinct(tx.Else)
	res, err := l.apply(ctx, tx)
	if err != nil || res.Committed {
		return err
	}
	for _, c := range tx.If {
		if !c.Holds(res.Entry(c.Key)) {
			return fmt.Errorf("%w: that %s", ErrConditionFailed, c)
		}
	}
	return fmt.Errorf("%w, and by now all hold", ErrConditionFailed) // Else is read later
}
