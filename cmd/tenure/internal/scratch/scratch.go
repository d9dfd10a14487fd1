// Package scratch is a part of somebody's store for trials. A trial must leave
// nothing behind, whatever becomes of it: no key, and no lease. So a Space knows
// every lease that was granted through its handles, hears the answer to every
// request, also where whoever made it has gone, and can be cut off at once.
package scratch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	// requestTimeout bounds each request, whatever its caller grants it.
	requestTimeout = 10 * time.Second
	// OpenTimeout bounds the making of a handle.
	OpenTimeout = 15 * time.Second
)

// ErrCut is what every call returns once a Space has been cut off.
var ErrCut = errors.New("the trial was cut off")

// Opener opens a handle on the store.
type Opener func(ctx context.Context) (store.Store, error)

// Space is all keys of a store under one random prefix. All methods may be called
// from many goroutines.
type Space struct {
	prefix string
	open   Opener
	limit  int64

	alive context.Context // until it is cut off
	cut   context.CancelCauseFunc

	mu       sync.Mutex
	requests int64
	handles  int
	leases   map[store.LeaseID]struct{} // granted, and not known to have ended
}

// New returns a space whose prefix begins with name. It is cut off after limit
// requests, so that nothing that goes wrong becomes a burden to the store.
func New(name string, open Opener, limit int64) *Space {
	s := &Space{prefix: name + "-" + rand.Text() + "/", open: open, limit: limit, leases: map[store.LeaseID]struct{}{}}
	s.alive, s.cut = context.WithCancelCause(context.Background())
	return s
}

// Prefix is what all keys of the space begin with.
func (s *Space) Prefix() string { return s.prefix }

// Requests is how many requests have been made, and through how many handles.
func (s *Space) Requests() (requests int64, handles int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.handles
}

// Cut ends every call and every watch, and refuses all further ones, with an error
// that is ErrCut and store.ErrClosed. Clear still works.
func (s *Space) Cut(why error) { s.cut(why) }

// Cause says why the space was cut off; nil: it was not.
func (s *Space) Cause() error { return context.Cause(s.alive) }

// refusal is what calls return from then on; nobody tries a closed store again.
func (s *Space) refusal() error {
	return fmt.Errorf("%w: %w: %w", store.ErrClosed, ErrCut, s.Cause())
}

// Whole opens a handle whose keys are those of the whole store: whoever uses it
// keeps to the prefix.
func (s *Space) Whole(ctx context.Context) (store.Store, error) {
	if s.Cause() != nil {
		return nil, s.refusal()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// To its end: a driver may make something in the store that it then undoes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), OpenTimeout)
	defer cancel()
	st, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles++
	return &handle{Store: st, s: s}, nil
}

// Open opens a handle whose keys are those under the prefix, without it. To whoever
// uses it that is the whole store.
func (s *Space) Open(ctx context.Context) (store.Store, error) {
	st, err := s.Whole(ctx)
	if err != nil {
		return nil, err
	}
	return &part{store.Sub(st, s.prefix), st}, nil
}

// part is a Sub that closes what it is a part of, and has no Path.
type part struct {
	store.Store
	whole store.Store
}

func (p *part) Close() error { return p.whole.Close() }

// admit counts a request.
func (s *Space) admit() error {
	s.mu.Lock()
	s.requests++
	over := s.requests > s.limit
	s.mu.Unlock()
	if over {
		s.cut(fmt.Errorf("more than %d requests", s.limit))
	}
	if s.Cause() != nil {
		return s.refusal()
	}
	return nil
}

func (s *Space) granted(id store.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[id] = struct{}{}
}

func (s *Space) ended(id store.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, id)
}

// CutAfter cuts the space off so long after ctx has ended: until then, what is under
// way may come to a clean end. The function that it returns calls that off.
func (s *Space) CutAfter(ctx context.Context, grace time.Duration) (stop func()) {
	off, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-off:
			return
		}
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-late.C:
			s.Cut(context.Cause(ctx))
		case <-off:
		}
	}()
	return sync.OnceFunc(func() {
		close(off)
		<-ended
	})
}
