package sqlitestore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/tenure-go/tenure/store"
)

const (
	// slowRound heals a bell that was not rung, fastRound does without one.
	slowRound = time.Second
	fastRound = 20 * time.Millisecond

	// expireTimeout bounds the wait for the write lock, so that a feed goes on
	// when a lease cannot be ended.
	expireTimeout = time.Second
	// spread keeps processes from ending the same lease at the same time.
	spread = 2 * time.Millisecond
)

// feed is the one goroutine that reads the log for all watches of a store. It
// lives while there are any.
type feed struct {
	ctx    context.Context
	cancel context.CancelFunc
	kick   chan struct{}  // this process has committed
	pos    store.Revision // up to which live watches were served; under Store.mu
}

// startFeed runs with s.mu held.
func (s *Store) startFeed(pos store.Revision) {
	f := &feed{kick: make(chan struct{}, 1), pos: pos}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	s.feed = f
	s.running.Go(func() { s.run(f) })
}

// announce tells everyone of a new revision.
func (s *Store) announce() {
	s.mu.Lock()
	if s.feed != nil {
		s.feed.wake()
	}
	s.mu.Unlock()
	s.ring()
}

func (f *feed) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

func (s *Store) run(f *feed) {
	defer f.cancel()
	ear := s.listen()
	defer ear.close()
	var patience time.Time // before which no lease is ended again
	for {
		// The first round comes after listen: nothing falls in between.
		end, err := s.round(f)
		if err != nil {
			s.abort(f, err)
			return
		}
		wait := end - s.clock.now()
		if wait <= 0 && time.Now().After(patience) {
			if s.endLeases(f.ctx) == nil {
				continue
			}
			patience = time.Now().Add(expireTimeout)
		}
		if wait > 0 {
			wait += rand.N(spread)
		} else {
			wait = time.Until(patience)
		}
		if !f.sleep(s, ear, wait) {
			return
		}
	}
}

// sleep waits until there may be news. It reports false when the feed ends.
func (f *feed) sleep(s *Store, e *ear, lease time.Duration) bool {
	interval := slowRound
	if !e.ok {
		interval = fastRound
	}
	timer := time.NewTimer(min(interval, lease))
	defer timer.Stop()
	select {
	case <-f.kick:
	case <-timer.C:
		e.attach()
	case ev := <-e.events():
		if !ev.Has(fsnotify.Write) {
			e.attach()
		}
	case err := <-e.errors():
		if !errors.Is(err, fsnotify.ErrEventOverflow) { // that one means news
			e.attach()
		}
	case <-f.ctx.Done():
		return false
	case <-s.done:
		return false
	}
	return true
}

func (s *Store) endLeases(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, expireTimeout)
	defer cancel()
	return s.expireDue(ctx)
}

// round hands out what is new and returns when the next lease ends.
func (s *Store) round(f *feed) (end time.Duration, err error) {
	for more := true; more; {
		var p page
		err := s.read(f.ctx, s.feeder, func(c *conn, st state) error {
			if end, err = due(c); err != nil {
				return err
			}
			// Only this goroutine moves pos.
			p, err = changesAfter(c, st, "", f.pos)
			if errors.Is(err, store.ErrCompacted) {
				p, err = page{upto: store.Revision(st.revision)}, nil
				s.outrun()
			}
			more = err == nil && p.upto < store.Revision(st.revision)
			return err
		})
		if err != nil {
			return 0, err
		}
		s.deliver(f, p)
	}
	return end, nil
}
