package raftleadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
)

// Server is one of a Cluster. What it has stored outlives Shutdown; all else is new after
// Start.
type Server struct {
	c         *Cluster
	id        raft.ServerID
	address   raft.ServerAddress
	logs      *logs
	stable    *raft.InmemStore
	snapshots *raft.InmemSnapshotStore

	mu      sync.Mutex
	run     *run // the present one, or the last; nil before the first
	down    bool
	cut     bool   // by Disconnect
	out     bool   // by Depose, until raft has stepped down
	deposed uint64 // the raft term in which Depose was called last
	hold    *Hold
}

// run is a server from a start to its shutdown.
type run struct {
	net     *raft.InmemTransport
	fsm     *fsm
	witness *raftlead.Witness
	raft    *raft.Raft
	elector *raftlead.Elector
	led     chan struct{} // closed when the function of Lead is not called any more
}

func newServer(c *Cluster, id raft.ServerID) *Server {
	s := &Server{c: c, id: id, address: "memory:" + raft.ServerAddress(id), down: true,
		stable: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore()}
	s.logs = &logs{InmemStore: raft.NewInmemStore(), stored: s.stored}
	return s
}

// ID is the server's.
func (s *Server) ID() raft.ServerID { return s.id }

// Raft is the server's, since its last start.
func (s *Server) Raft() *raft.Raft { return s.current().raft }

// Elector is the server's, since its last start.
func (s *Server) Elector() *raftlead.Elector { return s.current().elector }

// Witness is the server's, since its last start.
func (s *Server) Witness() *raftlead.Witness { return s.current().witness }

// FSM is what ClusterOptions.FSM has returned at the last start.
func (s *Server) FSM() raft.FSM { return s.current().fsm.FSM }

// Counts say what the FSM was called for.
type Counts struct {
	Commands, Snapshots, Restores int
}

// Counts are those since the last start.
func (s *Server) Counts() Counts { return s.current().fsm.counted() }

func (s *Server) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

func (s *Server) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down
}

// reachable: it is up, and connected.
func (s *Server) reachable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down && !s.cut && !s.out
}

func (s *Server) config() *raft.Config {
	conf := raft.DefaultConfig()
	timeout := scaled(DefaultRaftTimeout, s.c.scale)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = timeout, timeout, timeout
	conf.CommitTimeout = timeout / 40
	conf.MaxAppendEntries = 1
	conf.LogOutput = io.Discard
	if s.c.opts.Config != nil {
		s.c.opts.Config(s.id, conf)
	}
	conf.LocalID = s.id
	return conf
}

func (s *Server) bootstrap(members raft.Configuration) error {
	_, net := raft.NewInmemTransport(s.address)
	if err := raft.BootstrapCluster(s.config(), s.logs, s.stable, s.snapshots, net, members); err != nil {
		return fmt.Errorf("bootstrap server %q: %w", s.id, err)
	}
	return nil
}

// Start starts a server that was shut down, over what it had stored.
//
// Errors: ErrUnknown, ErrClosed, tenure.ErrInvalid for one that is up, and those of raft and of
// package raftlead.
func (c *Cluster) Start(id raft.ServerID) error {
	s, err := c.server(id)
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return fmt.Errorf("start server %q: %w", id, err)
	}
	return nil
}

func (s *Server) start() (err error) {
	if s.up() {
		return invalid("it is up; shut it down first")
	}
	r := &run{led: make(chan struct{})}
	_, r.net = raft.NewInmemTransportWithTimeout(s.address, scaled(5*DefaultRaftTimeout, s.c.scale))
	r.witness = raftlead.NewWitness(&transport{InmemTransport: r.net, s: s})
	r.fsm = &fsm{FSM: s.c.opts.FSM(s.id), s: s}
	if r.raft, err = raft.NewRaft(s.config(), r.fsm.withAll(), s.logs, s.stable, s.snapshots, r.witness.Transport()); err != nil {
		return err
	}
	if r.elector, err = raftlead.New(r.raft, s.id, r.witness, s.c.opts.Elector); err == nil {
		err = s.c.tracker.Track(s.id, r.elector)
	}
	if err != nil {
		if r.elector != nil {
			r.elector.Close()
		}
		ctx, cancel := s.c.bound(context.Background())
		defer cancel()
		return errors.Join(err, ask(ctx, r.raft.Shutdown))
	}
	if lead := s.c.opts.Lead; lead == nil {
		close(r.led)
	} else {
		go r.lead(func(ctx context.Context, t tenure.Term) error { return lead(ctx, s.id, t) })
	}
	for _, other := range s.c.servers {
		if other != s && other.up() {
			r.net.Connect(other.address, other.current().net)
			other.current().net.Connect(s.address, r.net)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run, s.down = r, false
	return nil
}

// lead calls the function in each term, until the Elector is closed.
func (r *run) lead(work func(context.Context, tenure.Term) error) {
	defer close(r.led)
	for {
		err := r.elector.Lead(context.Background(), work)
		if errors.Is(err, raftlead.ErrClosed) || errors.Is(err, raftlead.ErrShutdown) {
			return
		}
	}
}

// Shutdown stops a server. For the others it has crashed: nobody is told, and they may lack what it
// has committed; see Settle. On the server a term ends with raftlead.ErrClosed. It returns when
// nothing of it runs any more.
//
// Errors: ErrUnknown, tenure.ErrInvalid for one that is not up, ErrTimeout for a raft or a function of Lead
// that does not end, and that of ctx.
func (c *Cluster) Shutdown(ctx context.Context, id raft.ServerID) error {
	s, err := c.server(id)
	if err == nil && !s.up() {
		err = invalid("it is not up")
	}
	if err != nil {
		return fmt.Errorf("shut server %q down: %w", id, err)
	}
	return c.shutdown(ctx, s)
}

func (c *Cluster) shutdown(ctx context.Context, s *Server) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	s.goDown()
	r := s.current()
	if r == nil {
		return nil
	}
	r.elector.Close() // first: in its shutdown raft may forget a barrier that it was asked for, and never answer
	if err := ask(ctx, r.raft.Shutdown); err != nil {
		return fmt.Errorf("shut server %q down: its raft goes on: %w", s.id, err)
	}
	for what, over := range map[string]<-chan struct{}{"the function of Lead goes on": r.led, "the Tracker still follows it": c.tracker.Ended(s.id)} {
		select {
		case <-over:
		case <-ctx.Done():
			return fmt.Errorf("shut server %q down: %s: %w", s.id, what, context.Cause(ctx))
		}
	}
	return nil
}

// goDown: from here on nothing reaches it, and nothing that it sends others.
func (s *Server) goDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	s.endHold(errCut)
}
