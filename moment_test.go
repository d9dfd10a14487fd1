package tenure

import (
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// These tests bring about moments that from outside come about once in many
// thousand times: a candidacy is given up while its term is on the way to it.

func TestATermThatNobodyWantsAnyMoreIsPassedOn(t *testing.T) {
	t.Parallel()
	moments := map[string]func(*testing.T, *Member, *candidacy){
		"before it is there": func(_ *testing.T, m *Member, c *candidacy) {
			m.mu.Lock() // the session stops here when it has won
			defer m.mu.Unlock()
			time.Sleep(20 * time.Millisecond) // until it has; earlier does no harm
			m.dismiss(c)
		},
		"before it is taken": func(t *testing.T, m *Member, c *candidacy) {
			for t.Context().Err() == nil {
				m.mu.Lock()
				if c.term != nil {
					m.dismiss(c)
					m.mu.Unlock()
					return
				}
				m.mu.Unlock()
				time.Sleep(time.Millisecond) // polls what nobody notifies of
			}
		},
	}
	for name, moment := range moments {
		for who, attended := range map[string]bool{"Campaign": false, "Lead": true} {
			t.Run(who+" "+name, func(t *testing.T) {
				t.Parallel()
				st := memstore.New()
				defer st.Close()
				m, err := Join(t.Context(), st, Options{TTL: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				c, err := m.enter(t.Context(), &candidacy{election: "x", attended: attended})
				if err != nil {
					t.Fatal(err)
				}
				moment(t, m, c)
				select {
				case <-c.done:
				case <-time.After(10 * time.Second):
					t.Fatal("the candidacy does not end")
				}
				l, err := st.List(t.Context(), store.Prefix("leaders/"))
				if err != nil || len(l.Entries) > 0 {
					t.Errorf("left in the store: %v, %v", l.Entries, err)
				}
			})
		}
	}
}

// The function may return as soon as its context is cancelled. What it has
// drained from must have been told to the protocol by then.
func TestAResignationIsToldBeforeTheContextIsCancelled(t *testing.T) {
	t.Parallel()
	for range 1000 {
		s, l := newHeld(t, time.Hour)
		go l.resign(ErrResigned)
		<-l.ctx.Done()
		if l.Held() {
			t.Fatal("held although its context is cancelled")
		}
		if events := s.inbox.TakeAll(); len(events) != 1 || events[0].(protocol.Resign).Cause != ErrResigned { //nolint:errorlint // as it is
			t.Fatalf("the protocol was told %v", events)
		}
	}
}

// A term that is won and lost before anybody has looked is returned, and says so:
// not nothing, and no error.
func TestATermThatWasLostBeforeItWasTakenIsReturned(t *testing.T) {
	t.Parallel()
	m := &Member{}
	for range 100 { // select chooses at random
		_, l := newHeld(t, time.Hour)
		c := &candidacy{won: make(chan *Leadership, 1), done: make(chan struct{})}
		c.won <- l
		close(c.done)
		if got, err := m.await(t.Context(), c); got != l || err != nil {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}
