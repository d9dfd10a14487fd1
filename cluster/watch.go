package cluster

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// Watch is as of Node.
func (v *View) Watch(ctx context.Context, key string) iter.Seq2[Event, error] {
	return v.watch(ctx, stateOf(key), checkKey(key))
}

// WatchPrefix is as of Node.
func (v *View) WatchPrefix(ctx context.Context, prefix string) iter.Seq2[Event, error] {
	return v.watch(ctx, stateFrom(prefix), nil)
}

func (v *View) watch(ctx context.Context, prefix string, err error) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err == nil {
			err = checkName("cluster name", v.name, MaxName)
		}
		if err != nil {
			yield(Event{}, v.fail("watch", err))
			return
		}
		w := watcher{known: map[string][]byte{}}
		for batch, err := range store.Follow(ctx, v.st, prefix, v.report) {
			if err != nil {
				yield(Event{}, v.fail("watch", err))
				return
			}
			for _, ev := range w.take(batch) {
				if !yield(ev, nil) {
					return
				}
			}
		}
	}
}

// watcher turns what happens to keys into what happens to values.
type watcher struct {
	known map[string][]byte
	ready bool
}

func (w *watcher) take(b store.Batch) []Event {
	var told []Event
	if b.Listed && w.ready {
		told = append(told, Event{Kind: Gap, Since: b.Since, Revision: b.Revision})
	}
	for i := range b.Events {
		if ev, news := w.change(&b.Events[i]); news {
			told = append(told, ev)
		}
	}
	if b.Listed {
		slices.SortStableFunc(told, func(a, b Event) int { return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Node, b.Node)) })
	}
	if !w.ready {
		w.ready = true
		told = append(told, Event{Kind: Ready, Revision: b.Revision})
	}
	return told
}

// change is one event for users, unless the value is what it was: a node that comes back
// puts its values again, on a new lease.
func (w *watcher) change(ev *store.Event) (Event, bool) {
	k := ev.Entry.Key
	told := Event{Revision: ev.Entry.Modified}
	told.Key, told.Node = splitState(k)
	old, was := w.known[k]
	told.Old = old
	switch {
	case ev.Deleted:
		delete(w.known, k)
		told.Kind = Deleted
		return told, was
	case !w.ready:
		told.Kind = Present
	case !was:
		told.Kind = Added
	default:
		told.Kind = Modified
	}
	value := ev.Entry.Value
	if value == nil {
		value = []byte{}
	}
	told.Value, w.known[k] = value, value
	return told, !was || !bytes.Equal(old, value)
}
