package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Raft proposes what it is given while it leads, whoever has made it and when. So a command of a
// term that was lost is committed when its server has regained the leadership;
// the state machine refuses it, on every server.
func TestLateCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := newBubble(t)
		a := elected(t, servers)
		first := a.raft.CurrentTerm()
		if refused, err := a.propose(t, command{Term: first, Op: opPut, Key: "colour", Value: "green"}); refused != nil || err != nil {
			t.Fatalf("in its term: refused %v, error %v", refused, err)
		}
		late := command{Term: first, Op: opPut, Key: "colour", Value: "red"} // made now, proposed below

		a.transfer(t, servers)
		b := elected(t, servers)
		if refused, err := b.propose(t, command{Term: b.raft.CurrentTerm(), Op: opPut, Key: "colour", Value: "blue"}); refused != nil || err != nil {
			t.Fatalf("of another leader: refused %v, error %v", refused, err)
		}
		if _, err := a.propose(t, late); !errors.Is(err, raft.ErrNotLeader) {
			t.Errorf("while another leads: %v, want that of raft", err)
		}
		b.transfer(t, []*member{a})
		if again := elected(t, servers); again != a {
			t.Fatalf("%s leads, want %s", again.id, a.id)
		}

		refused, err := a.propose(t, late)
		if err != nil {
			t.Errorf("raft says %v, and should have committed it", err)
		}
		if !errors.Is(refused, errLate) {
			t.Errorf("the state machine says %v, want %v", refused, errLate)
		}
		time.Sleep(time.Second) // virtual: until all have applied it
		for _, s := range servers {
			if value, _ := s.kv.get("colour", time.Now()); value != "blue" {
				t.Errorf("%s has %q, which the later leader has overwritten", s.id, value)
			}
		}
		// It is the term that tells: the same command of the present one is applied.
		late.Term = a.raft.CurrentTerm()
		if refused, err := a.propose(t, late); refused != nil || err != nil {
			t.Errorf("with the present term: refused %v, error %v", refused, err)
		}
	})
}

// member is a server without a process, in a bubble of synctest.
type member struct {
	id   raft.ServerID
	raft *raft.Raft
	kv   *kv
}

func newBubble(t *testing.T) (all []*member) {
	var conf raft.Configuration
	var transports []*raft.InmemTransport
	for i := range 3 {
		address, transport := raft.NewInmemTransport("")
		for _, other := range transports {
			transport.Connect(other.LocalAddr(), other)
			other.Connect(address, transport)
		}
		transports = append(transports, transport)
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: address})
	}
	for i, transport := range transports {
		m := &member{id: conf.Servers[i].ID, kv: newKV()}
		c := raft.DefaultConfig()
		c.LocalID, c.Logger = m.id, hclog.NewNullLogger()
		store, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		err := raft.BootstrapCluster(c, store, store, snapshots, transport, conf)
		if err != nil {
			t.Fatal(err)
		}
		if m.raft, err = raft.NewRaft(c, m.kv, store, store, snapshots, transport); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	t.Cleanup(func() {
		for _, m := range all {
			if err := m.raft.Shutdown().Error(); err != nil {
				t.Error(err)
			}
		}
	})
	return all
}

// elected waits for a leader that has applied all that earlier ones have committed.
func elected(t *testing.T, all []*member) *member {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // virtual
		for _, m := range all {
			if m.raft.State() == raft.Leader && m.raft.Barrier(time.Second).Error() == nil {
				return m
			}
		}
	}
	t.Fatal("nobody leads")
	return nil
}

// transfer has the leadership go to one of some, and waits until this server has heard of it.
func (m *member) transfer(t *testing.T, to []*member) {
	for _, other := range to {
		if other != m {
			for _, s := range m.raft.GetConfiguration().Configuration().Servers {
				if s.ID == other.id {
					if err := m.raft.LeadershipTransferToServer(s.ID, s.Address).Error(); err != nil {
						t.Fatal(err)
					}
				}
			}
			break
		}
	}
	for m.raft.State() == raft.Leader {
		time.Sleep(time.Millisecond) // virtual
	}
}

// propose returns what the state machine and what raft says to a command.
func (m *member) propose(t *testing.T, c command) (refused, err error) {
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	f := m.raft.Apply(data, time.Second)
	if err := f.Error(); err != nil {
		return nil, err
	}
	refused, _ = f.Response().(error)
	return refused, nil
}
