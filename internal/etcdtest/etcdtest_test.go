package etcdtest_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/requirestore"
)

// A member of a cluster can be killed, stopped, and started again, and the rest
// carries on.
func TestClusterSurvivesItsLeader(t *testing.T) {
	t.Parallel()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	c, err := etcdtest.Start(t.Context(), etcdtest.Options{
		Members: 3, TLS: true, ClientCerts: true, Password: "secret", TokenTTL: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	leader := func(except ...*etcdtest.Member) *etcdtest.Member {
		t.Helper()
		m, err := c.Leader(t.Context(), except...)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := leader()
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := leader(first)
	if err := first.Cont(); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(t.Context(), c.Members...); err != nil {
		t.Fatal(err)
	}
	second.Kill()
	second.Kill()
	leader(second)
	if second.Stop() == nil {
		t.Error("a killed member was stopped")
	}
	for range 2 {
		if err := second.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Await(t.Context(), second); err != nil {
		t.Fatal(err)
	}
}

// A leader of etcd that its followers do not hear is replaced, and so is one whose disk
// hangs; one that does not hear them stands down.
func TestAFaultyLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	c, err := etcdtest.Start(t.Context(), etcdtest.Options{Members: 3, Partitions: true, StallableDisks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	rejoin := func(*etcdtest.Member) error {
		c.Rejoin()
		return nil
	}
	// A disk that hangs is noticed by who writes.
	stall := func(m *etcdtest.Member) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Endpoint+"/v3/kv/put", strings.NewReader(`{"key": "eA==", "value": "eA=="}`))
		if err == nil {
			err = m.StallDisk()
		}
		if err != nil {
			return err
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err == nil {
			return errors.Join(errors.New("the write was answered: "+res.Status), res.Body.Close())
		}
		return nil
	}
	for name, tt := range map[string]struct {
		begin, end func(*etcdtest.Member) error
		linux      bool
	}{
		"cut off": {func(m *etcdtest.Member) error { c.Isolate(m, true, true); return nil }, rejoin, false},
		"mute":    {func(m *etcdtest.Member) error { c.Isolate(m, true, false); return nil }, rejoin, false},
		"deaf":    {func(m *etcdtest.Member) error { c.Isolate(m, false, true); return nil }, rejoin, false},
		"stalled": {stall, (*etcdtest.Member).UnstallDisk, true},
	} {
		if tt.linux && runtime.GOOS != "linux" {
			continue // see tools/etcd/faulty
		}
		old, err := c.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.begin(old); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Leader(t.Context(), old); err != nil {
			t.Errorf("%s: no other leader: %v", name, err)
		}
		if err := tt.end(old); err != nil {
			t.Fatal(err)
		}
		if err := c.Await(t.Context(), c.Members...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := etcdtest.Start(ctx, etcdtest.Options{}); err == nil {
		t.Errorf("started: %v", c.Close())
	}
}
