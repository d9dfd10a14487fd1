package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure/raftlead"
)

// raftServers is how many servers a raft cluster has here.
const raftServers = 3

// raftServer is a server of a raft cluster, in this process, with a log in memory.
type raftServer struct {
	id      raft.ServerID
	addr    raft.ServerAddress
	wire    raftWire
	raft    *raft.Raft
	notify  chan bool         // Config.NotifyCh; nil with an Elector
	elector *raftlead.Elector // nil: raft alone
}

// raftCluster is a cluster that elects its first leader by itself.
type raftCluster struct {
	servers []*raftServer
	elected chan elected // each time that raft leads somewhere
	running sync.WaitGroup
}

// elected: raft's state has become Leader, told by raft itself.
type elected struct {
	by *raftServer
	at time.Time
}

// raftKind is what a cluster is made of.
type raftKind struct {
	transport string // "memory" or "TCP"
	electors  bool
	beat      time.Duration // heartbeats, elections and raft's lease
	wires     func(raftWire) raftWire
}

func (k raftKind) String() string {
	if k.electors {
		return "raftlead"
	}
	return "raft alone"
}

func newRaftCluster(k raftKind) (_ *raftCluster, err error) {
	c := &raftCluster{elected: make(chan elected, 100)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	wires, err := newWires(k.transport)
	if err != nil {
		return nil, err
	}
	var members raft.Configuration
	for i, wire := range wires {
		if k.wires != nil {
			wire = k.wires(wire)
		}
		s := &raftServer{id: raft.ServerID(fmt.Sprint(i)), addr: wire.LocalAddr(), wire: wire}
		members.Servers = append(members.Servers, raft.Server{ID: s.id, Address: s.addr})
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		if err := c.start(s, k, members); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *raftCluster) start(s *raftServer, k raftKind, members raft.Configuration) (err error) {
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = s.id, hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = k.beat, k.beat, k.beat
	var transport raft.Transport = s.wire
	var witness *raftlead.Witness
	if k.electors {
		witness = raftlead.NewWitness(s.wire)
		transport = witness.Transport()
	} else {
		s.notify = make(chan bool, 100)
		conf.NotifyCh = s.notify
	}
	logs, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	if err := raft.BootstrapCluster(conf, logs, logs, snapshots, transport, members); err != nil {
		return err
	}
	if s.raft, err = raft.NewRaft(conf, nothing{}, logs, logs, snapshots, transport); err != nil {
		return err
	}
	s.raft.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if o.Data == raft.Leader {
			select {
			case c.elected <- elected{s, time.Now()}:
			default: // nobody has read a hundred of them
			}
		}
		return false
	}))
	if k.electors {
		s.elector, err = raftlead.New(s.raft, s.id, witness, raftlead.Options{})
	}
	return err
}

// next waits until raft leads on a server, which may have been so before.
func (c *raftCluster) next(ctx context.Context) (elected, error) {
	select {
	case e := <-c.elected:
		return e, nil
	case <-ctx.Done():
		return elected{}, ctx.Err()
	case <-time.After(raftPatience):
		return elected{}, errors.New("no server was elected")
	}
}

const raftPatience = 30 * time.Second

// close ends all servers.
func (c *raftCluster) close() error {
	var errs []error
	for _, s := range c.servers {
		if s.elector != nil {
			s.elector.Close()
		}
	}
	c.running.Wait()
	var ends []raft.Future
	for _, s := range c.servers {
		if s.raft != nil {
			ends = append(ends, s.raft.Shutdown())
		}
	}
	for _, f := range ends {
		errs = append(errs, f.Error())
	}
	for _, s := range c.servers {
		errs = append(errs, s.wire.Close())
	}
	return errors.Join(errs...)
}

// nothing is a state machine without a state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (nothing) Restore(io.ReadCloser) error         { return nil }
