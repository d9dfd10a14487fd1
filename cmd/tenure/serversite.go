package main

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenure-go/tenure/cmd/tenure/internal/web"
	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/store"
)

// serverSite is what a server shows over HTTP. Nil is that of one that shows nothing.
type serverSite struct {
	web *web.Server

	mu     sync.Mutex
	server *embedded.Server // nil until it serves
	store  store.Store      // that of the server itself
}

var errNotServing = errors.New("does not serve yet")

// openSite shows the server that is to start. Without --listen there is no site.
func (f *serveFlags) openSite(conf embedded.Config) (*serverSite, error) {
	l, err := f.listen.listen()
	if l == nil || err != nil {
		return nil, err
	}
	// What etcd counts is in the default registry, beside Go and the process.
	registry := prometheus.NewRegistry()
	registry.MustRegister(buildInfo())
	s := &serverSite{}
	pages := storePages(s.open)
	pages.Standing = func(election string) web.Standing {
		return web.Standing{Election: election, Reason: "this process is a server and takes part in no election"}
	}
	pages.Member = func() (any, error) {
		return nil, web.NotFoundError("this process is a server and no member")
	}
	pages.Healthy, pages.Ready = s.healthy, s.ready
	pages.Metrics = metricsPage(prometheus.Gatherers{registry, prometheus.DefaultGatherer})
	s.web = f.listen.serveSite(l, pages, func(trouble string) { conf.Logger.Warn("HTTP", "server", conf.Name, "trouble", trouble) })
	conf.Logger.Info("listening", "server", conf.Name, "url", s.web.URL())
	return s, nil
}

// serves makes the site that of a server that has started.
func (s *serverSite) serves(ctx context.Context, server *embedded.Server) error {
	if s == nil {
		return nil
	}
	st, err := server.Store(ctx, "")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.store = server, st
	return nil
}

// close closes the port, and the store, before the server.
func (s *serverSite) close() {
	if s == nil {
		return
	}
	s.web.Close()
	if st, err := s.open(); err == nil {
		_ = st.Close() // nothing was written
	}
}

// url is where the site is; "" without one.
func (s *serverSite) url() string {
	if s == nil {
		return ""
	}
	return s.web.URL()
}

func (s *serverSite) open() (store.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil, errNotServing
	}
	return s.store, nil
}

// healthy says why the server does not run. One that waits for others does.
func (s *serverSite) healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	return s.server.Err()
}

// ready says why the server does not serve. An answer to a read shows that a quorum does.
func (s *serverSite) ready(ctx context.Context) error {
	st, err := s.open()
	if err != nil {
		return err
	}
	_, err = st.List(ctx, store.Keys("ready"))
	return err
}
