package interop

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// agent answers what api.Lock asks of an agent of Consul: for one session and one
// key. A read that would block hangs, and so does everything once it is cut off.
type agent struct {
	mu     sync.Mutex
	holder string
	cut    atomic.Bool
	fails  atomic.Bool
	over   chan struct{} // the test is: nothing hangs any more
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cut.Load() || r.URL.Query().Get("index") != "" {
		select {
		case <-r.Context().Done():
		case <-a.over:
		}
		return
	}
	if a.fails.Load() {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("X-Consul-Index", "7")
	answer := any(true)
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/session/create"):
		answer = map[string]string{"ID": "s"}
	case strings.HasPrefix(r.URL.Path, "/v1/session/renew"):
		answer = []api.SessionEntry{{ID: "s", TTL: ttl.String()}}
	case r.Method == http.MethodGet:
		answer = []api.KVPair{{Key: "jobs", Session: a.holder, Flags: api.LockFlagValue}}
	case r.URL.Query().Get("acquire") != "":
		a.holder = "s"
	case r.URL.Query().Get("release") != "":
		a.holder = ""
	}
	_ = json.NewEncoder(w).Encode(answer)
}

const ttl = 200 * time.Millisecond

func locked(t *testing.T, a *agent) (l *api.Lock, lost <-chan struct{}) {
	t.Helper()
	a.over = make(chan struct{})
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		close(a.over) // before Close, which waits for requests
		server.Close()
	})
	client, err := api.NewClient(&api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if l, err = client.LockOpts(&api.LockOptions{Key: "jobs", SessionTTL: ttl.String()}); err != nil {
		t.Fatal(err)
	}
	if lost, err = l.Lock(nil); err != nil || lost == nil {
		t.Fatal(lost, err)
	}
	return l, lost
}

// Nothing in api.Lock looks at a clock.
func TestConsulLockStaysWhileRequestsHang(t *testing.T) {
	t.Parallel()
	var a agent
	_, lost := locked(t, &a)
	a.cut.Store(true)
	select {
	case <-lost:
		t.Error("the channel was closed")
	case <-time.After(5 * ttl): // Consul ends a session after twice its TTL at most
	}
}

func TestConsulLockThatCouldNotBeUnlockedIsForgotten(t *testing.T) {
	t.Parallel()
	var a agent
	l, _ := locked(t, &a)
	if _, err := l.Lock(nil); !errors.Is(err, api.ErrLockHeld) {
		t.Errorf("a second Lock returned %v", err)
	}
	a.fails.Store(true)
	if err := l.Unlock(); err == nil {
		t.Error("Unlock succeeded")
	}
	a.fails.Store(false)
	if err := l.Unlock(); !errors.Is(err, api.ErrLockNotHeld) {
		t.Errorf("a second Unlock returned %v", err)
	}
}
