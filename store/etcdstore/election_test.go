package etcdstore

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/operatetest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/tenuretest"
)

// The elections of this file are held in real time, over clusters of their own.

const (
	election    = "x"
	electionTTL = 2 * time.Second
	// progress is how soon somebody leads again after a crash, and after etcd has
	// elected a leader of its own, on a host that does other things as well.
	progress = 20 * time.Second
)

// poll is three members that each want to lead all the time, and write whenever
// they do.
type poll struct {
	*tenuretest.Arena
	t       *testing.T
	cluster *etcdtest.Cluster
	nodes   []*tenuretest.Node
	elected chan *tenure.Leadership // each term as it begins
	stop    context.CancelFunc
	done    chan error // one for each node, when its Lead has returned
	leads   int
}

func newPoll(t *testing.T, wrap func(store.Store) store.Store) *poll {
	t.Helper()
	return newPollOver(t, etcdtest.Options{Members: 3}, wrap)
}

func newPollOver(t *testing.T, opts etcdtest.Options, wrap func(store.Store) store.Store) *poll {
	t.Helper()
	p := &poll{t: t, cluster: newCluster(t, opts), elected: make(chan *tenure.Leadership, 1000), done: make(chan error, 100)}
	p.Arena = tenuretest.NewArenaWith(tenuretest.ArenaOptions{Wrap: wrap, Open: handlesOn(t, configOf(t, p.cluster, opts))})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p.stop = stop
	t.Cleanup(func() {
		stop()
		p.close(nil)
	})
	for _, id := range []string{"a", "b", "c"} {
		p.join(ctx, id)
	}
	p.Observe("eve", election, nil)
	return p
}

// handlesOn opens handles on a part of a cluster that nobody else uses.
func handlesOn(t *testing.T, conf Config) func() store.Store {
	conf.Prefix = "poll-" + rand.Text()
	return func() store.Store {
		s, err := Open(context.WithoutCancel(t.Context()), conf)
		if err != nil {
			t.Error(err)
			panic(err) // there is no arena without a store
		}
		s.quiet = time.Second
		return s
	}
}

// join adds a member that leads whenever it can.
func (p *poll) join(ctx context.Context, id string) {
	p.t.Helper()
	n, err := p.Join(ctx, tenure.Options{ID: id, TTL: electionTTL})
	if err != nil {
		p.t.Fatal(err)
	}
	p.nodes = append(p.nodes, n)
	p.leads++
	go func() {
		for { // also after it has resigned
			if err := n.Lead(ctx, election, p.work(n), tenure.LeadOptions{}); err != nil || ctx.Err() != nil {
				p.done <- err
				return
			}
		}
	}()
}

// work writes, through the term, for as long as it lasts.
func (p *poll) work(n *tenuretest.Node) func(context.Context, tenure.Term) error {
	return func(ctx context.Context, term tenure.Term) error {
		l := term.(*tenure.Leadership)
		p.elected <- l
		for ctx.Err() == nil {
			_ = n.Write(ctx, l, "key") // while the store can be reached
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		return nil
	}
}

// next waits for a term, of anybody but the members named, and returns it with
// its node.
func (p *poll) next(except ...string) (*tenuretest.Node, *tenure.Leadership) {
	p.t.Helper()
	timeout := time.After(progress)
	for {
		select {
		case l := <-p.elected:
			for _, id := range except {
				if l.Member() == id {
					l = nil
					break
				}
			}
			if l == nil || !l.Held() {
				continue
			}
			for _, n := range p.nodes {
				if n.ID() == l.Member() {
					return n, l
				}
			}
		case <-timeout:
			p.t.Fatalf("nobody was elected for %v\n%v", progress, p.Check(tenuretest.Expect{Progress: time.Nanosecond}))
		}
	}
}

// lost waits for the end of a term.
func (p *poll) lost(l *tenure.Leadership, want error) {
	p.t.Helper()
	timeout := time.After(progress)
	for l.Context().Err() == nil {
		select {
		case <-l.Context().Done():
		case <-timeout:
			p.t.Fatalf("the term of %s goes on", l.Member())
		}
	}
	if !errors.Is(l.Cause(), want) {
		p.t.Errorf("the term of %s ended with %v, want %v", l.Member(), l.Cause(), want)
	}
}

// finish ends everything and checks the history.
func (p *poll) finish(x tenuretest.Expect) error {
	p.t.Helper()
	p.Heal()
	p.Pass(electionTTL)
	if err := p.Check(x); err != nil {
		return err
	}
	p.stop()
	p.close(p.t)
	x.Finished = true
	return p.Check(x)
}

// close ends all members, and reports what goes wrong to t, if not nil.
func (p *poll) close(t *testing.T) {
	for ; p.leads > 0; p.leads-- {
		select {
		case err := <-p.done:
			if t != nil && err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Lead: %v", err)
			}
		case <-time.After(progress):
			p.t.Error("Lead does not return")
		}
	}
	if err := p.Close(); t != nil && err != nil {
		t.Errorf("Close: %v", err)
	}
}

// wrote is how many guarded writes took effect.
func (p *poll) wrote() int {
	n := 0
	for _, e := range p.History().Events() {
		if e.Kind == tenuretest.Wrote {
			n++
		}
	}
	return n
}

func (p *poll) mustFinish(x tenuretest.Expect) {
	p.t.Helper()
	if err := p.finish(x); err != nil {
		p.t.Error(err)
	}
	if p.wrote() == 0 {
		p.t.Error("no guarded write took effect")
	}
}

// polled are the clusters that elections are held over.
var polled = map[string]etcdtest.Options{
	"one node":            {},
	"three nodes":         {Members: 3},
	"client certificates": {ClientCerts: true},
	"password":            {Password: password, TokenTTL: tokenTTL},
}

func TestElectionsHandOver(t *testing.T) {
	t.Parallel()
	for name, opts := range polled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustHandOver(t, newPollOver(t, opts, nil))
		})
	}
}

func mustHandOver(t *testing.T, p *poll) {
	last := tenure.Token(0)
	for range 20 {
		_, l := p.next()
		if l.Token() <= last {
			t.Errorf("token %d after %d", l.Token(), last)
		}
		last = l.Token()
		if err := l.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.lost(l, tenure.ErrResigned)
	}
	p.mustFinish(tenuretest.Expect{Progress: progress})
}

func TestElectionsFailOver(t *testing.T) {
	t.Parallel()
	for name, opts := range polled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustFailOver(t, newPollOver(t, opts, nil))
		})
	}
}

func mustFailOver(t *testing.T, p *poll) {
	n, l := p.next()
	n.Crash() // it can reach no server any more
	successor, second := p.next(n.ID())
	p.lost(l, tenure.ErrLost) // its session has run out, or a read that would prove it
	end := successor.Partition()
	_, third := p.next(successor.ID())
	p.lost(second, tenure.ErrLost)
	end()
	if hits := p.Hits(); hits["crash"] != 1 || hits["partition"] != 1 {
		t.Errorf("met a leader: %v", hits)
	}
	if l.Token() >= second.Token() || second.Token() >= third.Token() {
		t.Errorf("tokens %d, %d, %d", l.Token(), second.Token(), third.Token())
	}
	// Transactions of a client's own are fenced by the same seat.
	own := p.Store().(*Store)
	for l, current := range map[*tenure.Leadership]bool{l: false, second: false, third: true} {
		res, err := own.client.Txn(t.Context()).If(own.Compare(l.Guard().Cond())).Then(clientv3.OpPut("outside", l.Member())).Commit()
		if err != nil || res.Succeeded != current {
			t.Errorf("a transaction fenced by token %d: %v, %v", l.Token(), res, err)
		}
	}
	p.mustFinish(tenuretest.Expect{Progress: progress})
}

// Somebody else ends the leader's lease, against the rules. It steps down.
func TestElectionsSurviveARevokedLease(t *testing.T) {
	t.Parallel()
	p := newPoll(t, nil)
	for range 3 {
		_, l := p.next()
		listing, err := p.Store().List(t.Context(), store.Keys("leaders/"+election))
		if err != nil || len(listing.Entries) != 1 || listing.Entries[0].Modified != l.Token() {
			t.Fatalf("the seat: %+v, %v", listing, err)
		}
		if err := p.Store().Revoke(t.Context(), listing.Entries[0].Lease); err != nil {
			t.Fatal(err)
		}
		p.lost(l, tenure.ErrLost)
	}
	p.next()
	p.mustFinish(tenuretest.Expect{Progress: progress, Interfered: true})
}

// etcd's own leader is killed, and later frozen, while somebody leads. Terms may
// be lost, and never overlap.
func TestElectionsOutliveServers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ strike, mend func(*etcdtest.Member) error }{
		"killed":  {func(m *etcdtest.Member) error { m.Kill(); return nil }, (*etcdtest.Member).Start},
		"stopped": {(*etcdtest.Member).Stop, (*etcdtest.Member).Cont},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPoll(t, nil)
			p.next()
			for range 3 {
				server, err := p.cluster.Leader(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				p.inOffice() // or the fault would meet nobody
				p.History().Record(tenuretest.Event{Kind: tenuretest.FaultBegan, Text: "etcd's leader " + name})
				if err := fault.strike(server); err != nil {
					t.Fatal(err)
				}
				if _, err := p.cluster.Leader(t.Context(), server); err != nil {
					t.Fatal(err)
				}
				p.Pass(2 * electionTTL)
				p.inOffice()
				if err := fault.mend(server); err != nil {
					t.Fatal(err)
				}
				if err := p.cluster.Await(t.Context(), p.cluster.Members...); err != nil {
					t.Fatal(err)
				}
				p.History().Record(tenuretest.Event{Kind: tenuretest.FaultEnded, Text: "etcd's leader " + name})
			}
			p.mustFinish(tenuretest.Expect{Progress: progress})
		})
	}
}

// The wall clocks of all servers are set, to and fro. etcd measures leases on its
// monotonic clock, so nothing comes of it.
func TestElectionsWhileTheServersClocksJump(t *testing.T) {
	t.Parallel()
	p := newPollOver(t, etcdtest.Options{Members: 3, SettableClocks: true}, nil)
	n, l := p.next()
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 1000 * 24 * time.Hour, -30 * 24 * time.Hour} {
		// A busy machine may lose a term, too; a clock that is set would do it every time.
		for try := range 3 {
			p.setClocks(ahead + time.Duration(try)*time.Hour)
			p.inOffice()
			p.Pass(electionTTL)
			if l.Held() {
				break
			}
			if try == 2 {
				t.Errorf("with clocks set by %v terms are lost: %v", ahead, l.Cause())
			}
			n, l = p.next()
		}
	}
	n.Crash()
	_, next := p.next(n.ID())
	p.lost(l, tenure.ErrLost) // its session has run out, or a read that would prove it
	if next.Token() <= l.Token() {
		t.Errorf("token %d after %d", next.Token(), l.Token())
	}
	p.mustFinish(tenuretest.Expect{Progress: progress})
}

// setClocks sets the wall clocks of all servers, that of the last half as far.
func (p *poll) setClocks(ahead time.Duration) {
	p.t.Helper()
	for i, m := range p.cluster.Members {
		of := ahead
		if i == 2 {
			of /= 2
		}
		if err := m.SetClock(p.t.Context(), of); err != nil {
			p.t.Fatal(err)
		}
	}
	p.History().Record(tenuretest.Event{Kind: tenuretest.FaultBegan, Text: "clocks set by " + ahead.String()})
}

// inOffice waits until the store confirms that somebody leads.
func (p *poll) inOffice() {
	p.t.Helper()
	before := p.wrote()
	eventually(p.t, "a guarded write", func() bool { return p.wrote() > before })
}

// brief gives leases that are shorter than it says.
type brief struct{ store.Store }

func (b brief) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	l, err := b.Store.Grant(ctx, ttl)
	l.TTL *= 4
	return l, err
}

func (b brief) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	d, err := b.Store.Renew(ctx, id)
	return 4 * d, err
}

// Without this, all of the above might pass because nobody looks.
func TestElectionsOverLeasesThatLieAreFound(t *testing.T) {
	t.Parallel()
	p := newPoll(t, func(st store.Store) store.Store { return brief{st} })
	n, _ := p.next()
	end := n.Inject("cut off", faultstore.Fault{Kind: faultstore.Partition})
	p.next(n.ID())
	p.Pass(electionTTL)
	end()
	var v *tenuretest.Violation
	if err := p.finish(tenuretest.Expect{}); !errors.As(err, &v) || v.Rule != tenuretest.OneHolder {
		t.Errorf("got %v, want a violation of %q", err, tenuretest.OneHolder)
	}
}

func TestOperatingOnElections(t *testing.T) {
	t.Parallel()
	for name, opts := range polled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := handlesOn(t, configOf(t, newCluster(t, opts), opts))
			if err := operatetest.Run(t.Context(), open, electionTTL); err != nil {
				t.Error(err)
			}
		})
	}
}
