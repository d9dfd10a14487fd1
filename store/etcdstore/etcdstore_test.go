package etcdstore

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

const patience = 30 * time.Second

// config is how to reach the lab's cluster, with a prefix of the test's own.
func (l *lab) config(t testing.TB) Config {
	t.Helper()
	return configOf(t, l.cluster(t), l.opts)
}

func configOf(t testing.TB, c *etcdtest.Cluster, opts etcdtest.Options) Config {
	t.Helper()
	conf := Config{Endpoints: c.Endpoints(), Prefix: "test-" + rand.Text(), DialTimeout: patience}
	if opts.Password != "" {
		conf.Username, conf.Password = "root", opts.Password
	}
	var err error
	if conf.TLS, err = c.TLS(); err != nil {
		t.Fatal(err)
	}
	return conf
}

func opened(t testing.TB, conf Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newClient is a client of the user's own.
func newClient(t testing.TB, conf Config) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: conf.Endpoints, TLS: conf.TLS, Username: conf.Username, Password: conf.Password, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func put(t testing.TB, s store.Store, key, value string, lease store.LeaseID) store.Revision {
	t.Helper()
	res, err := s.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put(key, []byte(value), lease)}})
	if err != nil || !res.Committed {
		t.Fatalf("Commit: %+v, %v", res, err)
	}
	return res.Revision
}

// eventually waits for what has no event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// watching is a watch whose changes are waited for.
type watching struct {
	changes chan store.Changes
	ended   chan error // closed after the error
	cancel  context.CancelFunc
}

func watch(t testing.TB, s store.Store, prefix string, after store.Revision) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{changes: make(chan store.Changes), ended: make(chan error, 1), cancel: cancel}
	go func() {
		defer close(w.ended)
		for ch, err := range s.Watch(ctx, prefix, after) {
			if err != nil {
				w.ended <- err
				return
			}
			select {
			case w.changes <- ch:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range w.ended { // until it is closed
		}
	})
	return w
}

// event returns the next step that has events.
func (w *watching) event(t testing.TB) store.Changes {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ch := <-w.changes:
			if len(ch.Events) > 0 {
				return ch
			}
		case err := <-w.ended:
			t.Fatalf("the watch ended: %v", err)
		case <-timeout:
			t.Fatal("no event came")
		}
	}
}

// end returns the error that the watch ends with.
func (w *watching) end(t testing.TB) error {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case <-w.changes:
		case err := <-w.ended:
			return err
		case <-timeout:
			t.Fatal("the watch did not end")
		}
	}
}
