package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"
)

// concurrencyPackage is etcd's own election package.
type concurrencyPackage struct {
	endpoints []string
	ttl       time.Duration
	drain     time.Duration
	options   []grpc.DialOption
}

func (concurrencyPackage) String() string { return "concurrency.Election" }

type concurrencyField struct {
	*line
	cancel   context.CancelFunc
	loops    sync.WaitGroup
	sessions []*concurrency.Session
	closers  []func() error
}

func (c concurrencyPackage) enrol(ctx context.Context, election string, n int) (_ field, err error) {
	f := &concurrencyField{line: newLine(n)}
	life, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	defer func() {
		if err != nil {
			_ = f.close()
		}
	}()
	clients, err := openClients(c.endpoints, n, &f.closers, c.options...)
	if err != nil {
		return nil, err
	}
	prefix := "concurrency/" + election
	for i := range n {
		s, err := concurrency.NewSession(clients[i%len(clients)], concurrency.WithTTL(int(c.ttl/time.Second)))
		if err != nil {
			return nil, err
		}
		f.sessions = append(f.sessions, s)
		f.closers = append(f.closers, func() error {
			err := s.Close()
			if errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return nil // crashed
			}
			return err
		})
		e := concurrency.NewElection(s, prefix)
		f.loops.Go(func() { f.fail(life, f.campaign(life, e, i, c.drain)) })
		if i == 0 {
			if _, err := f.next(ctx); err != nil {
				return nil, err
			}
		}
	}
	return f, awaitKeys(ctx, c.endpoints, prefix+"/", n)
}

func (f *concurrencyField) campaign(life context.Context, e *concurrency.Election, who int, d time.Duration) error {
	for life.Err() == nil {
		if err := e.Campaign(life, fmt.Sprint(who)); err != nil {
			return err
		}
		ended, err := f.hold(life, who)
		if err != nil {
			return err
		}
		drain(life, d)
		ended <- time.Now()
		if err := e.Resign(life); err != nil {
			return err
		}
	}
	return nil
}

func (f *concurrencyField) crash(ctx context.Context) (time.Duration, error) {
	crashed := time.Now()
	f.sessions[f.leader].Orphan()
	return f.replaced(ctx, crashed)
}

func (f *concurrencyField) close() error {
	f.cancel()
	f.loops.Wait()
	return closeAll(f.closers)
}

// openClients opens as many clients as so many candidates share.
func openClients(endpoints []string, n int, closers *[]func() error, opts ...grpc.DialOption) ([]*clientv3.Client, error) {
	var clients []*clientv3.Client
	for i := range connections(n) {
		c, err := newClient(pinned(endpoints, i), opts...)
		if err != nil {
			return nil, err
		}
		*closers = append(*closers, c.Close)
		clients = append(clients, c)
	}
	return clients, nil
}
