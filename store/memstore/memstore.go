// Package memstore is a store that lives in one process. It fulfils the whole
// contract of package store, keeps a bounded history for its watches, and ends
// leases on time. It serves tests, programs whose members all live in one
// process, and as the yardstick for every other driver.
//
// It has no goroutine of its own: leases end through time.AfterFunc, and a watch
// runs in the goroutine that ranges over it. So it works inside a bubble of
// testing/synctest, where leases end in virtual time.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	defaultHistory = 10_000
	defaultMinTTL  = time.Millisecond
)

// Options tune a store. The zero value is what New uses.
type Options struct {
	// History is how many revisions are kept for watches that begin in the
	// past, and how many a slow watch may lag behind before it ends with
	// ErrCompacted. Default 10000.
	History int
	// MinTTL is the shortest lease; Grant raises what is below. Default 1 ms.
	MinTTL time.Duration
	// MaxOps and MaxValue are the limits of the same name in
	// store.Capabilities. Default none.
	MaxOps, MaxValue int
}

// Store is one handle on a store in memory. All methods may be called from many
// goroutines.
type Store struct {
	data   *data
	closed chan struct{}
	once   sync.Once
}

var _ store.Store = (*Store)(nil)

// New returns a handle on a new, empty store.
func New() *Store { return NewWith(Options{}) }

// NewWith returns a handle on a new, empty store with the given options.
func NewWith(o Options) *Store {
	o.History = cmp.Or(max(o.History, 0), defaultHistory)
	o.MinTTL = cmp.Or(max(o.MinTTL, 0), defaultMinTTL)
	return newHandle(newData(o))
}

func newHandle(d *data) *Store { return &Store{data: d, closed: make(chan struct{})} }

// Open returns another handle on the same store, as another process would have
// one. Each handle is closed on its own; Open works on a closed handle too, and
// the data lives as long as any handle is in use.
func (s *Store) Open() *Store { return newHandle(s.data) }

// check says why a call cannot go ahead.
func (s *Store) check(ctx context.Context) error {
	select {
	case <-s.closed:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// Commit applies tx. It never returns ErrConflict or ErrUnavailable. The
// conditions are looked at before the leases: a transaction that is refused and
// names a dead lease is refused.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if err := s.check(ctx); err != nil {
		return store.Result{}, err
	}
	if err := tx.Validate(s.Capabilities()); err != nil {
		return store.Result{}, err
	}
	return s.data.commit(tx)
}

// List returns what q selects.
func (s *Store) List(ctx context.Context, q store.Query) (store.Listing, error) {
	if err := s.check(ctx); err != nil {
		return store.Listing{}, err
	}
	return s.data.list(q), nil
}

// Watch yields every change under prefix after the given revision. Its first
// element is empty when there is nothing to catch up with.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		if err := s.check(ctx); err != nil {
			yield(store.Changes{}, err)
			return
		}
		s.watch(ctx, prefix, after, yield)
	}
}

// Grant makes a lease that ends by itself once ttl has passed since the last
// Grant or Renew.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	if err := s.check(ctx); err != nil {
		return store.Lease{}, err
	}
	return s.data.grant(ttl), nil
}

// Renew gives the lease its full TTL again.
func (s *Store) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	return s.data.renew(id)
}

// Revoke ends the lease and deletes what hangs on it.
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	return s.data.revoke(id)
}

// Capabilities says what the store can do: all there is.
func (s *Store) Capabilities() store.Capabilities {
	return store.Capabilities{
		Name:         "memory",
		MultiKey:     true,
		ForeignLease: true,
		EveryChange:  true,
		MaxOps:       s.data.MaxOps,
		MaxValue:     s.data.MaxValue,
		MinTTL:       s.data.MinTTL,
		PowerLoss:    "everything",
	}
}

// Close ends the watches of this handle. Other handles, the data and the leases
// live on.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Compact forgets the history up to and including rev, so that a watch that
// begins before rev ends with ErrCompacted. A rev beyond the present stands for
// the present. It is for tests.
func (s *Store) Compact(rev store.Revision) {
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	s.data.history.compact(min(rev, s.data.rev))
}

// data is what all handles of one store share.
type data struct {
	Options

	mu       sync.RWMutex
	rev      store.Revision
	entries  index
	leases   map[store.LeaseID]*lease
	granted  store.LeaseID // the last id given out
	history  history
	watchers watchers
}

func newData(o Options) *data {
	return &data{
		Options:  o,
		leases:   map[store.LeaseID]*lease{},
		history:  history{limit: o.History},
		watchers: newWatchers(o.History),
	}
}

func (d *data) commit(tx store.Tx) (store.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, cond := range tx.If {
		if !cond.Holds(d.entries.get(cond.Key)) {
			return store.Result{Revision: d.rev, Entries: d.pick(tx.Else)}, nil
		}
	}
	for _, op := range tx.Then {
		if !op.Delete && op.Lease != store.NoLease && d.leases[op.Lease] == nil {
			return store.Result{}, store.ErrLeaseNotFound
		}
	}
	d.write(tx.Then)
	return store.Result{Committed: true, Revision: d.rev}, nil
}

// write applies ops at one new revision, or at none when they change nothing.
// The lock is held, the leases are alive.
func (d *data) write(ops []store.Op) {
	events := make([]store.Event, 0, len(ops))
	for _, op := range ops {
		if ev, changed := d.apply(op, d.rev+1); changed {
			events = append(events, ev)
		}
	}
	if len(events) == 0 {
		return
	}
	d.rev++
	d.history.add(store.Changes{Revision: d.rev, Events: events})
	d.watchers.notify(d.rev, events)
}

func (d *data) apply(op store.Op, rev store.Revision) (store.Event, bool) {
	old := d.entries.get(op.Key)
	if old != nil && old.Lease != store.NoLease {
		delete(d.leases[old.Lease].keys, op.Key)
	}
	if op.Delete {
		if old == nil {
			return store.Event{}, false
		}
		d.entries.delete(op.Key)
		return store.Event{Deleted: true, Entry: store.Entry{Key: op.Key, Modified: rev}}, true
	}
	e := &store.Entry{Key: op.Key, Value: bytes.Clone(op.Value), Created: rev, Modified: rev, Lease: op.Lease}
	if old != nil {
		e.Created = old.Created
	}
	if op.Lease != store.NoLease {
		d.leases[op.Lease].keys[op.Key] = struct{}{}
	}
	d.entries.put(e)
	return store.Event{Entry: *e}, true
}

func (d *data) list(q store.Query) store.Listing {
	d.mu.RLock()
	defer d.mu.RUnlock()
	entries := d.pick(q.Keys)
	for _, p := range q.Prefixes {
		for e := range d.entries.under(p) {
			entries = append(entries, export(*e))
		}
	}
	if len(q.Keys)+len(q.Prefixes) > 1 {
		byKey := func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) }
		slices.SortFunc(entries, byKey)
		entries = slices.CompactFunc(entries, func(a, b store.Entry) bool { return a.Key == b.Key })
	}
	return store.Listing{Revision: d.rev, Entries: entries}
}

// pick returns those of keys that exist.
func (d *data) pick(keys []string) []store.Entry {
	var entries []store.Entry
	for _, key := range keys {
		if e := d.entries.get(key); e != nil {
			entries = append(entries, export(*e))
		}
	}
	return entries
}

// export gives an entry away: its value is the caller's to change.
func export(e store.Entry) store.Entry {
	e.Value = bytes.Clone(e.Value)
	return e
}
