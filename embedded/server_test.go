package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/internal/etcdtest"
)

// addresses returns addresses of this host at which nobody listens.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	ports, err := etcdtest.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, port := range ports {
		all = append(all, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return all
}

// config is that of a server named name, with a directory of its own.
func config(t *testing.T, name string) embedded.Config {
	t.Helper()
	a := addresses(t, 1)
	return embedded.Config{
		Name: name, Dir: filepath.Join(t.TempDir(), name), Client: a[0],
		ElectionTimeout: 300 * time.Millisecond,
		Logger:          slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// trio is the configurations of three servers of one cluster.
func trio(t *testing.T) []embedded.Config {
	t.Helper()
	peers := map[string]string{}
	names := []string{"a", "b", "c"}
	for i, a := range addresses(t, 3) {
		peers[names[i]] = a
	}
	var all []embedded.Config
	for _, name := range names {
		c := config(t, name)
		c.Peers = peers
		all = append(all, c)
	}
	return all
}

func start(t *testing.T, conf embedded.Config) *embedded.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := embedded.Start(ctx, conf)
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

// startAll starts servers at once, as each waits for others.
func startAll(t *testing.T, confs []embedded.Config) []*embedded.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	servers, errs := make([]*embedded.Server, len(confs)), make([]error, len(confs))
	var all sync.WaitGroup
	for i, conf := range confs {
		all.Go(func() { servers[i], errs[i] = embedded.Start(ctx, conf) })
	}
	all.Wait()
	t.Cleanup(func() {
		for _, s := range servers {
			if s != nil {
				all.Go(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return servers
}

// lead holds one term of an election over a server, and returns its token.
func lead(t *testing.T, s *embedded.Server) tenure.Token {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := s.Store(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	var token tenure.Token
	err = tenure.Lead(ctx, st, "nightly", func(_ context.Context, term tenure.Term) error {
		token = term.Token()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOneServerServesElections(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	s := start(t, conf)
	first := lead(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Err(); !errors.Is(err, embedded.ErrStopped) {
		t.Errorf("err after close: %v", err)
	}
	// On the same data, tokens go on rising.
	if second := lead(t, start(t, conf)); second <= first {
		t.Errorf("token %d after %d", second, first)
	}
}

func TestThreeServersServeElections(t *testing.T) {
	t.Parallel()
	servers := startAll(t, trio(t))
	var last tenure.Token
	for _, s := range servers {
		token := lead(t, s)
		if token <= last {
			t.Errorf("token %d after %d", token, last)
		}
		last = token
	}
	for _, s := range servers {
		t.Log(s.Name(), s.Leader(), fmt.Sprintf("%+v", s.Members()))
	}
}
