package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// floor is what no election over etcd can be faster than: one client puts a key
// that another, through another member, watches. It goes round the members, as
// hand-overs do: some are nearer to etcd's leader.
type floor struct {
	key     string
	clients []*clientv3.Client
	watches []clientv3.WatchChan
	puts    int
	closers []func() error
}

func newFloor(ctx context.Context, endpoints []string, key string) (*floor, error) {
	f := &floor{key: key}
	var err error
	if f.clients, err = openClients(endpoints, len(endpoints), &f.closers); err != nil {
		return nil, err
	}
	for i, c := range f.clients {
		w := c.Watch(ctx, f.of(i), clientv3.WithCreatedNotify())
		<-w
		f.watches = append(f.watches, w)
	}
	return f, nil
}

// of is the key that the i-th client watches.
func (f *floor) of(i int) string { return fmt.Sprint(f.key, "/", i) }

// put returns how long after the call its event came, and how long the call took.
func (f *floor) put(ctx context.Context) (event, commit time.Duration, err error) {
	f.puts++
	from, to := f.puts%len(f.clients), (f.puts+1)%len(f.clients)
	began := time.Now()
	replied := make(chan error, 1)
	go func() {
		_, err := f.clients[from].Put(ctx, f.of(to), fmt.Sprint(f.puts))
		commit = time.Since(began)
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
	return event, commit, err
}

func (f *floor) close() error { return closeAll(f.closers) }
