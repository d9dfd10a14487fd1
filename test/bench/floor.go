package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// floor is what no election over etcd can be faster than: one client writes a key
// that another, through another member, watches. It goes round the members, as
// hand-overs do: some are nearer to etcd's leader.
type floor struct {
	key     string
	clients []*clientv3.Client
	leases  []clientv3.LeaseID
	watches []clientv3.WatchChan
	writes  int
	closers []func() error
}

func newFloor(ctx context.Context, endpoints []string, key string) (*floor, error) {
	f := &floor{key: key}
	var err error
	if f.clients, err = openClients(endpoints, len(endpoints), &f.closers); err != nil {
		return nil, err
	}
	for i, c := range f.clients {
		l, err := c.Grant(ctx, int64(time.Hour/time.Second))
		if err != nil {
			return nil, err
		}
		f.leases = append(f.leases, l.ID)
		w := c.Watch(ctx, f.of(i), clientv3.WithCreatedNotify(), clientv3.WithFilterDelete())
		<-w
		f.watches = append(f.watches, w)
	}
	return f, nil
}

// of is the key that the i-th client watches.
func (f *floor) of(i int) string { return fmt.Sprint(f.key, "/terms/", i) }

// put writes one key. It returns how long after the call its event came, and how
// long the call took.
func (f *floor) put(ctx context.Context) (event, call time.Duration, err error) {
	return f.write(ctx, func(from, to int) error {
		_, err := f.clients[from].Put(ctx, f.of(to), "x")
		return err
	})
}

// record is about as long as what Tenure writes.
var record = strings.Repeat("x", 120)

// txn makes a transaction like a hand-over's, of as many conditions, writes and
// deletions, and nothing around it.
func (f *floor) txn(ctx context.Context) (event, call time.Duration, err error) {
	seat := f.key + "/seat"
	candidate := func(i int) string { return fmt.Sprint(f.key, "/candidates/", i) }
	return f.write(ctx, func(from, to int) error {
		lease := clientv3.WithLease(f.leases[to])
		res, err := f.clients[from].Txn(ctx).If(
			clientv3.Compare(clientv3.ModRevision(seat), ">", -1),
			clientv3.Compare(clientv3.ModRevision(candidate(to)), ">", -1),
			clientv3.Compare(clientv3.CreateRevision(f.key+"/paused"), "=", 0),
			clientv3.Compare(clientv3.CreateRevision(f.key+"/drained"), "=", 0),
		).Then(
			clientv3.OpPut(seat, record, lease),
			clientv3.OpPut(f.of(to), record, lease),
			clientv3.OpPut(candidate(to), record, lease),
			clientv3.OpDelete(f.of(from)),
			clientv3.OpDelete(candidate(from)),
			clientv3.OpDelete(f.key+"/announced"),
			clientv3.OpDelete(f.key+"/ordered"),
		).Commit()
		if err == nil && !res.Succeeded {
			err = fmt.Errorf("the floor's transaction was refused")
		}
		return err
	})
}

func (f *floor) write(ctx context.Context, write func(from, to int) error) (event, call time.Duration, err error) {
	f.writes++
	from, to := f.writes%len(f.clients), (f.writes+1)%len(f.clients)
	began := time.Now()
	replied := make(chan error, 1)
	go func() {
		err := write(from, to)
		call = time.Since(began)
		replied <- err
	}()
	select {
	case res := <-f.watches[to]:
		event = time.Since(began)
		err = res.Err()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if e := <-replied; err == nil {
		err = e
	}
	return event, call, err
}

func (f *floor) close() error { return closeAll(f.closers) }
