package embedded

import (
	"context"
	"time"
)

// What the tests of co-location look at from within.

// Outranks reports whether the server would claim its priority now.
func (s *Server) Outranks() bool { return s.beside.outranks() }

// Pull has etcd's leader come to the server, as if nobody led.
func (s *Server) Pull() bool { return s.beside.pull("a test") }

// Fit reports whether the server's member could lead.
func (s *Server) Fit() bool { return s.beside.fit() }

// Policies is how many policies the server would tell.
func (s *Server) Policies() int {
	s.beside.mu.Lock()
	defer s.beside.mu.Unlock()
	n := 0
	for _, p := range s.beside.policies {
		if !gone(p) {
			n++
		}
	}
	return n
}

// Patience is what decides for how long nobody may lead, apart from clocks and servers.
type Patience struct{ p policy }

func NewPatience(own string, base time.Duration) *Patience {
	return &Patience{policy{s: &Server{conf: Config{Name: own}}, base: base, patience: base}}
}

// Asked is a question while etcd's leader is on a server; then somebody elsewhere
// turns out to lead, or not.
func (p *Patience) Asked(now time.Time, etcd string, led bool) bool {
	over := p.p.impatient(etcd, now)
	p.p.led = led
	return over
}

// CanRead reports whether the server answers linearizable reads.
func (s *Server) CanRead(ctx context.Context) error { return s.raft().LinearizableReadNotify(ctx) }
