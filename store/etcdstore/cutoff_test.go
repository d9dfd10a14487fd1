package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// A leader's connection is cut as a pulled cable cuts it, forty times, each at
// another moment between two renewals. When the next one leads, it must not hold
// its term any more: Held is never true again once it was false.

const (
	cutOffs   = 40
	cutOffTTL = 5 * time.Second
)

// cutOff is how one of them went: when the old leader's term was over for itself,
// and when the next one's began.
type cutOff struct{ lost, won time.Time }

// trial is one cut-off, over an election of its own, so long after a renewal at most.
type trial func(ctx context.Context, c *etcdtest.Cluster, name string, phase time.Duration) (cutOff, error)

func TestALeaderThatIsCutOffHoldsNothingWhenTheNextLeads(t *testing.T) {
	t.Parallel()
	c := newCluster(t, etcdtest.Options{Members: 3})
	trials := map[string]trial{
		"Tenure":                      cutOffOver(func(st store.Store) store.Store { return st }),
		"over leases that lie":        cutOffOver(func(st store.Store) store.Store { return brief{st} }),
		"etcd's concurrency.Election": cutOffConcurrency,
	}
	var mu sync.Mutex
	overlaps, closest := map[string]int{}, map[string]time.Duration{}
	var errs error
	var all sync.WaitGroup
	for who := range trials {
		closest[who] = time.Hour
	}
	for who, try := range trials {
		for i := range cutOffs {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				r, err := try(ctx, c, fmt.Sprint(who, i), cutOffTTL/3*time.Duration(i)/cutOffs)
				gap := r.won.Sub(r.lost)
				mu.Lock()
				defer mu.Unlock()
				errs = errors.Join(errs, err)
				closest[who] = min(closest[who], gap)
				if gap <= 0 {
					overlaps[who]++
				}
			})
		}
	}
	all.Wait()
	if errs != nil {
		t.Fatal(errs)
	}
	for who := range trials {
		t.Logf("%s: two led at once in %d of %d, from one's end to the next one's beginning %v at least",
			who, overlaps[who], cutOffs, closest[who])
	}
	if overlaps["Tenure"] != 0 {
		t.Error("there must be none")
	}
	if overlaps["over leases that lie"] == 0 {
		t.Error("nothing would have been found")
	}
}

// member joins over a connection of its own to one endpoint.
func member(ctx context.Context, id, endpoint string, wrap func(store.Store) store.Store) (m *tenure.Member, end func() error, err error) {
	st, err := Open(ctx, Config{Endpoints: []string{endpoint}, Prefix: "cut-off"})
	if err != nil {
		return nil, nil, err
	}
	m, err = tenure.Join(ctx, wrap(st), tenure.Options{ID: id, TTL: cutOffTTL})
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return m, func() error { return errors.Join(m.Close(), st.Close()) }, nil
}

// cutOffOver is one trial of ours, over stores that wrap makes.
func cutOffOver(wrap func(store.Store) store.Store) trial {
	return func(ctx context.Context, c *etcdtest.Cluster, name string, phase time.Duration) (r cutOff, err error) {
		cable, err := etcdtest.NewProxy(c.Endpoints()[0])
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, cable.Close()) }()
		a, endA, err := member(ctx, name+"-a", cable.Endpoint, wrap)
		if err != nil {
			return r, err
		}
		defer func() { _ = endA() }() // it cannot reach etcd
		b, endB, err := member(ctx, name+"-b", c.Endpoints()[1], wrap)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, endB()) }()
		l, err := a.Campaign(ctx, name, tenure.CampaignOptions{})
		if err != nil {
			return r, err
		}
		lost := make(chan time.Time, 1)
		context.AfterFunc(l.Context(), func() { lost <- time.Now() })
		type win struct {
			at   time.Time
			held bool // the old one, still
			err  error
		}
		won := make(chan win, 1)
		go func() {
			_, err := b.Campaign(ctx, name, tenure.CampaignOptions{})
			won <- win{time.Now(), l.Held(), err}
		}()
		time.Sleep(cutOffTTL/3 + phase) // a renewal is that long ago, or less
		cable.Cut()
		w := <-won
		if w.err != nil {
			return r, w.err
		}
		if w.held {
			r.lost = time.Now() // or later
		} else {
			r.lost = <-lost
		}
		r.won = w.at
		return r, nil
	}
}

// cutOffConcurrency is the same with etcd's own package, whose Session.Done often
// comes late; for comparison.
func cutOffConcurrency(ctx context.Context, c *etcdtest.Cluster, name string, phase time.Duration) (r cutOff, err error) {
	cable, err := etcdtest.NewProxy(c.Endpoints()[0])
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, cable.Close()) }()
	var elections []*concurrency.Election
	var sessions []*concurrency.Session
	for _, endpoint := range []string{cable.Endpoint, c.Endpoints()[1]} {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop(), Context: ctx})
		if err != nil {
			return r, err
		}
		defer func() { _ = client.Close() }()
		s, err := concurrency.NewSession(client, concurrency.WithTTL(int(cutOffTTL/time.Second)), concurrency.WithContext(ctx))
		if err != nil {
			return r, err
		}
		sessions = append(sessions, s)
		elections = append(elections, concurrency.NewElection(s, "concurrency/"+name))
	}
	if err := elections[0].Campaign(ctx, "a"); err != nil {
		return r, err
	}
	won := make(chan time.Time, 1)
	go func() {
		err = errors.Join(err, elections[1].Campaign(ctx, "b"))
		won <- time.Now()
	}()
	time.Sleep(cutOffTTL/3 + phase) // as above
	cable.Cut()
	<-sessions[0].Done()
	r.lost = time.Now()
	r.won = <-won
	return r, err
}
