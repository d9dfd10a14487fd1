package etcdstore

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/requirestore"
)

// lab is a cluster that several tests share: none of them may harm it.
type lab struct {
	opts  etcdtest.Options
	start func() (*etcdtest.Cluster, error)
}

func newLab(opts etcdtest.Options) *lab {
	l := &lab{opts: opts}
	l.start = sync.OnceValues(func() (*etcdtest.Cluster, error) {
		c, err := etcdtest.Start(context.Background(), opts)
		if err == nil {
			started.Lock()
			defer started.Unlock()
			started.clusters = append(started.clusters, c)
		}
		return c, err
	})
	return l
}

const (
	password = "correct horse battery staple"
	tokenTTL = 2 * time.Second
)

var (
	plain = newLab(etcdtest.Options{})
	// Cases of the conformance suite compact, so it has its clusters to itself.
	conforming = map[string]*lab{
		"one node":            newLab(etcdtest.Options{}),
		"three nodes":         newLab(etcdtest.Options{Members: 3}),
		"TLS":                 newLab(etcdtest.Options{TLS: true}),
		"client certificates": newLab(etcdtest.Options{ClientCerts: true}),
		"password":            authorised,
	}
	authorised = newLab(etcdtest.Options{Password: password, TokenTTL: tokenTTL})

	started struct {
		sync.Mutex
		clusters []*etcdtest.Cluster
	}
)

// cluster returns the cluster of the lab. Without an etcd binary the test is
// skipped.
func (l *lab) cluster(t testing.TB) *etcdtest.Cluster {
	t.Helper()
	requireEtcd(t)
	c, err := l.start()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func requireEtcd(t testing.TB) {
	t.Helper()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
}

// newCluster starts a cluster of the test's own.
func newCluster(t testing.TB, opts etcdtest.Options) *etcdtest.Cluster {
	t.Helper()
	requireEtcd(t)
	c, err := etcdtest.Start(t.Context(), opts)
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

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait for servers far more than they compute.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("4") // a number, as it wants
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	for _, c := range started.clusters {
		if err := c.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if code == 0 && !fuzzing() && !settled(before) {
		fmt.Fprintln(os.Stderr, "goroutines were left behind:")
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// fuzzing reports whether this process is one of a fuzzer, which leaves goroutines behind.
func fuzzing() bool { return flag.Lookup("test.fuzz").Value.String() != "" }

// settled waits for goroutines that are about to end.
func settled(limit int) bool {
	for range 500 {
		if runtime.NumGoroutine() <= limit {
			return true
		}
		time.Sleep(10 * time.Millisecond) // goroutines end without a word
	}
	return false
}
