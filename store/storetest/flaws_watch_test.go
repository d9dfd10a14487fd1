package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tenure-go/tenure/store"
)

type changes = iter.Seq2[store.Changes, error]

// onStep breaks each element of a watch: f returns what is yielded instead.
func onStep(f func(c store.Changes) []store.Changes) func() func(*broken) {
	return each(func(b *broken) {
		b.watch = func(ctx context.Context, prefix string, after store.Revision) changes {
			return func(yield func(store.Changes, error) bool) {
				for c, err := range b.Store.Watch(ctx, prefix, after) {
					if err != nil {
						yield(c, err)
						return
					}
					for _, c := range f(c) {
						if !yield(c, nil) {
							return
						}
					}
				}
			}
		}
	})
}

// onEvent breaks each event of a watch, or drops it.
func onEvent(f func(ev *store.Event) (keep bool)) func() func(*broken) {
	return onStep(func(c store.Changes) []store.Changes {
		var events []store.Event
		for _, ev := range c.Events {
			if f(&ev) {
				events = append(events, ev)
			}
		}
		c.Events = events
		return []store.Changes{c}
	})
}

// onWatch breaks how a watch is started.
func onWatch(f func(ctx context.Context, b *broken, prefix string, after store.Revision) changes) func() func(*broken) {
	return each(func(b *broken) {
		b.watch = func(ctx context.Context, prefix string, after store.Revision) changes {
			return f(ctx, b, prefix, after)
		}
	})
}

// onWatchError breaks how a watch ends.
func onWatchError(f func(yield func(store.Changes, error) bool, err error)) func() func(*broken) {
	return onWatch(func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
		return func(yield func(store.Changes, error) bool) {
			for c, err := range b.Store.Watch(ctx, prefix, after) {
				if err != nil {
					f(yield, err)
					return
				}
				if !yield(c, nil) {
					return
				}
			}
		}
	})
}

func (b *broken) now() store.Revision {
	l, _ := b.base.List(context.Background(), store.Query{})
	return l.Revision
}

// historyOnly yields what has happened, and then nothing more.
func historyOnly(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
	return func(yield func(store.Changes, error) bool) {
		now := b.now()
		for c, err := range b.Store.Watch(ctx, prefix, after) {
			if err == nil && c.Revision > now {
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// ownCommits yields only what was committed through the same handle.
func ownCommits(b *broken) {
	var mu sync.Mutex
	own := map[store.Revision]bool{}
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		mu.Lock() // over the commit, so that the watch knows whose it is
		defer mu.Unlock()
		res, err := b.Store.Commit(ctx, tx)
		own[res.Revision] = true
		return res, err
	}
	b.watch = func(ctx context.Context, prefix string, after store.Revision) changes {
		return func(yield func(store.Changes, error) bool) {
			for c, err := range b.Store.Watch(ctx, prefix, after) {
				mu.Lock()
				skip := err == nil && !own[c.Revision]
				mu.Unlock()
				if !skip && !yield(c, err) {
					return
				}
			}
		}
	}
}

// blocking lets no commit pass while a consumer has a step in hand.
func blocking() func(*broken) {
	var lock chan struct{} // a mutex would stop the clock of the bubble
	var once sync.Once
	return func(b *broken) {
		once.Do(func() { lock = make(chan struct{}, 1) })
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			select {
			case lock <- struct{}{}:
			case <-ctx.Done():
				return store.Result{}, ctx.Err()
			}
			defer func() { <-lock }()
			return b.Store.Commit(ctx, tx)
		}
		b.watch = func(ctx context.Context, prefix string, after store.Revision) changes {
			return func(yield func(store.Changes, error) bool) {
				for c, err := range b.Store.Watch(ctx, prefix, after) {
					lock <- struct{}{}
					more := yield(c, err)
					<-lock
					if !more {
						return
					}
				}
			}
		}
	}
}

// everyOther yields every other change of a key.
func everyOther() func(*broken) {
	var n atomic.Int64
	return onStep(func(c store.Changes) []store.Changes {
		if n.Add(1)%2 == 0 && !slices.ContainsFunc(c.Events, func(ev store.Event) bool { return ev.Deleted }) {
			c.Events = nil
		}
		return []store.Changes{c}
	})()
}

var watchFlaws = []flaw{
	{"history is skipped", "watch/history watch/together", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			return b.Store.Watch(ctx, prefix, max(after, b.now()-1))
		})},
	{"the revision itself comes too", "watch/after watch/history", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			return b.Store.Watch(ctx, prefix, max(after-1, 0))
		})},
	{"history and no more", "watch/live", onWatch(historyOnly)},
	{"event by event", "watch/together", onStep(func(c store.Changes) []store.Changes {
		var all []store.Changes
		for _, ev := range c.Events {
			all = append(all, store.Changes{Revision: c.Revision, Events: []store.Event{ev}})
		}
		return all
	})},
	{"some changes are lost", "watch/every-change", everyOther},
	{"new keys are lost", "watch/last-state", onEvent(func(ev *store.Event) bool {
		return ev.Deleted || ev.Entry.Created != ev.Entry.Modified || !strings.Contains(ev.Entry.Key, "key/")
	})},
	{"deletes are lost", "watch/deletes watch/last-state lease/revoked expiry/one-commit", onEvent(
		func(ev *store.Event) bool { return !ev.Deleted })},
	{"progress runs ahead", "watch/monotone", onStep(func(c store.Changes) []store.Changes {
		return []store.Changes{{Revision: c.Revision + 5}, c}
	})},
	{"steps come twice", "watch/monotone", onStep(func(c store.Changes) []store.Changes {
		return []store.Changes{c, c}
	})},
	{"its neighbours come too", "watch/prefix", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			return b.Store.Watch(ctx, strings.TrimSuffix(prefix, "/"), after)
		})},
	{"only own commits", "watch/handles", each(ownCommits)},
	{"Created is Modified in a watch", "watch/entry", onEvent(func(ev *store.Event) bool {
		ev.Entry.Created = ev.Entry.Modified
		return true
	})},
	{"deletes have no revision", "watch/entry watch/deletes", onEvent(func(ev *store.Event) bool {
		if ev.Deleted {
			ev.Entry.Modified--
		}
		return true
	})},
	{"a watch ends silently", "watch/cancelled watch/deadline watch/closed watch/compacted", onWatchError(
		func(func(store.Changes, error) bool, error) {})},
	{"a watch ends unavailable", "watch/cancelled watch/deadline watch/closed watch/compacted", onWatchError(
		func(yield func(store.Changes, error) bool, err error) {
			yield(store.Changes{}, errors.Join(store.ErrUnavailable, errors.New(err.Error())))
		})},
	{"a watch goes on after its error", "watch/cancelled watch/deadline", onWatchError(
		func(yield func(store.Changes, error) bool, err error) {
			if yield(store.Changes{}, err) {
				yield(store.Changes{}, nil)
			}
		})},
	{"a watch outlives its context", "watch/cancelled watch/deadline", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			return b.Store.Watch(context.WithoutCancel(ctx), prefix, after)
		})},
	{"a watch outlives its handle", "watch/closed close/calls", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			return b.base.Watch(ctx, prefix, after)
		})},
	{"a watch skips a hole", "watch/compacted", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			for _, err := range b.base.Watch(ctx, prefix, after) {
				if errors.Is(err, store.ErrCompacted) {
					after = b.now()
				}
				break
			}
			return b.Store.Watch(ctx, prefix, after)
		})},
	{"compacted for ever", "watch/after-compaction", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			for _, err := range b.base.Watch(ctx, prefix, 0) {
				if errors.Is(err, store.ErrCompacted) {
					after = 0
				}
				break
			}
			return b.Store.Watch(ctx, prefix, after)
		})},
	{"a goroutine a watch", "watch/left", onWatch(
		func(ctx context.Context, b *broken, prefix string, after store.Revision) changes {
			go func() { <-ctx.Done() }()
			return b.Store.Watch(ctx, prefix, after)
		})},
	{"a consumer blocks commits", "watch/slow", blocking},
	{"a late reader finds nothing", "watch/slow", onEvent(func(ev *store.Event) bool { return ev.Entry.Modified < 20 })},
}
