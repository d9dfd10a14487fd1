package etcdtest_test

import (
	"context"
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
