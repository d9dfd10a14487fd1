//go:build unix

package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/systemd"
)

// leastWatchdog is how seldom a member may show itself: one without a session, each attempt
// of which to join again waits for two answers, and ends with a request and a pause.
func leastWatchdog(ttl time.Duration) time.Duration { return 2*ttl + 15*time.Second }

// checkWatchdog refuses a service manager that would take a member for dead whose store is
// away.
func checkWatchdog(ttl time.Duration) error {
	watchdog, err := systemd.Watchdog()
	if err != nil {
		return fmt.Errorf("the service manager's watchdog: %w", err)
	}
	if least := leastWatchdog(ttl); watchdog != 0 && watchdog < least {
		return fmt.Errorf("the service manager's watchdog (WatchdogSec=) is %v, and with a TTL of %v a member whose store is away may show itself so seldom as every %v; give it more", watchdog, ttl, least)
	}
	return nil
}

// memberStatus tells a service manager what becomes of a member.
type memberStatus struct {
	*systemd.Notifier

	mu      sync.Mutex
	state   string
	trouble string // with the store, at present
}

func newMemberStatus(tell teller) *memberStatus {
	s := &memberStatus{Notifier: systemd.Start(func(err error) { tell.tell("trouble", "%v", err) })}
	s.become("joins the members of %s", tell.election)
	return s
}

// become tells what the member does now.
func (s *memberStatus) become(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = fmt.Sprintf(format, args...)
	s.showLocked()
}

func (s *memberStatus) troubled(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != text {
		s.trouble = text
		s.showLocked()
	}
}

func (s *memberStatus) showLocked() {
	text := s.state
	if s.trouble != "" {
		text += "; " + s.trouble
	}
	s.Status(plain(strings.ReplaceAll(text, "\n", ": "))) // which does not wait
}

// trace has the member tell. That it is alive it shows by what its renewal loop does, and
// not by a clock: each renewal, answered or not, and each attempt to replace a session.
func (s *memberStatus) trace() *tenure.Trace {
	var ready sync.Once
	return &tenure.Trace{
		SessionStarted: func(tenure.SessionInfo) {
			ready.Do(s.Ready)
			s.Alive()
			s.troubled("")
		},
		SessionLost: func(_ tenure.SessionInfo, cause error) {
			s.troubled(fmt.Sprintf("%v; joining again", cause))
		},
		Round: func(r tenure.RoundInfo) {
			s.Alive()
			if r.Err != nil {
				s.troubled(fmt.Sprintf("the store does not answer: %v", r.Err))
				return
			}
			s.troubled("")
		},
		Elected: func(t tenure.TermInfo) { s.become("leads %s, token %d", t.Election, t.Token) },
		Ended: func(t tenure.TermInfo, cause error) {
			text := fmt.Sprintf("no longer leads %s, token %d", t.Election, t.Token)
			if endedByOthers(cause) { // otherwise it was this process, which says so itself
				text += ": " + cause.Error()
			}
			s.become("%s", text)
		},
		Trouble: func(_, request string, err error) {
			if request == "open session" {
				s.Alive()
				s.troubled(fmt.Sprintf("the store does not answer: %v", err))
			}
		},
		DuplicateWait: func(string, string, time.Duration) { s.Alive() },
	}
}
