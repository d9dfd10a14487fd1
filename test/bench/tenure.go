package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
)

type ourselves struct {
	endpoints []string
	ttl       time.Duration
	drain     time.Duration
	options   []grpc.DialOption
	named     by // who names the next leader
}

// by is who ends a term by a transfer.
type by int

const (
	nobody   by = iota
	leader      // as it would resign
	operator    // another client, whose order has to reach the leader
)

func (o ourselves) String() string {
	switch {
	case o.named == leader:
		return "Tenure, transfer by the leader"
	case o.named == operator:
		return "Tenure, transfer by a client, from its call, work ends at once"
	case o.drain == 0:
		return "Tenure, work ends at once"
	}
	return "Tenure"
}

type tenureField struct {
	*line
	ourselves
	election string
	n        int
	cancel   context.CancelFunc
	loops    sync.WaitGroup
	stores   []*etcdstore.Store // of which each candidate uses one
	closers  []func() error
}

func (o ourselves) enrol(ctx context.Context, election string, n int) (_ field, err error) {
	f := &tenureField{line: newLine(n), ourselves: o, election: election, n: n}
	life, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	defer func() {
		if err != nil {
			_ = f.close()
		}
	}()
	if f.stores, err = openStores(ctx, o.endpoints, n, &f.closers, o.options...); err != nil {
		return nil, err
	}
	for i := range n {
		m, err := tenure.Join(ctx, f.stores[i%len(f.stores)], tenure.Options{ID: f.id(i), TTL: o.ttl})
		if err != nil {
			return nil, err
		}
		f.closers = append(f.closers, m.Close)
		f.loops.Go(func() { f.fail(life, f.campaign(life, m, i)) })
		if i == 0 {
			if _, err := f.next(ctx); err != nil {
				return nil, err
			}
		}
	}
	return f, awaitKeys(ctx, o.endpoints, etcdstore.DefaultPrefix+"candidates/"+election+"/", n)
}

// campaign leads, steps down when it is told to, and comes back.
func (f *tenureField) campaign(life context.Context, m *tenure.Member, who int) error {
	err := m.Lead(life, f.election, func(ctx context.Context, term tenure.Term) error {
		ended, err := f.hold(ctx, who)
		switch {
		case errors.Is(term.Cause(), tenure.ErrTransferred):
			return nil
		case err != nil:
			return err
		case f.named == leader:
			err = term.(*tenure.Leadership).TransferTo(ctx, f.id((who+1)%f.n))
		default:
			err = term.Resign(ctx)
		}
		if err != nil {
			return err
		}
		drain(life, f.drain)
		ended <- time.Now()
		return nil
	}, tenure.LeadOptions{Requeue: true})
	if errors.Is(err, store.ErrClosed) {
		return nil // crashed
	}
	return err
}

func (f *tenureField) id(i int) string { return fmt.Sprint(f.election, "-", i) }

func (f *tenureField) handOver(ctx context.Context) (time.Duration, error) {
	if f.named != operator {
		return f.line.handOver(ctx)
	}
	called := time.Now()
	transferred := make(chan error, 1)
	go func() {
		_, err := tenure.NewView(f.stores[0], f.election).Transfer(ctx, 0, f.id((f.leader+1)%f.n), tenure.Reason{By: "bench"})
		transferred <- err
	}()
	w, err := f.next(ctx)
	return w.at.Sub(called), errors.Join(err, <-transferred)
}

func (f *tenureField) crash(ctx context.Context) (time.Duration, error) {
	crashed := time.Now()
	if err := f.stores[f.leader%len(f.stores)].Close(); err != nil {
		return 0, err
	}
	return f.replaced(ctx, crashed)
}

func (f *tenureField) close() error {
	f.cancel()
	f.loops.Wait()
	return closeAll(f.closers)
}

// openStores opens as many stores as so many candidates share, on the same kind of
// client as the others.
func openStores(ctx context.Context, endpoints []string, n int, closers *[]func() error, opts ...grpc.DialOption) ([]*etcdstore.Store, error) {
	clients, err := openClients(endpoints, n, closers, opts...)
	if err != nil {
		return nil, err
	}
	var stores []*etcdstore.Store
	for _, c := range clients {
		st, err := etcdstore.New(ctx, c, "")
		if err != nil {
			return nil, err
		}
		*closers = append(*closers, st.Close) // a second time does nothing
		stores = append(stores, st)
	}
	return stores, nil
}

// connections is over how many connections so many candidates reach the store:
// each has its own, up to ten.
func connections(n int) int { return min(n, 10) }

// pinned puts another endpoint first for each connection.
func pinned(endpoints []string, i int) []string {
	return endpoints[i%len(endpoints) : i%len(endpoints)+1]
}

// awaitKeys waits until there are so many under a prefix. It has a client of its own,
// whose requests nobody counts.
func awaitKeys(ctx context.Context, endpoints []string, prefix string, want int) (err error) {
	client, err := newClient(endpoints)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		res, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		n := int(res.Count)
		if n >= want {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d candidates are in line: %w", n, want, ctx.Err())
		}
	}
}
