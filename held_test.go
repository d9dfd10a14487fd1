package tenure

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/inbox"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store/memstore"
)

// These tests need a session goroutine that has not noticed yet, and clocks that
// disagree: neither can be had from outside.

func newHeld(t *testing.T, ttl time.Duration) (*session, *Leadership) {
	s := &session{clock: clock.New(), inbox: inbox.New[protocol.Event]()}
	deadline := s.clock.Now().Add(ttl)
	s.trust.Set(deadline)
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
	l.evidence.Set(s.clock.Now())
	if l.Held() {
		t.Fatal("held beyond its evidence")
	}
	l.evidence.Set(s.clock.Now().Add(time.Hour)) // the reply
	if l.Held() {
		t.Error("held again")
	}
	events := s.inbox.TakeAll()
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
			passed := s.clock.Now().Add(time.Hour)
			shift(&passed)
			if of == "session" {
				s.trust.Set(passed)
			} else {
				l.evidence.Set(passed)
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

// A function that is the first to notice has lost its term, and not finished its work.
func TestAFunctionThatSeesItsDeadlinePassedIsCalledAgain(t *testing.T) {
	t.Parallel()
	m, err := Join(t.Context(), memstore.New(), Options{TTL: time.Hour}) // the next round is far
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	var causes []error
	err = m.Lead(t.Context(), "x", func(_ context.Context, term Term) error {
		l := term.(*Leadership)
		if len(causes) == 0 {
			l.evidence.Set(l.s.clock.Now())
			for term.Held() {
			}
		}
		l.s.m.mu.Lock() // so that nobody else has noticed when it returns
		defer time.AfterFunc(10*time.Millisecond, l.s.m.mu.Unlock)
		causes = append(causes, term.Cause())
		return nil
	}, LeadOptions{BeforeRelease: func(_ context.Context, term Term) error {
		causes = append(causes, term.Cause())
		return nil
	}})
	if err != nil || len(causes) != 4 || !errors.Is(causes[1], ErrUnproven) || !errors.Is(causes[3], ErrResigned) {
		t.Errorf("%v; at the ends of functions, and before releases: %v", err, causes)
	}
}

func TestHeldAllocatesNothing(t *testing.T) {
	_, l := newHeld(t, time.Hour)
	if n := testing.AllocsPerRun(1000, func() { l.Held() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A session is held by the same rule as a term: either clock ends it, and what a
// reader has seen is final for that reader. A member whose session goes on after all
// gives it out anew.
func TestEitherClockEndsASession(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]func(*protocol.Instant){
		"monotonic": func(i *protocol.Instant) { i.Mono -= int64(2 * time.Hour) },
		"wall":      func(i *protocol.Instant) { i.Wall -= int64(2 * time.Hour) },
	} {
		s, _ := newHeld(t, time.Hour)
		m := &Member{session: s, changed: make(chan struct{})}
		given, err := m.Session(t.Context())
		if err != nil || !given.Held() || time.Until(given.Until()) < 59*time.Minute {
			t.Fatalf("%v, until %v", err, given.Until())
		}
		again, err := m.Session(t.Context())
		if err != nil || again != given {
			t.Errorf("given out twice, %v", err)
		}
		ahead := s.clock.Now().Add(time.Hour)
		passed := ahead
		shift(&passed)
		s.trust.Set(passed)
		if given.Held() || given.Until().After(time.Now()) || !errors.Is(context.Cause(given.Context()), ErrSessionExpired) {
			t.Errorf("held beyond the %s deadline: until %v, cause %v", name, given.Until(), context.Cause(given.Context()))
		}
		s.trust.Set(ahead) // the reply
		if given.Held() || given.Until().After(time.Now()) {
			t.Errorf("held again, until %v", given.Until())
		}
		if again, err = m.Session(t.Context()); err != nil || again == given || !again.Held() {
			t.Errorf("given out: %v, held %v", err, again.Held())
		}
		m.sessionOver(s, ErrClosed)
		if left, _, _ := m.present(); left != nil || again.Held() || !errors.Is(context.Cause(again.Context()), ErrClosed) {
			t.Errorf("given out when it is over: %v, held %v", left, again.Held())
		}
	}
}

// 1.5: what stops a process or a host shows in how late a round is, by the clock that
// went on.
func TestRoundsKnowHowLateTheyAre(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]func(*protocol.Instant){
		"a process that was stopped": func(i *protocol.Instant) { i.Mono -= int64(time.Minute); i.Wall -= int64(time.Minute) },
		"a host that slept":          func(i *protocol.Instant) { i.Wall -= int64(time.Minute) },
		"a wall clock set back":      func(i *protocol.Instant) { i.Mono -= int64(time.Minute); i.Wall += int64(time.Hour) },
	} {
		s, _ := newHeld(t, time.Hour)
		s.rounds, s.lease.TTL, s.due = map[uint64]started{}, 3*time.Hour, s.clock.Now()
		s.begun(1)
		s.due = s.due.Add(-time.Hour) // that is now
		shift(&s.due)
		s.begun(2)
		if first, late := s.rounds[1].late, s.rounds[2].late; first > time.Minute/2 || late < time.Minute || late > 2*time.Minute {
			t.Errorf("%s: %v late, and before it %v", name, late, first)
		}
		if left := time.Duration(s.due.Mono - s.clock.Now().Mono); left > time.Hour || left < 59*time.Minute {
			t.Errorf("%s: the next is due in %v", name, left)
		}
	}
}
