package memstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// history is what happened of late, in order.
type history struct {
	limit     int
	steps     []store.Changes
	compacted store.Revision // up to and including which it is gone
}

func (h *history) add(c store.Changes) {
	h.steps = append(h.steps, c)
	// Twice the limit is the moment to drop half: so each step is moved at most
	// once on average.
	if len(h.steps) >= 2*h.limit {
		h.compact(h.steps[len(h.steps)-h.limit-1].Revision)
	}
}

func (h *history) compact(rev store.Revision) {
	if rev <= h.compacted {
		return
	}
	h.compacted = rev
	h.steps = slices.Clone(h.after(rev))
}

func (h *history) after(rev store.Revision) []store.Changes {
	i, _ := slices.BinarySearchFunc(h.steps, rev+1, func(c store.Changes, rev store.Revision) int {
		return cmp.Compare(c.Revision, rev)
	})
	return h.steps[i:]
}

// under returns the part of the history after rev that concerns prefix.
func (h *history) under(prefix string, rev store.Revision) []store.Changes {
	var all []store.Changes
	for _, step := range h.after(rev) {
		var events []store.Event
		for _, ev := range step.Events {
			if strings.HasPrefix(ev.Entry.Key, prefix) {
				events = append(events, ev)
			}
		}
		if events != nil {
			all = append(all, store.Changes{Revision: step.Revision, Events: events})
		}
	}
	return all
}

// watchers finds those whom a change concerns without asking all of them: by
// looking up each beginning of the key that is as long as some watched prefix.
type watchers struct {
	limit    int // of steps that one of them may lag behind
	byPrefix map[string]map[*watcher]struct{}
	lengths  map[int]int // of prefixes, with the number of watchers
}

func newWatchers(limit int) watchers {
	return watchers{
		limit:    limit,
		byPrefix: map[string]map[*watcher]struct{}{},
		lengths:  map[int]int{},
	}
}

// watcher is one running watch. The lock of its data guards it.
type watcher struct {
	prefix  string
	after   store.Revision
	pending []store.Changes
	lost    bool          // it lagged too far; pending is incomplete
	wake    chan struct{} // holds one token while there is news
}

func (ws *watchers) add(w *watcher) {
	if ws.byPrefix[w.prefix] == nil {
		ws.byPrefix[w.prefix] = map[*watcher]struct{}{}
	}
	ws.byPrefix[w.prefix][w] = struct{}{}
	ws.lengths[len(w.prefix)]++
}

func (ws *watchers) remove(w *watcher) {
	delete(ws.byPrefix[w.prefix], w)
	if len(ws.byPrefix[w.prefix]) == 0 {
		delete(ws.byPrefix, w.prefix)
	}
	if ws.lengths[len(w.prefix)]--; ws.lengths[len(w.prefix)] == 0 {
		delete(ws.lengths, len(w.prefix))
	}
}

func (ws *watchers) notify(rev store.Revision, events []store.Event) {
	for _, ev := range events {
		for n := range ws.lengths {
			if n > len(ev.Entry.Key) {
				continue
			}
			for w := range ws.byPrefix[ev.Entry.Key[:n]] {
				w.push(rev, ev, ws.limit)
			}
		}
	}
}

func (w *watcher) push(rev store.Revision, ev store.Event, limit int) {
	if rev <= w.after || w.lost {
		return
	}
	last := len(w.pending) - 1
	switch {
	case last >= 0 && w.pending[last].Revision == rev:
		w.pending[last].Events = append(w.pending[last].Events, ev)
	case len(w.pending) >= limit:
		w.pending, w.lost = nil, true
	default:
		w.pending = append(w.pending, store.Changes{Revision: rev, Events: []store.Event{ev}})
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// watch runs one watch in the goroutine of its consumer. No lock is held while
// the consumer has a step in hand, so a slow one delays nobody.
func (s *Store) watch(ctx context.Context, prefix string, after store.Revision, yield func(store.Changes, error) bool) {
	w, steps, err := s.data.open(prefix, after)
	if err != nil {
		yield(store.Changes{}, err)
		return
	}
	defer s.data.drop(w)
	for {
		for _, step := range steps {
			if err := s.check(ctx); err != nil {
				yield(store.Changes{}, err)
				return
			}
			if !yield(exportChanges(step), nil) {
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
		case <-s.closed:
		}
		if err := s.check(ctx); err != nil {
			yield(store.Changes{}, err)
			return
		}
		if steps, err = s.data.take(w); err != nil {
			yield(store.Changes{}, err)
			return
		}
	}
}

// open registers a watch and returns what it has to catch up with, or one empty
// step.
func (d *data) open(prefix string, after store.Revision) (*watcher, []store.Changes, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if after < d.history.compacted {
		return nil, nil, store.ErrCompacted
	}
	w := &watcher{prefix: prefix, after: after, wake: make(chan struct{}, 1)}
	d.watchers.add(w)
	steps := d.history.under(prefix, after)
	if steps == nil && d.rev >= after {
		steps = []store.Changes{{Revision: d.rev}}
	}
	return w, steps, nil
}

func (d *data) take(w *watcher) ([]store.Changes, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.lost {
		return nil, store.ErrCompacted
	}
	steps := w.pending
	w.pending = nil
	return steps, nil
}

func (d *data) drop(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers.remove(w)
}

// exportChanges gives a step away; others watch the same entries.
func exportChanges(c store.Changes) store.Changes {
	events := make([]store.Event, len(c.Events))
	for i, ev := range c.Events {
		events[i] = store.Event{Deleted: ev.Deleted, Entry: export(ev.Entry)}
	}
	return store.Changes{Revision: c.Revision, Events: events}
}
