package etcdstore

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// What may become of the watch of those who wait: what tikv/pd tries with its own
// (seven tests, exitWatch), and here over one cluster, one after the other. After each
// the leader's key is deleted, and another is elected.
func TestWaitingOutlivesWhateverHappensToItsWatch(t *testing.T) {
	t.Parallel()
	p := newPoll(t, nil)
	servers := p.cluster.Members
	for _, c := range []struct {
		name   string
		happen func()
		mend   func()
	}{
		{name: "nothing"},
		{name: "etcd's leader moves to another server", happen: p.moveLeader},
		{name: "a server is closed", happen: servers[0].Kill, mend: func() { p.start(servers[0]) }},
		{name: "another is", happen: servers[1].Kill, mend: func() { p.start(servers[1]) }},
		{name: "the last is, so that every watch was with one of them", happen: servers[2].Kill, mend: func() { p.start(servers[2]) }},
	} {
		t.Log(c.name)
		if c.happen != nil {
			c.happen()
		}
		late := p.Observe(c.name, election, nil) // which has to begin its watch now
		next := p.dispossess()
		eventually(t, c.name+": the observer is told", func() bool {
			ev, err := late.Last()
			if err != nil {
				t.Fatalf("%s: the observer has ended: %v", c.name, err)
			}
			return ev.Kind == tenure.Elected && ev.Leader.Token >= next.Token()
		})
		if c.mend != nil {
			c.mend()
		}
	}

	t.Log("the quorum is lost")
	l := p.dispossess() // whose term has only begun
	servers[0].Kill()
	servers[1].Kill()
	p.lost(l, tenure.ErrLost)
	p.start(servers[0], servers[1])
	if next := p.dispossess(); next.Token() <= l.Token() {
		t.Errorf("token %d after %d", next.Token(), l.Token())
	}
	p.mustFinish(tenuretest.Expect{Progress: progress, Interfered: true})
}

// dispossess deletes the key of whoever leads until that has ended a term, and returns
// the next one.
func (p *poll) dispossess() *tenure.Leadership {
	p.t.Helper()
	var old tenure.Token
	eventually(p.t, "a deletion of the leader's key", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		seat := store.Keys("leaders/" + election)
		l, err := p.Store().List(ctx, seat)
		if err != nil || len(l.Entries) == 0 {
			return false
		}
		res, err := p.Store().Commit(ctx, store.Tx{
			If:   []store.Cond{store.ModifiedAt(seat.Keys[0], l.Entries[0].Modified)},
			Then: []store.Op{store.Delete(seat.Keys[0])},
		})
		old = l.Entries[0].Modified
		return err == nil && res.Committed
	})
	for {
		if _, l := p.next(); l.Token() > old {
			return l
		} else if l.Token() == old {
			p.lost(l, tenure.ErrLost)
		}
	}
}

// moveLeader has etcd's leader give its leadership to another server. Connections stay.
func (p *poll) moveLeader() {
	p.t.Helper()
	eventually(p.t, "a move of etcd's leader", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
		defer cancel()
		leader, err := p.cluster.Leader(ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{leader.Endpoint}, Logger: zap.NewNop()})
		if err != nil {
			p.t.Fatal(err)
		}
		defer client.Close()
		list, err := client.MemberList(ctx)
		if err != nil {
			return false
		}
		for _, m := range list.Members {
			if m.Name != leader.Name {
				_, err = client.MoveLeader(ctx, m.ID)
				break
			}
		}
		return err == nil
	})
}

func (p *poll) start(servers ...*etcdtest.Member) {
	p.t.Helper()
	for _, m := range servers {
		if err := m.Start(); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.cluster.Await(p.t.Context(), p.cluster.Members...); err != nil {
		p.t.Fatal(err)
	}
}

// The two of tikv/pd's seven in which it is the client that is closed, before the watch
// and during it. Nothing waits for ever, and nothing says that the cluster is away.
func TestWaitingEndsWhenItsClientIsClosed(t *testing.T) {
	t.Parallel()
	conf := plain.config(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: conf.Endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	st, err := New(t.Context(), client, conf.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	leader, err := tenure.Join(t.Context(), opened(t, conf), tenure.Options{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leader.Close() }()
	if _, err := leader.Campaign(t.Context(), election, tenure.CampaignOptions{}); err != nil {
		t.Fatal(err)
	}
	waiting, err := tenure.Join(t.Context(), st, tenure.Options{ID: "b", TTL: electionTTL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	ended := make(chan error, 2)
	go func() {
		_, err := waiting.Campaign(t.Context(), election, tenure.CampaignOptions{})
		ended <- err
	}()
	view := tenure.NewView(st, election)
	seen := make(chan struct{}, 1)
	observe := func(each func()) {
		for _, err := range view.Observe(t.Context()) {
			if err != nil {
				ended <- err
				return
			}
			each()
		}
	}
	go observe(func() { seen <- struct{}{} })
	<-seen
	eventually(t, "two candidates", func() bool {
		s, err := tenure.NewView(st, election).Candidates(t.Context())
		return err == nil && len(s) == 2
	})
	must := func(when string) {
		t.Helper()
		select {
		case err := <-ended:
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: ended with %v", when, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: it does not end", when)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	must("closed while it watches")
	must("closed while it waits")
	go observe(func() {})
	must("closed before it watches")
}
