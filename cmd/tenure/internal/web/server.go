package web

import (
	"context"
	"errors"
	"log" //nolint:depguard // http.Server takes no other
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	headerTimeout   = 5 * time.Second
	requestTimeout  = 10 * time.Second
	replyTimeout    = 30 * time.Second // of a client that reads slowly
	idleTimeout     = time.Minute
	maxHeader       = 16 << 10
	maxConnections  = 256 // each is a file, of which the process has so many
	shutdownTimeout = time.Second
)

// Server answers requests on a listener until it is closed.
type Server struct {
	address string
	http    *http.Server
	cancel  context.CancelFunc // ends the reads of the store
	live    sync.WaitGroup     // the server, and what it answers

	mu     sync.Mutex
	closed bool
}

// Serve begins to answer requests. Troubles that are no client's are reported.
func Serve(l net.Listener, h http.Handler, report func(string)) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{address: l.Addr().String(), cancel: cancel}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.begins() {
				defer s.live.Done()
				h.ServeHTTP(w, r)
			}
		}),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 replyTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // which answers "OPTIONS *" with 200, on the leader or not
		ErrorLog:                     log.New(lines(report), "", 0),
	}
	s.live.Go(func() {
		if err := s.http.Serve(netutil.LimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			report(err.Error())
		}
	})
	return s
}

// begins counts a request in, unless the server is closed.
func (s *Server) begins() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.live.Add(1)
	}
	return !s.closed
}

// URL is where it answers.
func (s *Server) URL() string { return "http://" + s.address }

// Close closes the port, and returns when nothing is answered any more. Who waits for a
// read of the store is told that it was cancelled.
func (s *Server) Close() {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // of connections that nobody will miss
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.live.Wait()
}

// lines report what a log says.
type lines func(string)

func (report lines) Write(b []byte) (int, error) {
	report(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
