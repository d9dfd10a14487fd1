// Package faultstore wraps a store so that tests can make it go wrong: slow, out
// of reach, failing before or after the effect, late, or silent to its watches.
// Without a fault it is the store that it wraps, and it counts the calls.
//
// It works inside a bubble of testing/synctest, where its delays pass in
// virtual time.
package faultstore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// Store wraps another store. All methods may be called from many goroutines.
type Store struct {
	st     store.Store
	closed chan struct{}
	once   sync.Once
	err    error          // of the one Close
	late   sync.WaitGroup // effects to come; grows only while not ending

	mu      sync.Mutex
	ending  bool
	faults  []*fault // by rising seq
	seq     int      // of the last one
	watches map[*watch]struct{}
	calls   Calls
	hits    map[string]int
}

var _ store.Store = (*Store)(nil)

// fault is a Fault in place. The lock of its store guards used.
type fault struct {
	Fault
	seq     int
	used    int
	removed chan struct{}
}

// New wraps st. The Store closes st when it is closed.
func New(st store.Store) *Store {
	return &Store{
		st:      st,
		closed:  make(chan struct{}),
		watches: map[*watch]struct{}{},
		hits:    map[string]int{},
	}
}

// Inject puts a fault in place and returns what removes it, which may be called
// more than once. A call is held up by each Delay and Partition that concerns
// it, in the order in which they were put in place, up to the first fault that
// answers it.
func (s *Store) Inject(f Fault) (remove func()) {
	in := &fault{Fault: f, removed: make(chan struct{})}
	in.Err = cmp.Or(in.Err, store.ErrUnavailable)
	s.mu.Lock()
	s.seq++
	in.seq = s.seq
	s.faults = append(s.faults, in)
	var broken []*watch
	if f.Kind == Break {
		for w := range s.watches {
			if s.claim(in, w.call) {
				broken = append(broken, w)
			}
		}
	}
	s.mu.Unlock()
	for _, w := range broken {
		w.stop(in.Err)
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(other *fault) bool { return other == in })
		close(in.removed)
	})
}

// Calls returns how many calls were made, whatever became of them.
func (s *Store) Calls() Calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Hits returns how many calls the faults of that name have concerned, those that
// were removed included.
func (s *Store) Hits(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[name]
}

// claim counts c against f and reports whether f concerns it. The lock is held.
func (s *Store) claim(f *fault, c Call) bool {
	if f.Count > 0 && f.used >= f.Count || !f.concerns(c) {
		return false
	}
	f.used++
	s.hits[f.Name]++
	if f.OnHit != nil {
		f.OnHit(c)
	}
	return true
}

// next claims the first fault for c that was put in place after the one of the
// given seq. Where there is none, it calls admit, which no fault can then miss.
func (s *Store) next(c Call, seq int, admit func()) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.seq > seq && s.claim(f, c) {
			return f
		}
	}
	admit()
	return nil
}

// meet takes c through its faults up to the first that answers it, and returns
// that, or nil. The error is that of a call which was held up for too long.
func (s *Store) meet(ctx context.Context, c Call, admit func()) (*fault, error) {
	if s.count(c) {
		return nil, store.ErrClosed
	}
	for seq := 0; ; {
		f := s.next(c, seq, admit)
		if f == nil {
			return nil, nil
		}
		var err error
		switch f.Kind {
		case Delay:
			err = s.pause(ctx, f.Delay)
		case Partition, Stall:
			err = s.wait(ctx, f)
		default:
			return f, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		seq = f.seq
	}
}

func (s *Store) count(c Call) (closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.add(c.Op)
	return s.ending
}

func (s *Store) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return store.ErrClosed
	}
}

// wait waits until f is removed.
func (s *Store) wait(ctx context.Context, f *fault) error {
	select {
	case <-f.removed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return store.ErrClosed
	}
}

// do takes a call through its faults; send sends it to the store.
func (s *Store) do(ctx context.Context, c Call, send func(context.Context) error) error {
	f, err := s.meet(ctx, c, func() {})
	if err != nil {
		return err
	}
	if f == nil {
		return send(ctx)
	}
	switch f.Kind {
	case LoseReply:
		_ = send(ctx) // whatever it was, nobody will know
		if err := ctx.Err(); err != nil {
			return err
		}
	case Late:
		s.sendLater(ctx, f.Delay, send)
		if f.Hang {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-s.closed:
				return store.ErrClosed
			}
		}
	}
	return f.Err
}

// sendLater sends what no caller waits for any more. Close waits for it.
func (s *Store) sendLater(ctx context.Context, d time.Duration, send func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return // Close has begun to wait
	}
	s.late.Add(1)
	time.AfterFunc(d, func() {
		defer s.late.Done()
		_ = send(context.WithoutCancel(ctx))
	})
}

// Commit passes tx on.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	return answer(ctx, s, Call{Op: OpCommit, Tx: tx}, func(ctx context.Context) (store.Result, error) {
		return s.st.Commit(ctx, tx)
	})
}

// List passes q on.
func (s *Store) List(ctx context.Context, q store.Query) (store.Listing, error) {
	return answer(ctx, s, Call{Op: OpList, Query: q}, func(ctx context.Context) (store.Listing, error) {
		return s.st.List(ctx, q)
	})
}

// Grant passes the call on.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return answer(ctx, s, Call{Op: OpGrant, TTL: ttl}, func(ctx context.Context) (store.Lease, error) {
		return s.st.Grant(ctx, ttl)
	})
}

// Renew passes the call on.
func (s *Store) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	return answer(ctx, s, Call{Op: OpRenew, Lease: id}, func(ctx context.Context) (time.Duration, error) {
		return s.st.Renew(ctx, id)
	})
}

// Revoke passes the call on.
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	return s.do(ctx, Call{Op: OpRevoke, Lease: id}, func(ctx context.Context) error {
		return s.st.Revoke(ctx, id)
	})
}

// answer is do for a call with a result, of which an error leaves nothing.
func answer[T any](ctx context.Context, s *Store, c Call, send func(context.Context) (T, error)) (T, error) {
	replies := make(chan T, 1) // a late reply may come after this has returned
	err := s.do(ctx, c, func(ctx context.Context) error {
		reply, err := send(ctx)
		replies <- reply
		return err
	})
	var reply T
	if err == nil {
		reply = <-replies
	}
	return reply, err
}

// Capabilities are those of the store inside.
func (s *Store) Capabilities() store.Capabilities { return s.st.Capabilities() }

// Close ends the calls and watches that are held up, waits until every late
// effect has come about, and closes the store inside.
func (s *Store) Close() error {
	first := false
	s.once.Do(func() {
		first = true
		s.mu.Lock()
		s.ending = true
		s.mu.Unlock()
		close(s.closed)
		s.late.Wait()
		s.err = s.st.Close()
	})
	if !first {
		return nil
	}
	return s.err
}

// Path is the key under which the wrapped store keeps key; see store.Path.
func (s *Store) Path(key string) string { return store.Path(s.st, key) }
