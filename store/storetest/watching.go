package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/tenure-go/tenure/store"
)

// keepHistory holds off compaction until the check has ended.
func (e *env) keepHistory() {
	e.kept = true
	e.after = append(e.after, e.history.keep())
}

// dropHistory compacts the store, alone.
func (e *env) dropHistory(raw store.Store) {
	if e.Compact == nil {
		e.skipf("the harness does not compact the store")
	}
	e.kept = true
	e.after = append(e.after, e.history.drop())
	e.must(e.Compact(e.ctx, raw), "compact")
}

// step is one element of a watch.
type step struct {
	store.Changes
	err error
}

// watch is one running watch.
type watch struct {
	e      *env
	steps  chan step
	cancel context.CancelFunc
}

// watch starts a watch in a goroutine of its own; cleanup ends it.
func (e *env) watch(st store.Store, prefix string, after store.Revision) *watch {
	ctx, cancel := context.WithCancel(e.ctx)
	return e.watchCtx(ctx, cancel, st, prefix, after)
}

func (e *env) watchCtx(ctx context.Context, cancel context.CancelFunc,
	st store.Store, prefix string, after store.Revision,
) *watch {
	if !e.kept {
		panic("storetest: a check that watches must call keepHistory before it writes")
	}
	w := &watch{e: e, steps: make(chan step), cancel: cancel}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(w.steps)
		for c, err := range st.Watch(ctx, prefix, after) {
			select {
			case w.steps <- step{c, err}:
			case <-quit:
				return
			}
		}
	}()
	e.after = append(e.after, func() {
		cancel()
		close(quit)
		select {
		case <-ended:
		case <-time.After(patience): // a case of its own says so
		}
	})
	return w
}

// next returns the next element, and false when there is none.
func (w *watch) next() (step, bool) {
	select {
	case s, ok := <-w.steps:
		return s, ok
	case <-time.After(patience):
		w.e.failf("watch: nothing came for %v", patience)
		panic("unreachable")
	}
}

// upTo returns the elements with events until the watch is complete up to rev,
// which must be the revision of a change it sees.
func (w *watch) upTo(rev store.Revision) []store.Changes {
	var all []store.Changes
	for {
		s, ok := w.next()
		w.e.check(ok, "watch: ended without an error before revision %d", rev)
		w.e.must(s.err, "watch: ended before revision %d", rev)
		if len(s.Events) > 0 {
			all = append(all, s.Changes)
		}
		if s.Revision >= rev {
			return all
		}
	}
}

// events returns the events until the watch is complete up to rev.
func (w *watch) events(rev store.Revision) []store.Event {
	var events []store.Event
	for _, c := range w.upTo(rev) {
		events = append(events, c.Events...)
	}
	return events
}

// wantEnd fails the check unless the watch ends with want, as its last element,
// and returns the events that came before.
func (w *watch) wantEnd(want error) []store.Event {
	var events []store.Event
	for {
		s, ok := w.next()
		w.e.check(ok, "watch: ended without an error, want %v", want)
		events = append(events, s.Events...)
		if s.err == nil {
			continue
		}
		w.e.wantErr(s.err, want, "watch")
		_, more := w.next()
		w.e.check(!more, "watch: its error was not the last element")
		return events
	}
}

// started starts a watch and returns once it has delivered the present value of
// key: from then on it is live.
func (e *env) started(st store.Store, prefix, key string) *watch {
	rev := e.put(st, key, "begin")
	w := e.watch(st, prefix, rev-1)
	w.upTo(rev)
	return w
}

// drain reads what a watch has left until it is complete up to rev, or is lost
// to its own lag, which it then says.
func (w *watch) drain(rev store.Revision) (events []store.Event, lost bool) {
	for {
		s, ok := w.next()
		w.e.check(ok, "watch: ended without an error before revision %d", rev)
		if errors.Is(s.err, store.ErrCompacted) || errors.Is(s.err, store.ErrUnavailable) {
			return events, true
		}
		w.e.must(s.err, "watch: ended before revision %d", rev)
		events = append(events, s.Events...)
		if s.Revision >= rev {
			return events, false
		}
	}
}
