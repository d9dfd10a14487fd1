package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/store"
)

// Opener opens a handle on what is measured.
type Opener func(ctx context.Context) (store.Store, error)

// Tell is called with how many measurements of how many have been made. Calls come one
// at a time.
type Tell func(done, of int)

// betweenRounds spreads the rounds, so that more of what the store does beside them
// is met.
const betweenRounds = 25 * time.Millisecond

// Rounds measures what a session does every third of its TTL: a renewal, and a read of
// its terms. It returns the times of the renewals, and those of both together.
func Rounds(ctx context.Context, open Opener, n int, tell Tell) (renewals, rounds Sample, err error) {
	st, err := open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	lease, err := st.Grant(ctx, time.Minute) // which outlives any one round
	if err != nil {
		return nil, nil, err
	}
	const terms = "rounds/"
	if _, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put(terms+"term", []byte("a term"), lease.ID)}}); err != nil {
		return nil, nil, err
	}
	pause := time.NewTicker(betweenRounds)
	defer pause.Stop()
	for i := range n {
		began := time.Now()
		if _, err := st.Renew(ctx, lease.ID); err != nil {
			return renewals, rounds, fmt.Errorf("renewal %d of %d: %w", i+1, n, err)
		}
		renewals = append(renewals, time.Since(began))
		l, err := st.List(ctx, store.Prefix(terms))
		if err != nil {
			return renewals, rounds, fmt.Errorf("read %d of %d: %w", i+1, n, err)
		}
		if len(l.Entries) != 1 {
			return renewals, rounds, fmt.Errorf("read %d of %d: %d keys on a lease that is renewed, where one was put", i+1, n, len(l.Entries))
		}
		rounds = append(rounds, time.Since(began))
		tell(i+1, n)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return renewals, rounds, ctx.Err()
		}
	}
	return renewals, rounds, st.Revoke(ctx, lease.ID)
}
