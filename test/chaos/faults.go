//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// fault is one thing that goes wrong for a while.
type fault struct {
	name      string
	ofWorkers bool
	aim       func(*campaign) (victim, error) // seeks out a leader in office
	begin     func(context.Context, *campaign, victim) error
	end       func(context.Context, *campaign, victim) error // nil: nothing is to be mended
	lasts     [2]time.Duration                               // at least, and at most
}

// victim is whom a fault strikes: a worker, a server of etcd, the leader of an election,
// or, where it names none, everybody.
type victim struct {
	worker   *place
	server   *etcdtest.Member
	election string
}

func (v victim) String() string {
	switch {
	case v.worker != nil:
		return v.worker.ID
	case v.server != nil:
		return v.server.Name
	}
	return v.election
}

var (
	moments = [2]time.Duration{ttl / 8, ttl / 2}     // a leader stays one
	long    = [2]time.Duration{ttl * 5 / 4, ttl * 2} // it does not
	short   = [2]time.Duration{ttl / 4, ttl * 3 / 2} // it may
)

// faults are all that a campaign does.
var faults = []fault{
	{"worker killed", true, aWorker, killWorker, restartWorker, moments},
	{"worker stopped for less than its TTL", true, aWorker, stopWorker, contWorker, moments},
	{"worker stopped for longer", true, aWorker, stopWorker, contWorker, long},
	{"worker cut off", true, aWorker, cutWorker(), healWorker, long},
	{"worker's requests lost", true, aWorker, cutWorker(etcdtest.Requests), healWorker, long},
	{"replies to a worker lost", true, aWorker, cutWorker(etcdtest.Replies), healWorker, long},
	{"worker's link slow", true, aWorker, slowWorker, healWorker, long},
	{"history compacted behind a worker's back", true, anOrderlyWorker, compact, nil, moments},
	{"server killed", false, aServer, killServer, startServers, short},
	{"server stopped", false, aServer, stopServer, contServer, long},
	{"server's disk stalled", false, aServer, stallServer, unstallServer, long},
	{"server cut off from its peers", false, aServer, isolate(true, true), rejoin, long},
	{"server's messages to its peers lost", false, aServer, isolate(true, false), rejoin, long},
	{"peers' messages to a server lost", false, aServer, isolate(false, true), rejoin, long},
	{"etcd's leader moved", false, everybody, moveLeader, nil, moments},
	{"quorum lost", false, everybody, killServers(servers/2 + 1), startServers, short},
	{"all servers restarted", false, everybody, killServers(servers), startServers, moments},
	{"lease revoked by another", false, thePrey, revokeLease, nil, moments},
	{"seat deleted by another", false, thePrey, deleteSeat, nil, moments},
	{"candidates deleted by another", false, thePrey, deleteCandidates, nil, moments},
	{"node's lease revoked by another", false, theFleet, revokeNode, nil, moments},
	{"node's record deleted by another", false, theFleet, deleteNode, nil, moments},
}

// aWorker aims at one in office.
func aWorker(c *campaign) (victim, error) { return c.holder(c.account.inOffice()) }

// anOrderlyWorker aims at one that observes elections whose leaders change often.
func anOrderlyWorker(c *campaign) (victim, error) {
	return c.holder(slices.DeleteFunc(c.account.inOffice(), func(t term) bool { return t.election == prey }))
}

func (c *campaign) holder(terms []term) (victim, error) {
	if len(terms) == 0 {
		return victim{worker: pick(c.rand, c.places)}, nil
	}
	holder := pick(c.rand, terms).member
	return victim{worker: c.places[slices.IndexFunc(c.places, func(p *place) bool { return p.ID == holder })]}, nil
}

// aServer aims at etcd's leader in one of two cases. Each serves all workers.
func aServer(c *campaign) (victim, error) {
	if c.rand.IntN(2) == 0 {
		return victim{server: pick(c.rand, c.cluster.Members)}, nil
	}
	m, err := c.cluster.Leader(c.ctx)
	return victim{server: m}, err
}

func everybody(*campaign) (victim, error) { return victim{}, nil }

func thePrey(*campaign) (victim, error) { return victim{election: prey}, nil }

func theFleet(*campaign) (victim, error) { return victim{election: fleet}, nil }

// strikes reports whether whoever is struck now is in office, or, for a server, has a
// leader in office among its clients.
func (c *campaign) strikes(v victim) bool {
	return slices.ContainsFunc(c.account.inOffice(), func(t term) bool {
		switch {
		case v.worker != nil:
			return t.member == v.worker.ID
		case v.server != nil:
			client := c.places[slices.IndexFunc(c.places, func(p *place) bool { return p.ID == t.member })]
			return client.link.proxies[slices.Index(c.cluster.Members, v.server)].Connected()
		case v.election != "":
			return t.election == v.election
		}
		return true
	})
}

func killWorker(_ context.Context, c *campaign, v victim) error {
	v.worker.process.kill()
	c.account.died(v.worker.ID, append(slices.Clone(v.worker.Elections), fleet))
	return nil
}

func restartWorker(_ context.Context, c *campaign, v victim) error { return c.start(v.worker) }

func stopWorker(_ context.Context, _ *campaign, v victim) error {
	return v.worker.process.signal(syscall.SIGSTOP)
}

func contWorker(_ context.Context, _ *campaign, v victim) error {
	return v.worker.process.signal(syscall.SIGCONT)
}

func cutWorker(ways ...etcdtest.Way) func(context.Context, *campaign, victim) error {
	return func(_ context.Context, _ *campaign, v victim) error { return v.worker.link.cut(ways...) }
}

func healWorker(_ context.Context, _ *campaign, v victim) error { return v.worker.link.heal() }

// slowWorker delays each message. A round of such requests takes most of what a member
// has patience for, or more.
func slowWorker(_ context.Context, c *campaign, v victim) error {
	v.worker.link.delay(ttl/40 + c.upTo(ttl/10))
	return nil
}

// compact leaves no history that a worker could take its watches up from again.
func compact(ctx context.Context, c *campaign, v victim) error {
	if err := v.worker.link.cut(); err != nil {
		return err
	}
	defer func() { _ = v.worker.link.heal() }() // again
	wait(ctx, ttl/2)
	if err := c.recorder.catchUp(ctx); err != nil {
		return err
	}
	_, err := c.client.Compact(ctx, c.recorder.upTo())
	v.worker.link.sever()
	return errors.Join(err, v.worker.link.heal())
}

func killServer(_ context.Context, _ *campaign, v victim) error {
	v.server.Kill()
	return nil
}

func killServers(n int) func(context.Context, *campaign, victim) error {
	return func(_ context.Context, c *campaign, _ victim) error {
		for _, i := range c.rand.Perm(len(c.cluster.Members))[:n] {
			c.cluster.Members[i].Kill()
		}
		return nil
	}
}

func startServers(_ context.Context, c *campaign, _ victim) error {
	var errs []error
	for _, m := range c.cluster.Members {
		errs = append(errs, m.Start())
	}
	return errors.Join(errs...)
}

func stopServer(_ context.Context, _ *campaign, v victim) error { return v.server.Stop() }

func contServer(_ context.Context, _ *campaign, v victim) error { return v.server.Cont() }

func stallServer(_ context.Context, _ *campaign, v victim) error { return v.server.StallDisk() }

func unstallServer(_ context.Context, _ *campaign, v victim) error { return v.server.UnstallDisk() }

func isolate(sent, received bool) func(context.Context, *campaign, victim) error {
	return func(_ context.Context, c *campaign, v victim) error { return c.isolate(v.server, sent, received) }
}

func rejoin(_ context.Context, c *campaign, _ victim) error { return c.rejoin() }

func moveLeader(ctx context.Context, c *campaign, _ victim) error {
	leader, err := c.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(c.cluster.Members), func(m *etcdtest.Member) bool { return m == leader })
	id, err := pick(c.rand, others).ID()
	if err != nil {
		return err
	}
	direct, err := newClient(leader.Endpoint)
	if err != nil {
		return err
	}
	_, err = direct.MoveLeader(ctx, id)
	return errors.Join(err, direct.Close())
}

func seatKey(election string) string { return prefix + protocol.SeatKey(election) }

// revokeLease ends the lease of the prey's leader.
func revokeLease(ctx context.Context, c *campaign, v victim) error {
	return c.dispossess(ctx, v.election, func(lease clientv3.LeaseID, _ int64) error {
		_, err := c.client.Revoke(ctx, lease)
		return err
	})
}

// deleteSeat deletes the seat of the prey's leader.
func deleteSeat(ctx context.Context, c *campaign, v victim) error {
	return c.dispossess(ctx, v.election, func(_ clientv3.LeaseID, token int64) error {
		key := seatKey(v.election)
		res, err := c.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", token)).Then(clientv3.OpDelete(key)).Commit()
		if err == nil && !res.Succeeded {
			return errors.New("the leader has changed")
		}
		return err
	})
}

// dispossess lets take take the seat from who has it.
func (c *campaign) dispossess(ctx context.Context, election string, take func(lease clientv3.LeaseID, token int64) error) error {
	res, err := c.client.Get(ctx, seatKey(election))
	if err != nil {
		return err
	}
	if len(res.Kvs) == 0 {
		return fmt.Errorf("nobody has the seat of %s", election)
	}
	kv := res.Kvs[0]
	seat, err := protocol.DecodeSeat(kv.GetValue())
	if err != nil {
		return err
	}
	if err := take(clientv3.LeaseID(kv.GetLease()), kv.GetModRevision()); err != nil {
		return err
	}
	c.account.took(term{election, seat.Member, tenure.Token(kv.GetModRevision())})
	return nil
}

// deleteCandidates deletes the leader's key and those of all who wait.
func deleteCandidates(ctx context.Context, c *campaign, v victim) error {
	_, err := c.client.Delete(ctx, prefix+protocol.CandidatesOf(v.election), clientv3.WithPrefix())
	return err
}

// revokeNode ends the session that the record and the state of the fleet's leader hang on.
// Its leadership hangs on another.
func revokeNode(ctx context.Context, c *campaign, _ victim) error {
	return c.rob(ctx, func(_, _ string, lease clientv3.LeaseID, _ int64) error {
		_, err := c.client.Revoke(ctx, lease)
		return err
	})
}

// deleteNode deletes the record of the fleet's leader, and none of its state.
func deleteNode(ctx context.Context, c *campaign, _ victim) error {
	return c.rob(ctx, func(node, key string, _ clientv3.LeaseID, modified int64) error {
		c.account.robs(node, store.Revision(modified))
		res, err := c.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", modified)).Then(clientv3.OpDelete(key)).Commit()
		if err == nil && !res.Succeeded {
			return errors.New("the record has changed")
		}
		return err
	})
}

// rob lets take do something about the record of the node that leads the fleet.
func (c *campaign) rob(ctx context.Context, take func(node, key string, lease clientv3.LeaseID, modified int64) error) error {
	res, err := c.client.Get(ctx, seatKey(fleet))
	if err != nil {
		return err
	}
	if len(res.Kvs) == 0 {
		return errors.New("nobody leads the fleet")
	}
	seat, err := protocol.DecodeSeat(res.Kvs[0].GetValue())
	if err != nil {
		return err
	}
	node := nodeOf(seat.Member)
	if res, err = c.client.Get(ctx, prefix+fleetNodes+protocol.Escape(node)); err != nil {
		return err
	}
	if len(res.Kvs) == 0 {
		return fmt.Errorf("%s has no record", node)
	}
	kv := res.Kvs[0]
	return take(node, string(kv.GetKey()), clientv3.LeaseID(kv.GetLease()), kv.GetModRevision())
}
