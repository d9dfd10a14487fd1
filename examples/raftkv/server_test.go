package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// One server by itself: what clients may do, what is swept, and what remains of it all.
func TestServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := newFleet(ctx, t, whole)
	f.peers = peers{"a": f.peers["a"]}
	c := config{
		id: "a", dir: filepath.Join(f.cluster.dir, "a"), peers: f.peers, token: f.token,
		audit: filepath.Join(f.cluster.dir, auditFile), every: every, heartbeat: heartbeat / 4,
	}

	s, stop := f.serve(c)
	f.token = "a guess"
	if err := f.put(ctx, "a", "kept", "1"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("put with a wrong token: %v, want 401", err)
	}
	f.token = c.token
	if _, err := f.get(ctx, "a", "kept"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("get of what nobody has put: %v, want 404", err)
	}
	if err := f.put(ctx, "a", "short?ttl=-1s", "1"); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("put with a ttl that is none: %v, want 400", err)
	}
	f.mustPut("short?ttl=50ms", "1")
	f.mustPut("kept", "1")
	f.until("the short one is over", func() bool {
		_, err := f.get(ctx, "a", "short")
		return err != nil && strings.Contains(err.Error(), "404")
	})
	f.until("it is swept", func() bool {
		s.kv.mu.RLock()
		defer s.kv.mu.RUnlock()
		return len(s.kv.keys) == 1
	})
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Error(err)
	}
	f.mustPut("later", "2")
	stop()

	s, stop = f.serve(c)
	if s.raft.Stats()["last_snapshot_index"] == "0" {
		t.Error("it was started without its snapshot")
	}
	for key, want := range map[string]string{"kept": "1", "later": "2"} {
		if value, err := f.get(ctx, "a", key); err != nil || value != want {
			t.Errorf("%s is %q (%v) when the server is started again, want %q", key, value, err, want)
		}
	}
	stop()
	audit, err := os.ReadFile(c.audit)
	if err != nil || strings.Count(string(audit), "a sweeps 1 keys") != 1 {
		t.Errorf("the audit file has %q (%v), want one sweep of one key", audit, err)
	}
}

// serve serves inside this process, until it is stopped.
func (f *fleet) serve(c config) (s *server, stop func()) {
	f.t.Helper()
	s, err := open(f.ctx, c)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	f.processes = nil
	f.until("it leads", func() bool {
		st, err := f.statusOf(c.id)
		return err == nil && st.Token != 0
	})
	return s, func() {
		f.t.Helper()
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			f.t.Error(err)
		}
	}
}

func (f *fleet) mustPut(key, value string) {
	f.t.Helper()
	if err := f.put(f.ctx, "a", key, value); err != nil {
		f.t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), tokenFile)
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const three = "a=127.0.0.1:7001/127.0.0.1:8001,b=127.0.0.1:7002/127.0.0.1:8002,c=127.0.0.1:7003/127.0.0.1:8003"
	for _, c := range []struct {
		id    raft.ServerID
		peers string
		token string
		says  string // "" if it is right
	}{
		{"a", three, token, ""},
		{"d", three, token, "-peers"},
		{"a", "a=127.0.0.1:7001", token, "ID=RAFT/HTTP"},
		{"a", three, token + "s", "-token-file"},
		{"a", three, os.DevNull, "is empty"},
	} {
		got, err := parse([]string{"-id", string(c.id), "-dir", "d", "-audit", "f", "-peers", c.peers, "-token-file", c.token})
		switch {
		case c.says == "" && (err != nil || len(got.peers) != 3 || got.peers["c"].http != "127.0.0.1:8003" || got.token != "secret"):
			t.Errorf("%+v: got %+v, %v", c, got, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v", c, err)
		}
	}
}
