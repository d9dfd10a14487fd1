package main

import (
	"context"
	"errors"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/store"
)

// bare does with a store, or with etcd's client, what nodes do at the least: each has a
// lease, which nobody renews, one write makes it known or changes its key, and all watch.
type bare struct {
	*life
	name   string
	via    means
	root   string
	leases []int64
}

// means are how to reach a store; each node has a handle of its own.
type means interface {
	grant(ctx context.Context, node int) (lease int64, err error)
	revoke(ctx context.Context, node int, lease int64) error
	put(ctx context.Context, node int, key, value string, lease int64) error
	count(ctx context.Context, node int, prefix string) (int, error)
	// follow tells when it has begun, and then what changes.
	follow(ctx context.Context, node int, prefix string, begun func(), change func(key, value string, deleted bool)) error
}

// newBare makes so many nodes, and returns when all of them watch.
func newBare(ctx context.Context, name string, via means, root string, nodes int) (_ *bare, err error) {
	p := &bare{life: newLife(), name: name, via: via, root: root}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	for i := range nodes {
		if err := p.add(ctx, nodeID(i)); err != nil {
			return nil, err
		}
		if err := p.put(ctx, i, valueOf(i)); err != nil {
			return nil, err
		}
	}
	p.expect(ready, 2*nodes)
	for i := range nodes {
		p.watch(func(ctx context.Context) error {
			return via.follow(ctx, i, p.nodes(), p.isReady, func(key, _ string, deleted bool) {
				id := strings.TrimPrefix(key, p.nodes())
				if deleted {
					p.sees(left(id))
				} else {
					p.sees(joined(id))
				}
			})
		})
		p.watch(func(ctx context.Context) error {
			return via.follow(ctx, i, p.state(), p.isReady, func(_, value string, _ bool) { p.sees(value) })
		})
	}
	_, err = p.await(ctx)
	return p, err
}

func (p *bare) String() string { return p.name }
func (p *bare) isReady()       { p.sees(ready) }
func (p *bare) nodes() string  { return p.root + "/nodes/" }
func (p *bare) state() string  { return p.root + "/state/" + keyName(0) + "/" }

// add makes the next node known.
func (p *bare) add(ctx context.Context, id string) error {
	node := len(p.leases)
	lease, err := p.via.grant(ctx, node)
	if err != nil {
		return err
	}
	p.leases = append(p.leases, lease)
	return p.via.put(ctx, node, p.nodes()+id, record, lease)
}

func (p *bare) join(ctx context.Context, id string) error { return p.add(ctx, id) }

func (p *bare) leave(ctx context.Context) error {
	last := len(p.leases) - 1
	lease := p.leases[last]
	p.leases = p.leases[:last]
	return p.via.revoke(ctx, last, lease)
}

func (p *bare) put(ctx context.Context, node int, value string) error {
	return p.via.put(ctx, node, p.state()+nodeID(node), value, p.leases[node])
}

func (p *bare) getAll(ctx context.Context, node int) (int, error) {
	return p.via.count(ctx, node, p.state())
}

func (p *bare) close() error {
	p.end()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	for len(p.leases) > 0 {
		errs = append(errs, p.leave(ctx))
	}
	return errors.Join(errs...)
}

// viaStore is a store of ours with nothing around it.
type viaStore []*handle

func (v viaStore) grant(ctx context.Context, node int) (int64, error) {
	lease, err := v[node].Grant(ctx, longTTL)
	return int64(lease.ID), err
}

func (v viaStore) revoke(ctx context.Context, node int, lease int64) error {
	return v[node].Revoke(ctx, store.LeaseID(lease))
}

func (v viaStore) put(ctx context.Context, node int, key, value string, lease int64) error {
	_, err := v[node].Commit(ctx, store.Tx{Then: []store.Op{store.Put(key, []byte(value), store.LeaseID(lease))}})
	return err
}

func (v viaStore) count(ctx context.Context, node int, prefix string) (int, error) {
	l, err := v[node].List(ctx, store.Prefix(prefix))
	return len(l.Entries), err
}

func (v viaStore) follow(ctx context.Context, node int, prefix string, begun func(), change func(key, value string, deleted bool)) error {
	for batch, err := range store.Follow(ctx, v[node].counting, prefix, nil) {
		switch {
		case err != nil:
			return err
		case batch.Listed:
			begun()
			continue
		}
		for _, ev := range batch.Events {
			change(ev.Entry.Key, string(ev.Entry.Value), ev.Deleted)
		}
	}
	return nil
}

// viaClient is etcd's own client.
type viaClient []*handle

func (v viaClient) grant(ctx context.Context, node int) (int64, error) {
	lease, err := v[node].client.Grant(ctx, int64(longTTL/time.Second))
	if err != nil {
		return 0, err
	}
	return int64(lease.ID), nil
}

func (v viaClient) revoke(ctx context.Context, node int, lease int64) error {
	_, err := v[node].client.Revoke(ctx, clientv3.LeaseID(lease))
	return err
}

func (v viaClient) put(ctx context.Context, node int, key, value string, lease int64) error {
	_, err := v[node].client.Put(ctx, key, value, clientv3.WithLease(clientv3.LeaseID(lease)))
	return err
}

func (v viaClient) count(ctx context.Context, node int, prefix string) (int, error) {
	res, err := v[node].client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return 0, err
	}
	return len(res.Kvs), nil
}

func (v viaClient) follow(ctx context.Context, node int, prefix string, begun func(), change func(key, value string, deleted bool)) error {
	for res := range v[node].client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := res.Err(); err != nil {
			return err
		}
		if res.Created {
			begun()
		}
		for _, ev := range res.Events {
			change(string(ev.Kv.Key), string(ev.Kv.Value), ev.Type == clientv3.EventTypeDelete)
		}
	}
	return errors.New("etcd's client has ended a watch")
}
