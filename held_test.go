package tenure

import (
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// These tests need a session goroutine that has not noticed yet, and clocks that
// disagree: neither can be had from outside.

func newHeld(t *testing.T, ttl time.Duration) (*session, *Leadership) {
	s := &session{clock: clock{base: time.Now()}, inbox: newInbox[protocol.Event]()}
	deadline := s.clock.now().Add(ttl)
	s.trust.set(deadline)
	l := newLeadership(s, &candidacy{election: "x", ctx: t.Context()}, 1, deadline)
	return s, l
}

// P2: passing a deadline is final for all readers as soon as one has seen it,
// even before the session's goroutine has, and whatever reply comes then.
func TestADeadlineThatAReaderSawPassedIsFinal(t *testing.T) {
	t.Parallel()
	s, l := newHeld(t, time.Hour)
	if !l.Held() {
		t.Fatal("not held")
	}
	l.evidence.set(s.clock.now())
	if l.Held() {
		t.Fatal("held beyond its evidence")
	}
	l.evidence.set(s.clock.now().Add(time.Hour)) // the reply
	if l.Held() {
		t.Error("held again")
	}
	events := s.inbox.takeAll()
	if len(events) != 1 || events[0] != (protocol.Lapsed{Election: "x", Token: 1}) {
		t.Errorf("the protocol was told %v", events)
	}
}

// 1.5: either clock ends a term: the monotonic one stops while a machine
// sleeps, and the wall clock can be set back.
func TestEitherClockEndsATerm(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]func(*protocol.Instant){
		"monotonic": func(i *protocol.Instant) { i.Mono -= int64(2 * time.Hour) },
		"wall":      func(i *protocol.Instant) { i.Wall -= int64(2 * time.Hour) },
	} {
		for _, of := range []string{"session", "evidence"} {
			s, l := newHeld(t, time.Hour)
			passed := s.clock.now().Add(time.Hour)
			shift(&passed)
			if of == "session" {
				s.trust.set(passed)
			} else {
				l.evidence.set(passed)
			}
			if l.Held() {
				t.Errorf("held beyond the %s deadline of its %s", name, of)
			}
			if left := time.Until(l.Until()); left > -59*time.Minute {
				t.Errorf("%s, %s: until %v from now", name, of, left)
			}
		}
	}
}

func TestHeldAllocatesNothing(t *testing.T) {
	_, l := newHeld(t, time.Hour)
	if n := testing.AllocsPerRun(1000, func() { l.Held() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
