package raftlead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// fsm has no state.
type fsm struct{}

func (fsm) Apply(*raft.Log) any                 { return nil }
func (fsm) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (fsm) Restore(io.ReadCloser) error         { return nil }

type server struct {
	id      raft.ServerID
	raft    *raft.Raft
	net     *raft.InmemTransport
	witness *Witness
	elector *Elector
}

// newCluster starts servers that are all connected, in one bubble of synctest.
func newCluster(t *testing.T, n int, opts Options) []*server {
	servers := make([]*server, n)
	var conf raft.Configuration
	for i := range servers {
		addr, net := raft.NewInmemTransport(raft.ServerAddress(fmt.Sprintf("addr-%d", i)))
		servers[i] = &server{id: raft.ServerID(fmt.Sprint(i)), net: net, witness: NewWitness(net)}
		conf.Servers = append(conf.Servers, raft.Server{ID: servers[i].id, Address: addr})
	}
	for i, s := range servers {
		for j, peer := range servers {
			if i != j {
				s.net.Connect(peer.net.LocalAddr(), peer.net)
			}
		}
		c := raft.DefaultConfig()
		c.LocalID, c.Logger = s.id, hclog.NewNullLogger()
		logs := raft.NewInmemStore()
		snaps := raft.NewInmemSnapshotStore()
		if err := raft.BootstrapCluster(c, logs, logs, snaps, s.witness.Transport(), conf); err != nil {
			t.Fatal(err)
		}
		var err error
		if s.raft, err = raft.NewRaft(c, fsm{}, logs, logs, snaps, s.witness.Transport()); err != nil {
			t.Fatal(err)
		}
		if s.elector, err = New(s.raft, s.id, s.witness, opts); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, s := range servers {
			s.elector.Close()
			if err := s.raft.Shutdown().Error(); err != nil {
				t.Error(err)
			}
		}
	})
	return servers
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := newCluster(t, 3, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		type term struct {
			s *server
			l *Leadership
		}
		terms := make(chan term)
		done := make(chan error)
		for _, s := range servers {
			go func() {
				done <- s.elector.Lead(ctx, func(ctx context.Context, l tenure.Term) error {
					terms <- term{s, l.(*Leadership)}
					<-ctx.Done()
					return nil
				})
			}()
		}
		for range 3 {
			a := <-terms
			t.Log(time.Now(), a.s.id, a.l.Token(), a.l.RaftTerm(), a.l.Verify(ctx), time.Until(a.l.Until()), a.s.elector.Now())
			for _, s := range servers {
				if s != a.s {
					t.Log(a.l.TransferTo(ctx, s.id))
					break
				}
			}
		}
		a := <-terms
		for _, s := range servers {
			if s != a.s {
				a.s.net.Disconnect(s.net.LocalAddr())
				s.net.Disconnect(a.s.net.LocalAddr())
			}
		}
		b := <-terms
		t.Log(time.Now(), a.l.Cause(), b.l.Token())
		go func() {
			for range terms {
			}
		}()
		cancel()
		for range servers {
			t.Log(<-done)
		}
		for tr, err := range servers[0].elector.Transitions(func() context.Context { c, f := context.WithCancel(t.Context()); f(); return c }()) {
			t.Log(tr, err)
		}
		close(terms)
	})
}
