package sqlitestore

import (
	"context"
	"errors"
	"iter"

	"github.com/tenure-go/tenure/store"
)

const (
	// A watch that is this far behind reads the log by itself instead of
	// having its changes kept in memory.
	maxQueue      = 1024
	maxQueueBytes = 8 << 20

	// A watch that had nothing to say for so many revisions says so, to be
	// able to resume after history has been trimmed.
	progressEvery = 1000
)

// errLeft says that the consumer of a watch wants no more.
var errLeft = errors.New("left")

// watcher is one watch. It catches up from the log, and is live from the
// moment it has seen what the feed has.
type watcher struct {
	prefix string
	after  store.Revision
	news   chan struct{}

	// Under Store.mu.
	live  bool
	queue []store.Changes
	bytes int
	upto  store.Revision // complete up to here, the queue included
	told  store.Revision // the last revision that went into the queue or past it
	err   error
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		after := max(after, 0)
		w := &watcher{prefix: prefix, after: after, upto: after, told: -1, news: make(chan struct{}, 1)}
		defer s.leave(w)
		err := s.watch(ctx, w, func(ch store.Changes) error {
			if err := s.open(ctx); err != nil {
				return err
			}
			if !yield(ch, nil) {
				return errLeft
			}
			return nil
		})
		if !errors.Is(err, errLeft) {
			yield(store.Changes{}, err)
		}
	}
}

func (s *Store) watch(ctx context.Context, w *watcher, tell func(store.Changes) error) error {
	for {
		if err := s.catchUp(ctx, w, tell); err != nil {
			return err
		}
		for live := true; live; {
			var queue []store.Changes
			var err error
			queue, live, err = s.next(ctx, w)
			for _, ch := range queue {
				if err := tell(ch); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

// catchUp reads the log until the feed serves the rest.
func (s *Store) catchUp(ctx context.Context, w *watcher, tell func(store.Changes) error) error {
	for {
		var p page
		err := s.read(ctx, s.readers, func(c *conn, st state) (err error) {
			p, err = changesAfter(c, st, w.prefix, w.upto)
			return err
		})
		if err != nil {
			return err
		}
		for _, ch := range p.changes {
			if err := tell(ch); err != nil {
				return err
			}
			w.told = ch.Revision
		}
		silent := w.told < p.upto && w.after <= p.upto
		if !s.join(w, p.upto) {
			continue
		}
		if silent {
			return tell(store.Changes{Revision: p.upto})
		}
		return nil
	}
}

// join makes w live if it is as far as the feed. A feed that starts with it
// begins there.
func (s *Store) join(w *watcher, upto store.Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.upto, w.told = upto, upto
	if s.open(context.Background()) != nil {
		return false // Close may wait for the feeds already
	}
	if s.feed == nil {
		s.startFeed(upto)
	}
	if upto < s.feed.pos {
		return false
	}
	s.watchers[w] = struct{}{}
	w.live = true
	return true
}

// leave ends the feed with the last watch.
func (s *Store) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
	if len(s.watchers) == 0 && s.feed != nil {
		s.feed.cancel()
		s.feed = nil
	}
}

// next waits for changes. A watch that is no longer live catches up after
// them.
func (s *Store) next(ctx context.Context, w *watcher) (queue []store.Changes, live bool, err error) {
	for {
		if err := s.open(ctx); err != nil {
			return nil, false, err
		}
		s.mu.Lock()
		queue, live, err = w.queue, w.live, w.err
		w.queue, w.bytes = nil, 0
		s.mu.Unlock()
		if len(queue) > 0 || !live || err != nil {
			return queue, live, err
		}
		select {
		case <-w.news:
		case <-ctx.Done():
		case <-s.done:
		}
	}
}

// deliver queues a page for every live watch and moves the feed on.
func (s *Store) deliver(f *feed, p page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != f {
		return // another feed has begun, elsewhere
	}
	for w := range s.watchers {
		if w.live && w.upto < p.upto {
			w.take(p)
		}
	}
	f.pos = p.upto
}

// take queues p, or nothing of it when that is too much: the log has it.
func (w *watcher) take(p page) {
	queue, bytes := w.queue, w.bytes
	for _, ch := range p.changes {
		ch = under(ch, w.prefix)
		if ch.Revision <= max(w.upto, w.after) || len(ch.Events) == 0 {
			continue
		}
		queue = append(queue, ch)
		for _, ev := range ch.Events {
			bytes += len(ev.Entry.Value)
		}
	}
	if len(queue) > len(w.queue) && (len(queue) > maxQueue || bytes > maxQueueBytes) {
		w.live = false
		w.wake()
		return
	}
	if len(queue) > 0 {
		w.told = queue[len(queue)-1].Revision
	}
	if p.upto >= max(w.told, w.after)+progressEvery {
		queue = append(queue, store.Changes{Revision: p.upto})
		w.told = p.upto
	}
	w.queue, w.bytes, w.upto = queue, bytes, p.upto
	if len(queue) > 0 {
		w.wake()
	}
}

func (w *watcher) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// outrun sends live watches to the log after history went faster than the
// feed. There they learn that it is gone.
func (s *Store) outrun() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		w.live = false
		w.wake()
	}
}

// abort ends the feed and its watches with an error.
func (s *Store) abort(f *feed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != f {
		return
	}
	s.feed = nil
	for w := range s.watchers {
		delete(s.watchers, w)
		w.live, w.err = false, err
		w.wake()
	}
}
