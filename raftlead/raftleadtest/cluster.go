package raftleadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
)

// Timeouts of a Cluster's rafts, and of what waits for them, all of them multiplied by the
// scale.
const (
	DefaultRaftTimeout = 200 * time.Millisecond // heartbeats, elections, and raft's own leader lease
	DefaultTimeout     = 10 * time.Second
)

// ClusterOptions say what a Cluster is made of. The zero value is three servers whose state
// machines ignore all commands.
type ClusterOptions struct {
	// Servers is how many there are, all of them voters, with the ids "0", "1" and so on. By
	// default 3.
	Servers int
	// FSM returns a new state machine, each time that a server is started.
	FSM func(id raft.ServerID) raft.FSM
	// Config changes the configuration with which a server is started. It has
	// been given DefaultRaftTimeout, no log output, and a MaxAppendEntries of 1, so that
	// commands go one by one; see Cluster.Hold.
	Config func(id raft.ServerID, conf *raft.Config)
	// Elector are the options of each server's Elector.
	Elector raftlead.Options
	// Lead, if not nil, is the function of Elector.Lead on each server, for as long as it is
	// up. It must return when its context ends.
	Lead func(ctx context.Context, id raft.ServerID, t tenure.Term) error
	// Tracker are the options of the Cluster's own Tracker.
	Tracker TrackerOptions
	// Timeout bounds each wait of the Cluster's methods, beside their contexts. By default
	// DefaultTimeout.
	Timeout time.Duration
	// Scale multiplies all time-outs, also those above. By default it is that of the
	// environment; see Scale.
	Scale float64
}

// Cluster is servers of a raft cluster in one process, over transports and stores in
// memory. All are connected, but none of them stands for election unless Elect or
// AllowElections says so; only a server to which the leadership is transferred does. So a
// test decides who leads, and when. (A server that is alone elects itself.)
//
// Its methods may be called from many goroutines, but one of Elect, Depose, Start,
// Shutdown and Close at a time. Close ends all of its goroutines.
type Cluster struct {
	opts    ClusterOptions
	scale   float64
	tracker *Tracker
	servers []*Server
	close   func() error

	mu        sync.Mutex
	candidate raft.ServerID // that Elect is for
	free      bool          // any server may stand for election
}

// NewCluster starts a cluster, in which nobody leads yet.
//
// Errors: tenure.ErrInvalid, and those of raft and of package raftlead.
func NewCluster(opts ClusterOptions) (*Cluster, error) {
	scale, err := scaleOr(opts.Scale)
	switch {
	case err != nil:
		return nil, err
	case opts.Servers < 0:
		return nil, invalid("Servers is %d; give a positive number, or none for 3", opts.Servers)
	case opts.Timeout < 0:
		return nil, invalid("Timeout is %v; give a positive duration, or none for %v", opts.Timeout, DefaultTimeout)
	}
	if opts.Servers == 0 {
		opts.Servers = 3
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.FSM == nil {
		opts.FSM = func(raft.ServerID) raft.FSM { return ignoring{} }
	}
	if opts.Tracker.Scale == 0 {
		opts.Tracker.Scale = scale
	}
	c := &Cluster{opts: opts, scale: scale, tracker: NewTracker(opts.Tracker)}
	c.close = sync.OnceValue(c.closeOnce)
	var members raft.Configuration
	for i := range opts.Servers {
		s := newServer(c, raft.ServerID(fmt.Sprint(i)))
		c.servers = append(c.servers, s)
		members.Servers = append(members.Servers, raft.Server{ID: s.id, Address: s.address})
	}
	for _, s := range c.servers {
		err := s.bootstrap(members)
		if err == nil {
			err = c.Start(s.id)
		}
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// IDs are those of all servers.
func (c *Cluster) IDs() []raft.ServerID {
	ids := make([]raft.ServerID, len(c.servers))
	for i, s := range c.servers {
		ids[i] = s.id
	}
	return ids
}

// Server returns one of the servers. It panics for an id that is not one of IDs.
func (c *Cluster) Server(id raft.ServerID) *Server {
	s, err := c.server(id)
	if err != nil {
		panic(err)
	}
	return s
}

func (c *Cluster) server(id raft.ServerID) (*Server, error) {
	i := slices.IndexFunc(c.servers, func(s *Server) bool { return s.id == id })
	if i < 0 {
		return nil, fmt.Errorf("%w %q; there are %q", ErrUnknown, id, c.IDs())
	}
	return c.servers[i], nil
}

// Tracker follows all servers.
func (c *Cluster) Tracker() *Tracker { return c.tracker }

// Leader returns the server on which raft leads, or nil. Two may lead at a time, for a moment, in
// different raft terms: it is the one of the higher.
func (c *Cluster) Leader() *Server {
	var leader *Server
	var term uint64
	for _, s := range c.servers {
		if r := s.Raft(); s.up() && r.State() == raft.Leader && r.CurrentTerm() >= term {
			leader, term = s, r.CurrentTerm()
		}
	}
	return leader
}

// Close shuts all servers down, and ends the Tracker. It may be called again, and returns the
// same.
//
// Errors: what the Tracker has found, see Tracker.Err; ErrTimeout for a raft or a function of Lead that does
// not end.
func (c *Cluster) Close() error { return c.close() }

func (c *Cluster) closeOnce() error {
	found := c.tracker.Err()
	c.tracker.Ignore()
	for _, s := range c.servers { // before any of them stops to answer
		s.goDown()
	}
	errs := make([]error, len(c.servers))
	var all sync.WaitGroup
	for i, s := range c.servers {
		all.Go(func() { errs[i] = c.shutdown(context.Background(), s) })
	}
	all.Wait()
	return errors.Join(found, errors.Join(errs...), c.tracker.Close())
}

// bound is a context that also ends when the Cluster's Timeout has passed.
func (c *Cluster) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	d := scaled(c.opts.Timeout, c.scale)
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%w: within %v", ErrTimeout, d))
}

// await looks every now and then whether something has come about that raft tells nobody
// of.
func (c *Cluster) await(ctx context.Context, holds func() bool) error {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// ask waits for an answer of raft's.
func ask(ctx context.Context, request func() raft.Future) error {
	answer := make(chan error, 1)
	go func() { answer <- request().Error() }() // ends with the raft, at the latest
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
