package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// member is a member with a handle of its own.
type member struct {
	*tenure.Member
	st store.Store
}

type members []member

// join lets the members of a plan join; what it returns is to be closed also where it
// fails.
func join(ctx context.Context, plan Plan) (members, error) {
	var all members
	for i := range plan.Members {
		st, err := plan.Open(ctx)
		if err != nil {
			return all, err
		}
		m, err := tenure.Join(ctx, st, tenure.Options{ID: fmt.Sprintf("member-%d", i+1), TTL: plan.TTL})
		if err != nil {
			return all, errors.Join(err, st.Close())
		}
		all = append(all, member{m, st})
	}
	return all, nil
}

// close revokes the sessions.
func (all members) close() error {
	errs := make([]error, len(all))
	var closing sync.WaitGroup
	for i, m := range all {
		closing.Go(func() { errs[i] = errors.Join(m.Close(), m.st.Close()) })
	}
	closing.Wait()
	return errors.Join(errs...)
}
