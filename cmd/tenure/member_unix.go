//go:build unix

package main

import (
	"context"
	"errors"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// join joins however long the store takes to answer: Join itself gives each
// request no more than the TTL. What happens to the member is told, and traced.
func (f *memberFlags) join(ctx context.Context, st store.Store, url string, tell teller, trace *tenure.Trace) (*tenure.Member, error) {
	opts := tenure.Options{
		ID: f.id, Endpoint: f.endpoint, TTL: f.ttl, History: true, Trace: tenure.MultiTrace(tell.trace(), trace),
		Health: f.health, HealthGrace: f.healthGrace,
	}
	for {
		m, err := tenure.Join(ctx, st, opts)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
		tell.tell("store", "store %q has not answered within the TTL of %v; trying again", url, f.ttl)
	}
}

// trace tells what happens to a member.
func (t teller) trace() *tenure.Trace {
	var told string // callbacks come one at a time
	return &tenure.Trace{
		Trouble: func(_, request string, err error) {
			if text := request + ": " + err.Error(); text != told {
				told = text
				if request != "leave terms out of history" {
					text += "; trying again"
				}
				t.tell("trouble", "%s", text)
			}
		},
		Elected: func(info tenure.TermInfo) { t.tell("elected", "elected, token %d", info.Token) },
		Ended: func(info tenure.TermInfo, cause error) {
			switch { // others say why
			case errors.Is(cause, tenure.ErrLost):
				t.tell("lost", "token %d lost: %s", info.Token, plain(cause.Error()))
			case errors.Is(cause, tenure.ErrYielded):
				t.tell("yielded", "token %d given up: %s", info.Token, plain(cause.Error()))
			}
		},
		StoodBack: func(_ string, flaps int, during time.Duration) {
			t.tell("aside", "standing back for %v, because the leadership has been lost %d times of late", during.Round(time.Millisecond), flaps)
		},
		SessionLost: func(_ tenure.SessionInfo, cause error) {
			t.tell("session", "%v; joining again", cause)
		},
		DuplicateWait: func(id, _ string, atMost time.Duration) {
			t.tell("waiting", "member %s has another session, which may have crashed; waiting up to %v for its end", plain(id), atMost)
		},
	}
}
