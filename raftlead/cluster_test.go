package raftlead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// long is a time in which everything that is going to happen has happened. In a bubble it costs
// nothing.
const long = 10 * time.Minute

// fsm knows the index of the last command that it has applied.
type fsm struct{ last atomic.Uint64 }

func (f *fsm) Apply(l *raft.Log) any             { f.last.Store(l.Index); return nil }
func (*fsm) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (*fsm) Restore(io.ReadCloser) error         { return nil }

type server struct {
	id      raft.ServerID
	addr    raft.ServerAddress
	raft    *raft.Raft
	fsm     *fsm
	disk    *disk
	link    *link
	witness *Witness
	elector *Elector
}

// cluster is servers over one network, of which the first ones vote.
type cluster struct {
	t       *testing.T
	net     *network
	opts    Options
	conf    *raft.Config
	set     func(*raft.Config)
	servers []*server
	closed  bool
	real    bool // not in a bubble
}

// setup is what a cluster is made of. The zero values are raft's defaults.
type setup struct {
	voters    int
	nonvoters int
	opts      Options
	conf      func(*raft.Config) // called for each server
	net       *network
}

func newCluster(t *testing.T, s setup) *cluster {
	t.Helper()
	c := &cluster{t: t, net: s.net, opts: s.opts, conf: raft.DefaultConfig(), set: func(*raft.Config) {}}
	if c.net == nil {
		c.net = newNetwork()
	}
	c.conf.Logger = hclog.NewNullLogger()
	c.conf.CommitTimeout = 250 * time.Millisecond // fewer messages
	if s.conf != nil {
		c.set = s.conf
	}
	var members raft.Configuration
	for i := range s.voters + s.nonvoters {
		member := raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: raft.ServerAddress(fmt.Sprintf("addr-%d", i))}
		if i >= s.voters {
			member.Suffrage = raft.Nonvoter
		}
		members.Servers = append(members.Servers, member)
	}
	for range members.Servers {
		c.start(&members)
	}
	t.Cleanup(c.close)
	return c
}

// start starts one more server; without members it waits for a leader to add it.
func (c *cluster) start(members *raft.Configuration) *server {
	c.t.Helper()
	i := len(c.servers)
	s := &server{
		id:   raft.ServerID(fmt.Sprint(i)),
		addr: raft.ServerAddress(fmt.Sprintf("addr-%d", i)),
		fsm:  &fsm{},
		disk: newDisk(),
	}
	s.link = c.net.link(s.addr, s.disk)
	s.witness = NewWitness(s.link)
	conf := *c.conf
	conf.LocalID = s.id
	c.set(&conf)
	snaps := raft.NewInmemSnapshotStore()
	if members != nil {
		if err := raft.BootstrapCluster(&conf, s.disk, s.disk, snaps, s.link, *members); err != nil {
			c.t.Fatal(err)
		}
	}
	s.disk.leads = func() bool { return s.raft.State() == raft.Leader }
	var err error
	if s.raft, err = raft.NewRaft(&conf, s.fsm, s.disk, s.disk, snaps, s.witness.Transport()); err != nil {
		c.t.Fatal(err)
	}
	if s.elector, err = New(s.raft, s.id, s.witness, c.opts); err != nil {
		c.t.Fatal(err)
	}
	c.servers = append(c.servers, s)
	return s
}

// close ends all, once.
func (c *cluster) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.net.heal()
	for _, s := range c.servers {
		s.disk.goOn()
	}
	for _, s := range c.servers {
		s.elector.Close()
		if err := s.raft.Shutdown().Error(); err != nil {
			c.t.Error(err)
		}
	}
	// What is under way has a time-out. What is left then hangs for ever, and the bubble panics.
	if !c.real {
		time.Sleep(long) // virtual
	}
}

// others are all servers but s.
func (c *cluster) others(s *server) []*server {
	var others []*server
	for _, o := range c.servers {
		if o != s {
			others = append(others, o)
		}
	}
	return others
}

// leader waits until one of the servers leads, or of all.
func (c *cluster) leader(servers ...*server) *server {
	c.t.Helper()
	if servers == nil {
		servers = c.servers
	}
	for end := time.Now().Add(long); time.Now().Before(end); {
		for _, s := range servers {
			if s.elector.Now().Leading {
				return s
			}
		}
		time.Sleep(10 * time.Millisecond) // virtual
	}
	c.t.Fatal("nobody leads")
	return nil
}

// campaign begins a term on the server that leads, or is elected meanwhile.
func (c *cluster) campaign() (*server, *Leadership) {
	c.t.Helper()
	for range 20 {
		s := c.leader()
		ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
		l, err := s.elector.Campaign(ctx)
		cancel()
		if err == nil && l.Held() {
			return s, l
		}
	}
	c.t.Fatal("no term begins")
	return nil, nil
}

func (c *cluster) campaignOn(s *server) *Leadership {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), long)
	defer cancel()
	l, err := s.elector.Campaign(ctx)
	if err != nil {
		for _, o := range c.servers {
			c.t.Logf("%s, raft's %v: %v", o.id, o.raft.State(), o.elector.Now())
		}
		c.t.Fatalf("on %s: %v", s.id, err)
	}
	return l
}

// bubble is a test in virtual time.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// await waits for something that is going to happen, in virtual time.
func await[T any](t *testing.T, what string, events <-chan T) T {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(long):
		t.Fatalf("waited for %v: %s", long, what)
		panic("unreachable")
	}
}

// mustEnd waits for the end of a term, and checks its cause.
func mustEnd(t *testing.T, l tenure.Term, causes ...error) {
	t.Helper()
	await(t, "end of the term", l.Context().Done())
	if l.Held() {
		t.Error("a term that has ended is held")
	}
	if !slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(l.Cause(), cause) }) {
		t.Errorf("the term ended with %v, want %v", l.Cause(), causes)
	}
}

// idle is a function for Lead that works until its term ends.
func idle(ctx context.Context, _ tenure.Term) error {
	<-ctx.Done()
	return nil
}

// lead calls Lead on a server, and returns where its result will be.
func lead(ctx context.Context, s *server, work func(context.Context, tenure.Term) error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.elector.Lead(ctx, work) }()
	return done
}
