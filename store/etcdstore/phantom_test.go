package etcdstore

import (
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// etcd#19597: a candidate's lease ends while it waits; when the leader resigns, it
// is told that it leads, and there is no key of its in etcd. Here with etcd's own
// package, so that what follows is known to ask the right question.
func TestConcurrencyElectsAPhantom(t *testing.T) {
	t.Parallel()
	client := newClient(t, plain.config(t))
	prefix := t.Name()
	campaign := func() (*concurrency.Session, *concurrency.Election, chan error) {
		s, err := concurrency.NewSession(client, concurrency.WithTTL(60))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		e := concurrency.NewElection(s, prefix)
		won := make(chan error, 1)
		go func() { won <- e.Campaign(t.Context(), "") }()
		return s, e, won
	}
	candidates := func() int64 {
		res, err := client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		return res.Count
	}
	_, leader, won := campaign()
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	waiting, _, phantom := campaign()
	eventually(t, "two candidates", func() bool { return candidates() == 2 })
	if _, err := client.Revoke(t.Context(), waiting.Lease()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of its key", func() bool { return candidates() == 1 })
	if err := leader.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-phantom:
		if n := candidates(); err != nil || n != 0 {
			t.Errorf("Campaign returned %v, %d keys: etcd#19597 has been mended, and docs/coming-from.md is to say so", err, n)
		}
	case <-time.After(patience):
		t.Error("Campaign does not return: etcd#19597 has been mended, and docs/coming-from.md is to say so")
	}
}

// The same with Tenure: who is told that it leads has the seat.
func TestACandidateWhoseLeaseEndsIsNoPhantom(t *testing.T) {
	t.Parallel()
	st := opened(t, plain.config(t))
	join := func(id string) *tenure.Member {
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: id, TTL: 60 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	leases := func() map[store.LeaseID]bool {
		l, err := st.List(t.Context(), store.Prefix("candidates/x/"))
		if err != nil {
			t.Fatal(err)
		}
		leases := map[store.LeaseID]bool{}
		for _, e := range l.Entries {
			leases[e.Lease] = true
		}
		return leases
	}
	leader, err := join("a").Campaign(t.Context(), "x", tenure.CampaignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := leases()
	type win struct {
		l   *tenure.Leadership
		err error
	}
	won := make(chan win, 1)
	b := join("b")
	go func() {
		l, err := b.Campaign(t.Context(), "x", tenure.CampaignOptions{})
		won <- win{l, err}
	}()
	var own store.LeaseID
	eventually(t, "two candidates", func() bool {
		for id := range leases() {
			if !before[id] {
				own = id
			}
		}
		return own != 0
	})
	if err := st.Revoke(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if err := leader.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case w := <-won:
		if w.err != nil {
			t.Fatal(w.err)
		}
		seat, err := st.List(t.Context(), store.Keys("leaders/x"))
		if err != nil || len(seat.Entries) != 1 || seat.Entries[0].Modified != w.l.Token() || seat.Entries[0].Lease == own {
			t.Errorf("told that it leads with token %d; the seat: %+v, %v", w.l.Token(), seat, err)
		}
		if err := errors.Join(w.l.Verify(t.Context()), w.l.Resign(t.Context())); err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it does not campaign again")
	}
}
