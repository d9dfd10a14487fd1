package raftlead_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
)

// What the Examples share: servers in one process, and an election that does not wait for
// a time-out, so that the same server is always elected.

// server is one of a raft cluster.
type server struct {
	id      raft.ServerID
	raft    *raft.Raft
	elector *raftlead.Elector
	net     *raft.InmemTransport
	log     *disk
	all     []*server
	late    atomic.Pointer[chan struct{}] // answers come when it is closed
}

// start starts a cluster of one server for each id, in which nobody leads yet.
func start(ids ...raft.ServerID) (servers []*server, stop func()) {
	var members raft.Configuration
	for _, id := range ids {
		addr, net := raft.NewInmemTransport(raft.ServerAddress("addr of " + id))
		servers = append(servers, &server{id: id, net: net, log: &disk{InmemStore: raft.NewInmemStore()}})
		members.Servers = append(members.Servers, raft.Server{ID: id, Address: addr})
	}
	for _, s := range servers {
		s.all = servers
		connect(s, servers...)
	}
	for _, s := range servers {
		s.run(members)
	}
	return servers, func() {
		var ended []raft.Future
		for _, s := range servers {
			s.elector.Close()
			ended = append(ended, s.raft.Shutdown())
		}
		for _, f := range ended {
			check(f.Error())
		}
	}
}

// run starts a server, without a word.
func (s *server) run(members raft.Configuration) {
	witness := raftlead.NewWitness(wire{s.net, s})
	conf := config(s.id)
	snapshots := raft.NewInmemSnapshotStore()
	check(raft.BootstrapCluster(conf, s.log, s.log, snapshots, witness.Transport(), members))
	var err error
	s.raft, err = raft.NewRaft(conf, fsm{}, s.log, s.log, snapshots, witness.Transport())
	check(err)
	s.elector, err = raftlead.New(s.raft, s.id, witness, raftlead.Options{})
	check(err)
}

// config is raft's default, with time-outs that a busy machine keeps to.
func config(id raft.ServerID) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = id, hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	return conf
}

// elect makes the server the leader: by a transfer, or, where nobody leads, as if by one.
func (s *server) elect() {
	for now := s.elector.Now(); !now.Leading; now = s.elector.Now() {
		if s.transfer() == nil {
			s.await(func(t raftlead.Transition) bool { return t.Leading || t.Leader != "" && t.Term > now.Term })
		}
	}
}

func (s *server) transfer() error {
	for _, peer := range s.all {
		if peer.elector.Now().Leading {
			return peer.raft.LeadershipTransferToServer(s.id, s.net.LocalAddr()).Error()
		}
	}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}
	return s.net.TimeoutNow(s.id, s.net.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: header}, &raft.TimeoutNowResponse{})
}

// await waits until the server knows of a leader, or of none, as it should.
func (s *server) await(is func(raftlead.Transition) bool) {
	for t, err := range s.elector.Transitions(context.Background()) {
		check(err)
		if is(t) {
			return
		}
	}
}

// follows waits until the server takes another for the leader.
func (s *server) follows(leader *server) {
	s.await(func(t raftlead.Transition) bool { return t.Leader == leader.id })
}

func connect(s *server, to ...*server) {
	for _, peer := range to {
		s.net.Connect(peer.net.LocalAddr(), peer.net)
	}
}

// cut takes all connections away between a server and others.
func cut(s *server, from ...*server) {
	for _, peer := range from {
		s.net.Disconnect(peer.net.LocalAddr())
		peer.net.Disconnect(s.net.LocalAddr())
	}
}

// command is an entry for the FSM, made in a raft term.
func command(term uint64, what string) []byte { return fmt.Appendf(nil, "%d %s", term, what) }

// fsm refuses what was not proposed in the raft term in which it was made.
type fsm struct{}

func (fsm) Apply(l *raft.Log) any {
	var term uint64
	var what string
	if _, err := fmt.Sscan(string(l.Data), &term, &what); err != nil {
		return err
	}
	if term != l.Term {
		return fmt.Errorf("%s is too late", what)
	}
	return what + " is done"
}

func (fsm) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (fsm) Restore(io.ReadCloser) error         { return nil }

// wire is a transport whose answers can be held up.
type wire struct {
	*raft.InmemTransport
	s *server
}

func (w wire) AppendEntries(id raft.ServerID, addr raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := w.InmemTransport.AppendEntries(id, addr, req, resp)
	if late := w.s.late.Load(); late != nil {
		<-*late
	}
	return err
}

// disk is a log store that can be made to hang.
type disk struct {
	*raft.InmemStore
	hangs sync.RWMutex
}

func (d *disk) StoreLogs(logs []*raft.Log) error {
	d.hangs.RLock()
	defer d.hangs.RUnlock()
	return d.InmemStore.StoreLogs(logs)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// The Witness stands between raft and its transport, and the Elector beside raft. Neither
// Config.NotifyCh nor Raft.LeaderCh is needed.
func ExampleNew() {
	addr, transport := raft.NewInmemTransport("")
	conf := config("a")
	store, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	alone := raft.Configuration{Servers: []raft.Server{{ID: "a", Address: addr}}}
	check(raft.BootstrapCluster(conf, store, store, snapshots, transport, alone))

	witness := raftlead.NewWitness(transport)
	r, err := raft.NewRaft(conf, fsm{}, store, store, snapshots, witness.Transport())
	check(err)
	elector, err := raftlead.New(r, conf.LocalID, witness, raftlead.Options{})
	check(err)

	err = elector.Lead(context.Background(), func(ctx context.Context, t tenure.Term) error {
		fmt.Println("a leads:", t.Held(), "token > 0:", t.Token() > 0)
		return nil
	})
	fmt.Println(err)
	elector.Close()
	fmt.Println(r.Shutdown().Error())
	// Output:
	// a leads: true token > 0: true
	// <nil>
	// <nil>
}

// A Lease cannot be longer than others keep from electing another leader. Where nothing stands
// between raft and its transport, its own word is to be taken for it.
func ExampleOptions() {
	servers, stop := start("a")
	defer stop()
	r := servers[0].raft

	_, err := raftlead.New(r, "a", raftlead.NewWitness(servers[0].net), raftlead.Options{Lease: time.Minute})
	fmt.Println(errors.Is(err, tenure.ErrInvalid), err)
	_, err = raftlead.New(r, "a", nil, raftlead.Options{})
	fmt.Println(errors.Is(err, tenure.ErrInvalid), err)
	elector, err := raftlead.New(r, "a", nil, raftlead.Options{TrustRaft: true})
	check(err)
	elector.Close()
	// Output:
	// true tenure: invalid: Lease is 1m0s, and raft's HeartbeatTimeout 2s: after that another may be elected; give less
	// true tenure: invalid: no Witness; give the one whose Transport was given to raft.NewRaft, or set Options.TrustRaft
}

// Every server calls Lead. When the function of the one that leads returns, raft makes another
// the leader, and its function is called.
func ExampleElector_Lead() {
	servers, stop := start("a", "b")
	defer stop()
	servers[0].elect()

	var all sync.WaitGroup
	for _, s := range servers {
		all.Go(func() {
			check(s.elector.Lead(context.Background(), func(ctx context.Context, t tenure.Term) error {
				fmt.Println(s.id, "works")
				return nil // until it is done, or ctx ends
			}))
		})
	}
	all.Wait()
	// Output:
	// a works
	// b works
}

// Campaign is for work that is no function. The term has to be watched, and resigned.
func ExampleElector_Campaign() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()
	ctx := context.Background()

	term, err := a.elector.Campaign(ctx)
	check(err)
	fmt.Println("a holds its term:", term.Held())
	_, err = a.elector.Campaign(ctx)
	fmt.Println(err)
	check(term.Resign(ctx))
	fmt.Println("a has ended:", term.Context().Err(), "-", term.Cause())

	next, err := b.elector.Campaign(ctx)
	check(err)
	fmt.Println("b holds its term:", next.Held(), "of a higher token:", next.Token() > term.Token())
	// Output:
	// a holds its term: true
	// campaign: tenure: already a candidate
	// a has ended: context canceled - tenure: resigned
	// b holds its term: true of a higher token: true
}

// A reader has the present state first, and then all that happens, however late it reads: a leadership
// that was lost and regained is no single one. LeaderCh has the last word only.
func ExampleElector_Transitions() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()

	transitions := a.elector.Transitions(context.Background())
	b.elect()
	a.follows(b)
	a.elect()

	fmt.Println("LeaderCh:", <-a.raft.LeaderCh(), len(a.raft.LeaderCh()))
	leaderships := 0
	for t, err := range transitions {
		check(err)
		switch {
		case t.Leading:
			fmt.Println("a leads")
			if leaderships++; leaderships == 2 {
				return
			}
		case t.Leader != "":
			fmt.Println("a follows", t.Leader)
		}
	}
	// Output:
	// LeaderCh: true 0
	// a leads
	// a follows b
	// a leads
}

// Who leads, as this server knows it, costs no lock and no request.
func ExampleElector_Now() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	fmt.Println(a.elector.Now().Leading, a.elector.Now().Leader == "")
	a.elect()
	b.follows(a)
	now := b.elector.Now()
	fmt.Println(now.Leading, now.Leader, now.Address, now.Term == a.elector.Now().Term)
	// Output:
	// false true
	// false a addr of a true
}

// Close ends campaigns, terms and sequences. Raft goes on.
func ExampleElector_Close() {
	servers, stop := start("a")
	defer stop()
	a := servers[0]
	a.elect()
	ctx := context.Background()
	term, err := a.elector.Campaign(ctx)
	check(err)

	a.elector.Close()
	fmt.Println(term.Held(), term.Cause())
	_, err = a.elector.Campaign(ctx)
	fmt.Println(err)
	for _, err := range a.elector.Transitions(ctx) {
		fmt.Println(err)
	}
	fmt.Println(a.raft.State())
	// Output:
	// false raftlead: closed
	// campaign: raftlead: closed
	// raftlead: closed
	// Leader
}

// A Watch follows who leads, without a Witness and without campaigning. Raft never waits for
// its readers: this one does not read on before a hundred entries are applied.
func ExampleWatch() {
	servers, stop := start("a", "b", "c")
	defer stop()
	a := servers[0]
	watch := raftlead.NewWatch(a.raft, "a")
	defer watch.Close()

	transitions := watch.Transitions(context.Background())
	a.elect()
	for range 100 {
		check(a.raft.Apply(command(a.raft.CurrentTerm(), "x"), 0).Error())
	}
	for t, err := range transitions {
		check(err)
		if t.Leading {
			fmt.Println("a leads, and has all along:", t == watch.Now())
			return
		}
	}
	// Output: a leads, and has all along: true
}

// A leader whose disk hangs is raft's leader for as long as that lasts: raft looks at its lease
// where it writes its log. The Witness does not need raft for that.
func ExampleWitness() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()
	term, err := a.elector.Campaign(context.Background())
	check(err)

	a.log.hangs.Lock()
	late := a.raft.Apply(command(term.RaftTerm(), "x"), 0)
	cut(a, b)
	<-term.Context().Done()
	fmt.Println(term.Held(), term.Cause())
	fmt.Println("raft:", a.raft.State())

	a.log.hangs.Unlock()
	fmt.Println(late.Error())
	// Output:
	// false tenure: leadership unproven for too long
	// raft: Leader
	// leadership lost while committing log
}

// Before a read that must see the latest writes, Verify has a quorum say that it still follows
// this server, by answers to what was sent after the call.
func ExampleLeadership_Verify() {
	servers, stop := start("a", "b", "c")
	defer stop()
	a := servers[0]
	a.elect()
	ctx := context.Background()
	term, err := a.elector.Campaign(ctx)
	check(err)

	fmt.Println(term.Verify(ctx))
	cut(a, servers[1:]...)
	err = term.Verify(ctx)
	fmt.Println("lost:", errors.Is(err, tenure.ErrLost), "held:", term.Held())
	// Output:
	// <nil>
	// lost: true held: false
}

// Inside of Lead, Resign ends the context, and another leads when the function has returned.
func ExampleLeadership_Resign() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()

	err := a.elector.Lead(context.Background(), func(ctx context.Context, t tenure.Term) error {
		fmt.Println(t.Resign(ctx))
		<-ctx.Done()
		fmt.Println("held:", t.Held(), "raft:", a.raft.State())
		return t.Cause()
	})
	fmt.Println(err, "- raft:", a.raft.State())
	b.await(func(t raftlead.Transition) bool { return t.Leading })
	fmt.Println("b leads")
	// Output:
	// <nil>
	// held: false raft: Leader
	// tenure: resigned - raft: Follower
	// b leads
}

// TransferTo names the server that is to lead. One that has no vote is refused, and the term
// goes on.
func ExampleLeadership_TransferTo() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()
	ctx := context.Background()
	term, err := a.elector.Campaign(ctx)
	check(err)

	fmt.Println(term.TransferTo(ctx, "z"))
	fmt.Println("held:", term.Held())
	fmt.Println(term.TransferTo(ctx, b.id))
	fmt.Println("held:", term.Held(), "-", term.Cause())
	fmt.Println("leader:", a.elector.Now().Leader)
	// Output:
	// transfer: tenure: not a candidate: "z" is no voter of this cluster
	// held: true
	// <nil>
	// held: false - tenure: transferred to b
	// leader: b
}

// Raft does not know for which term it is asked to apply a command. Here that of a first term comes
// when the same server leads again. With the raft term in each command, the FSM can tell.
func ExampleLeadership_RaftTerm() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	ctx := context.Background()
	apply := func(term *raftlead.Leadership, what string) {
		f := a.raft.Apply(command(term.RaftTerm(), what), 0)
		fmt.Println(f.Error(), f.Response())
	}

	a.elect()
	first, err := a.elector.Campaign(ctx)
	check(err)
	apply(first, "first")
	b.elect()
	a.follows(b)
	a.elect()
	second, err := a.elector.Campaign(ctx)
	check(err)
	apply(first, "first-again")
	apply(second, "second")
	// Output:
	// <nil> first is done
	// <nil> first-again is too late
	// <nil> second is done
}

// Outside of raft a token can be compared with the highest that was there before.
func ExampleLeadership_Token() {
	servers, stop := start("a", "b")
	defer stop()
	ctx := context.Background()
	var terms []*raftlead.Leadership
	for _, i := range []int{0, 1, 0} {
		servers[i].elect()
		term, err := servers[i].elector.Campaign(ctx)
		check(err)
		terms = append(terms, term)
	}

	var highest tenure.Token // kept by what is to be protected
	write := func(t tenure.Token) bool {
		if t < highest {
			return false
		}
		highest = t
		return true
	}
	fmt.Println(write(terms[0].Token()), write(terms[2].Token()), write(terms[1].Token()))
	fmt.Println(slices.IsSortedFunc(terms, func(a, b *raftlead.Leadership) int { return int(a.Token() - b.Token()) }))
	// Output:
	// true true false
	// true
}
