package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/name"
)

// Pages are what a process shows. They may be asked from many goroutines. What is asked
// with a context reads the store, and returns when that ends.
type Pages struct {
	// Standing of this process in an election, at this moment.
	Standing func(election string) Standing
	// Healthy says why the process should be replaced, Ready why nobody should count on it.
	Healthy func() error
	Ready   func(context.Context) error
	Metrics http.Handler

	Member    func() (any, error)
	Elections func(context.Context) (any, error)
	Election  func(ctx context.Context, name string) (any, error)
	Leader    func(ctx context.Context, name string) (any, error)
	History   func(ctx context.Context, name string) (any, error)
}

// Standing is how a process stands in an election, and who leads it as far as it knows.
type Standing struct {
	Election string       `json:"election"`
	Leads    bool         `json:"leads"` // this process, now
	Leader   string       `json:"leader,omitempty"`
	Endpoint string       `json:"endpoint,omitempty"`
	Token    tenure.Token `json:"token,omitempty"`
	Reason   string       `json:"reason,omitempty"` // for which it does not
}

const (
	readsAtOnce  = 4
	readTimeout  = 5 * time.Second
	probeTimeout = 2 * time.Second
)

// page answers requests for one page, which may be one of an election.
type page func(w http.ResponseWriter, r *http.Request, election string)

// Handler answers requests with pages. Where anyHost is false, those that name this host
// by a name that is no loopback's are refused.
func Handler(p Pages, anyHost bool) http.Handler {
	queries := newReads(readsAtOnce, readTimeout)
	probes := newReads(1, probeTimeout) // not behind the queries
	ofElection := func(read func(context.Context, string) (any, error)) page {
		return func(w http.ResponseWriter, r *http.Request, election string) {
			v, err := queries.do(r.Context(), func(ctx context.Context) (any, error) { return read(ctx, election) })
			replyRead(w, v, err)
		}
	}
	return readOnly{anyHost, map[string]page{
		"/leader/NAME": func(w http.ResponseWriter, _ *http.Request, election string) {
			standing, status := p.Standing(election), http.StatusServiceUnavailable
			if standing.Leads {
				status = http.StatusOK
			}
			reply(w, status, standing)
		},
		"/healthz": func(w http.ResponseWriter, _ *http.Request, _ string) { replyState(w, p.Healthy()) },
		"/readyz": func(w http.ResponseWriter, r *http.Request, _ string) {
			_, err := probes.do(r.Context(), func(ctx context.Context) (any, error) { return nil, p.Ready(ctx) })
			replyState(w, err)
		},
		"/metrics": func(w http.ResponseWriter, r *http.Request, _ string) { p.Metrics.ServeHTTP(w, r) },
		"/v1/member": func(w http.ResponseWriter, _ *http.Request, _ string) {
			v, err := p.Member()
			replyRead(w, v, err)
		},
		"/v1/elections": func(w http.ResponseWriter, r *http.Request, _ string) {
			v, err := queries.do(r.Context(), p.Elections)
			replyRead(w, v, err)
		},
		"/v1/elections/NAME":         ofElection(p.Election),
		"/v1/elections/NAME/leader":  ofElection(p.Leader),
		"/v1/elections/NAME/history": ofElection(p.History),
	}}
}

// named are the beginnings of paths that go on with the name of an election.
var named = []string{"/leader/", "/v1/elections/"}

// pageOf takes a path apart, which is escaped: a slash in a name is none of the path's. It
// is not http.ServeMux that does so, because that redirects paths which are not clean, and a
// load balancer takes this for success; and because to it the name "/" is none.
func pageOf(path string) (page, election string, ofElection bool) {
	for _, prefix := range named {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			name, after, more := strings.Cut(rest, "/")
			if more {
				after = "/" + after
			}
			return prefix + "NAME" + after, name, true
		}
	}
	return path, "", false
}

// show answers with the page at a path.
func show(pages map[string]page, w http.ResponseWriter, r *http.Request) {
	path, election, ofElection := pageOf(r.URL.EscapedPath())
	answer := pages[path]
	if answer == nil {
		replyError(w, http.StatusNotFound, "no such page; there are /leader/NAME, /healthz, /readyz, /metrics, /v1/member, "+
			"/v1/elections, /v1/elections/NAME, /v1/elections/NAME/leader and /v1/elections/NAME/history, with a slash in NAME as %2F")
		return
	}
	if ofElection {
		var err error
		if election, err = url.PathUnescape(election); err == nil {
			err = name.Check("election name", election, tenure.MaxName)
		}
		if err != nil {
			replyError(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	answer(w, r, election)
}
