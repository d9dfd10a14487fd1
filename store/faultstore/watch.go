package faultstore

import (
	"context"
	"errors"
	"iter"

	"github.com/tenure-go/tenure/store"
)

// watch is a running watch.
type watch struct {
	call   Call
	cancel context.CancelCauseFunc
}

// broken is the cause with which a watch's context ends when a fault ends it.
type broken struct{ error }

func (w *watch) stop(err error) { w.cancel(broken{err}) }

// Watch passes the watch on, and what it delivers.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		w := &watch{call: Call{Op: OpWatch, Prefix: prefix, After: after}}
		inner, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		w.cancel = cancel
		f, err := s.meet(ctx, w.call, func() { s.watches[w] = struct{}{} })
		defer s.forget(w)
		if err == nil && f != nil {
			err = f.Err
		}
		if err != nil {
			yield(store.Changes{}, err)
			return
		}
		s.run(ctx, inner, w, yield)
	}
}

func (s *Store) forget(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watches, w)
}

// run delivers what comes of w, under inner; ctx is the consumer's.
func (s *Store) run(ctx, inner context.Context, w *watch, yield func(store.Changes, error) bool) {
	for c, err := range s.st.Watch(inner, w.call.Prefix, w.call.After) {
		for f := s.holder(w); f != nil && err == nil; f = s.holder(w) {
			err = s.wait(inner, f)
		}
		if err != nil {
			if by := (broken{}); errors.As(context.Cause(inner), &by) && ctx.Err() == nil {
				err = by.error
			}
			yield(store.Changes{}, err)
			return
		}
		if !yield(c, nil) {
			return
		}
	}
}

// holder claims a fault that holds back what w delivers, or returns nil. The
// watch then waits for its removal, so that it claims each fault once.
func (s *Store) holder(w *watch) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.holds() && s.claim(f, w.call) {
			return f
		}
	}
	return nil
}
