//go:build unix

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/web"
	"github.com/tenure-go/tenure/promtrace"
	"github.com/tenure-go/tenure/store"
)

// memberSite is what a member of one election shows over HTTP. Nil is that of a member
// that shows nothing.
type memberSite struct {
	election string
	opts     tenure.Options
	view     *tenure.View
	metrics  *promtrace.Metrics
	tell     teller

	server *web.Server
	cancel context.CancelFunc // of the observation
	live   sync.WaitGroup

	mu     sync.Mutex
	member *tenure.Member // nil until it has joined
	term   tenure.Term    // in which it works, or nil
}

// openSite shows the member that is to join with these options. Without --listen there
// is no site.
func (f *memberFlags) openSite(st store.Store, tell teller, opts tenure.Options) (*memberSite, error) {
	l, err := f.listen.listen()
	if l == nil || err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	metrics, err := promtrace.New(registry, opts.ID, promtrace.Options{Elections: []string{tell.election}})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	metrics.SetPriority(tell.election, f.priority)
	s := &memberSite{election: tell.election, opts: opts, view: tenure.NewView(st, tell.election), metrics: metrics, tell: tell}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.live.Go(func() { s.observe(ctx) })
	pages := storePages(func() (store.Store, error) { return st, nil })
	pages.Standing, pages.Healthy, pages.Member = s.standing, s.healthy, s.memberPage
	pages.Ready = func(context.Context) error { return s.ready() }
	pages.Metrics = metricsPage(registry)
	s.server = f.listen.serveSite(l, pages, func(trouble string) { tell.tell("trouble", "HTTP: %s", trouble) })
	tell.tell("listening", "listening on %s", s.server.URL())
	return s, nil
}

// trace is for the member's options.
func (s *memberSite) trace() *tenure.Trace {
	if s == nil {
		return nil
	}
	return s.metrics.Trace()
}

// close closes the port, and returns when nothing of the site runs any more.
func (s *memberSite) close() {
	if s == nil {
		return
	}
	s.server.Close()
	s.cancel()
	s.live.Wait()
}

// observe follows the election's leader. What ends an observation before its time may not
// last; a seat that cannot be read is somebody's to mend.
func (s *memberSite) observe(ctx context.Context) {
	for {
		err := s.metrics.Observe(s.election, s.view.Observe(ctx))
		if ctx.Err() != nil {
			return
		}
		s.tell.tell("trouble", "%v; trying again in %v", err, s.opts.TTL)
		select {
		case <-time.After(s.opts.TTL):
		case <-ctx.Done():
			return
		}
	}
}

// joined makes the site that of a member.
func (s *memberSite) joined(m *tenure.Member) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member = m
}

// works shows that the member does in a term what the leader has to, until ends.
func (s *memberSite) works(t tenure.Term) (ends func()) {
	if s == nil {
		return func() {}
	}
	s.metrics.TrackTerm(s.election, t)
	s.setTerm(t)
	return func() { s.setTerm(nil) }
}

func (s *memberSite) setTerm(t tenure.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term = t
}

func (s *memberSite) now() (*tenure.Member, tenure.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.member, s.term
}

var errNotJoined = errors.New("has not joined yet")

// healthy says why the process should be replaced: its session has ended, or may have, so
// that its renewals have not been answered for a while. That counts only from an answer
// that the renewal loop has taken; one that hangs shows, too. One that has not begun does not.
func (s *memberSite) healthy() error {
	if err := s.ready(); !errors.Is(err, errNotJoined) {
		return err
	}
	return nil
}

func (s *memberSite) ready() error {
	m, _ := s.now()
	if m == nil {
		return errNotJoined
	}
	return m.Healthy()
}

// standing is true as long as the member's work is under way in a term that it holds.
func (s *memberSite) standing(election string) web.Standing {
	if election != s.election {
		return web.Standing{Election: election, Reason: "this process does not take part in this election"}
	}
	standing := web.Standing{Election: election}
	_, term := s.now()
	if standing.Leads = term != nil && term.Held(); standing.Leads {
		standing.Leader, standing.Endpoint, standing.Token = s.opts.ID, s.opts.Endpoint, term.Token()
		return standing
	}
	leader, ok := s.view.Leader()
	switch {
	case !ok:
		standing.Reason = "nobody leads"
		return standing
	case leader.Member == s.opts.ID:
		standing.Reason = "this member has been elected, and does not work yet or no more"
	default:
		standing.Reason = "another member leads"
	}
	standing.Leader, standing.Endpoint, standing.Token = leader.Member, leader.Endpoint, leader.Token
	return standing
}

type memberJSON struct {
	Member   string       `json:"member"`
	Endpoint string       `json:"endpoint"`
	TTL      string       `json:"ttl"`
	Healthy  bool         `json:"healthy"`
	Reason   string       `json:"reason,omitempty"` // for which it is not
	Terms    []memberTerm `json:"terms"`            // that it holds
}

type memberTerm struct {
	Election string       `json:"election"`
	Token    tenure.Token `json:"token"`
	Left     string       `json:"left"` // without a renewal
}

func (s *memberSite) memberPage() (any, error) {
	v := memberJSON{Member: s.opts.ID, Endpoint: s.opts.Endpoint, TTL: s.opts.TTL.String(), Healthy: true, Terms: []memberTerm{}}
	if err := s.ready(); err != nil {
		v.Healthy, v.Reason = false, err.Error()
	}
	if _, term := s.now(); term != nil && term.Held() {
		v.Terms = append(v.Terms, memberTerm{s.election, term.Token(), time.Until(term.Until()).Round(time.Millisecond).String()})
	}
	return v, nil
}
