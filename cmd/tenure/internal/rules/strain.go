package rules

import (
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
)

// strain notes how slow the store and this host are: of what the members do beyond their
// Patience nothing is promised, and so nothing can be said of the store.
type strain struct {
	ttl  time.Duration
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	stalled time.Duration // longer than it should be between two ticks
	round   time.Duration // the slowest
}

// perRound is how many ticks there are in a round.
const perRound = 10

func newStrain(ttl time.Duration) *strain {
	s := &strain{ttl: ttl, stop: make(chan struct{}), done: make(chan struct{})}
	go s.run(max(ttl/3/perRound, time.Millisecond))
	return s
}

func (s *strain) run(every time.Duration) {
	defer close(s.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
		now := time.Now()
		s.note(now.Sub(last)-every, 0)
		last = now
	}
}

func (s *strain) note(stalled, round time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled, s.round = max(s.stalled, stalled), max(s.round, round)
}

func (s *strain) trace() *tenure.Trace {
	return &tenure.Trace{Round: func(r tenure.RoundInfo) { s.note(r.Late, r.Took) }}
}

func (s *strain) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled, s.round = 0, 0
}

// beyond says what took longer than members can bear, half of their Patience; nil:
// nothing did.
func (s *strain) beyond(b tenure.Bounds) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stalled > b.Patience/2:
		return fmt.Errorf("the host was too slow for a TTL of %v: it stood still for %v; use a longer --ttl", s.ttl, s.stalled)
	case s.round > b.Patience/2:
		return fmt.Errorf("the store was too slow for a TTL of %v: a round took %v; use a longer --ttl", s.ttl, s.round)
	}
	return nil
}

func (s *strain) end() {
	close(s.stop)
	<-s.done
}
