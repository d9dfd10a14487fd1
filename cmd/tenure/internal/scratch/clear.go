package scratch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	sweeps    = 5 // at most; the first finds all, unless a request takes effect late
	sweepWait = 200 * time.Millisecond
	perDelete = 100 // keys
)

// Clear ends every lease of the space and deletes all of its keys. The handles must
// have been closed. Its error says what is left.
func (s *Space) Clear(ctx context.Context) (err error) {
	// Through a handle that is not cut off with the space, and whose calls end in time
	// whatever the store makes of their context.
	st, err := New("", s.open, math.MaxInt64).Whole(ctx)
	if err != nil {
		return fmt.Errorf("what was made under %q is left: %w", s.prefix, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for range sweeps {
		var left int
		if left, err = s.sweep(ctx, st); err == nil && left == 0 {
			return nil
		}
		select {
		case <-time.After(sweepWait):
		case <-ctx.Done():
		}
	}
	l, listed := st.List(ctx, store.Prefix(s.prefix))
	if err = errors.Join(err, listed); err != nil {
		return fmt.Errorf("what was made under %q may be left: %w", s.prefix, err)
	}
	if len(l.Entries) > 0 {
		return fmt.Errorf("%d keys under %q are left", len(l.Entries), s.prefix)
	}
	return nil
}

// sweep removes what there is, and returns how many keys and leases that was.
func (s *Space) sweep(ctx context.Context, st store.Store) (found int, err error) {
	l, err := st.List(ctx, store.Prefix(s.prefix))
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	leases := maps.Clone(s.leases)
	s.mu.Unlock()
	for _, e := range l.Entries {
		if e.Lease != store.NoLease { // of another process, that was killed
			leases[e.Lease] = struct{}{}
		}
	}
	var errs []error
	for id := range leases {
		err := st.Revoke(ctx, id)
		if err == nil || errors.Is(err, store.ErrLeaseNotFound) {
			s.ended(id)
			continue
		}
		errs = append(errs, err)
	}
	c := st.Capabilities()
	most := perDelete
	if !c.MultiKey {
		most = 1
	} else if c.MaxOps > 0 {
		most = min(most, c.MaxOps)
	}
	for entries := range slices.Chunk(l.Entries, most) {
		var tx store.Tx
		for _, e := range entries {
			tx.Then = append(tx.Then, store.Delete(e.Key))
		}
		if _, err := st.Commit(ctx, tx); err != nil {
			errs = append(errs, err)
		}
	}
	return len(leases) + len(l.Entries), errors.Join(errs...)
}
