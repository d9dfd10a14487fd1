package scratch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// handle is a handle on the store that tells its space what is done through it.
type handle struct {
	store.Store
	s *Space

	mu      sync.Mutex
	pending int           // requests whose answer is to come
	idle    chan struct{} // closed, and set to nil, when there are none; nil: nobody waits for that
}

func (h *handle) begins() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending++
}

func (h *handle) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending--; h.pending == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// answer is what a request has come to.
type answer[T any] struct {
	value T
	err   error
}

// ask makes a request and hears its answer, also when its caller has gone by then:
// it may take effect all the same, and what it has made must be removed.
func ask[T any](ctx context.Context, h *handle, call func(context.Context) (T, error)) (T, error) {
	var none T
	if err := h.s.admit(); err != nil {
		return none, err
	}
	if ctx.Err() != nil {
		return call(ctx) // which has no effect
	}
	answers := make(chan answer[T], 1)
	h.begins()
	go func() {
		defer h.answered()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		value, err := call(ctx)
		if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) { // which is not the caller's
			err = fmt.Errorf("%w: no answer within %v", store.ErrUnavailable, requestTimeout)
		}
		answers <- answer[T]{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-h.s.alive.Done():
		return none, h.s.refusal()
	}
}

// Path implements what store.Path looks for.
func (h *handle) Path(key string) string { return store.Path(h.Store, key) }

func (h *handle) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	return ask(ctx, h, func(ctx context.Context) (store.Result, error) { return h.Store.Commit(ctx, tx) })
}

func (h *handle) List(ctx context.Context, q store.Query) (store.Listing, error) {
	return ask(ctx, h, func(ctx context.Context) (store.Listing, error) { return h.Store.List(ctx, q) })
}

func (h *handle) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		if err := h.s.admit(); err != nil {
			yield(store.Changes{}, err)
			return
		}
		caller := ctx
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(h.s.alive, cancel)()
		for ch, err := range h.Store.Watch(ctx, prefix, after) {
			if err != nil && caller.Err() == nil && h.s.Cause() != nil {
				err = h.s.refusal()
			}
			if !yield(ch, err) {
				return
			}
		}
	}
}

func (h *handle) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return ask(ctx, h, func(ctx context.Context) (store.Lease, error) {
		lease, err := h.Store.Grant(ctx, ttl)
		if err == nil {
			h.s.granted(lease.ID)
		}
		return lease, err
	})
}

func (h *handle) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	return ask(ctx, h, func(ctx context.Context) (time.Duration, error) { return h.Store.Renew(ctx, id) })
}

func (h *handle) Revoke(ctx context.Context, id store.LeaseID) error {
	_, err := ask(ctx, h, func(ctx context.Context) (struct{}, error) {
		err := h.Store.Revoke(ctx, id)
		if err == nil {
			h.s.ended(id)
		}
		return struct{}{}, err
	})
	return err
}

// Close waits for the answers that are still to come, and no longer than they may
// take: a broken store may keep them for ever.
func (h *handle) Close() error {
	h.mu.Lock()
	if h.pending > 0 && h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	if idle != nil {
		late := time.NewTimer(requestTimeout)
		defer late.Stop()
		select {
		case <-idle:
		case <-late.C:
		case <-h.s.alive.Done():
		}
	}
	return h.Store.Close()
}
