//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// member is a member with what it has in a command.
type member struct {
	*tenure.Member
	site *memberSite // nil without --listen
}

// join makes this process a member. What happens to it is told, traced, and shown with
// --listen, also while it waits to join.
func (f *memberFlags) join(ctx context.Context, st store.Store, url string, tell teller, trace *tenure.Trace) (*member, error) {
	opts := tenure.Options{ID: cmp.Or(f.id, tenure.NewID()), Endpoint: f.endpoint, TTL: f.ttl, History: true, Health: f.health, HealthGrace: f.healthGrace}
	site, err := f.openSite(st, tell, opts)
	if err != nil {
		return nil, err
	}
	opts.Trace = tenure.MultiTrace(site.trace(), tell.trace(), trace)
	m, err := joinPatiently(ctx, st, url, tell, opts)
	if err != nil {
		site.close()
		return nil, err
	}
	site.joined(m)
	return &member{m, site}, nil
}

// joinPatiently joins however long the store takes to answer: Join itself gives each
// request no more than the TTL.
func joinPatiently(ctx context.Context, st store.Store, url string, tell teller, opts tenure.Options) (*tenure.Member, error) {
	for {
		m, err := tenure.Join(ctx, st, opts)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
		tell.tell("store", "store %q has not answered within the TTL of %v; trying again", url, opts.TTL)
	}
}

// works shows that the member does in a term what its leader has to, until ends. Before
// that and after it load balancers are told that it does not lead.
func (m *member) works(t tenure.Term) (ends func()) {
	return m.site.works(t)
}

// Close ends the member, and what shows it.
func (m *member) Close() error {
	defer m.site.close()
	return m.Member.Close()
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
