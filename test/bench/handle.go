package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/tenure-go/tenure/store/etcdstore"
	"github.com/tenure-go/tenure/store/sqlitestore"
)

// place is where the data of a cluster lie.
type place struct {
	kind  string // "etcd" or "SQLite"
	where string // endpoints, with commas between them, or a file
}

// handle is what one process has of a store.
type handle struct {
	counting
	client *clientv3.Client // below it; nil where it is not etcd
}

// open opens the i-th handle, which counts what passes through it.
func (p place) open(ctx context.Context, i int, t *tally, opts ...grpc.DialOption) (*handle, error) {
	if p.kind == "SQLite" {
		st, err := sqlitestore.Open(ctx, p.where, sqlitestore.Options{})
		if err != nil {
			return nil, err
		}
		return &handle{counting: counting{st, t}}, nil
	}
	client, err := newClient(pinned(strings.Split(p.where, ","), i), opts...)
	if err != nil {
		return nil, err
	}
	st, err := etcdstore.New(ctx, client, "")
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &handle{counting{st, t}, client}, nil
}

// openAll opens so many handles.
func (p place) openAll(ctx context.Context, n int, t *tally, closers *[]func() error, opts ...grpc.DialOption) ([]*handle, error) {
	var all []*handle
	for i := range n {
		h, err := p.open(ctx, i, t, opts...)
		if err != nil {
			return nil, fmt.Errorf("handle %d of %s: %w", i, p.kind, err)
		}
		*closers = append(*closers, h.close)
		all = append(all, h)
	}
	return all, nil
}

func (h *handle) close() error {
	err := h.Close()
	if h.client != nil {
		err = errors.Join(err, h.client.Close())
	}
	return err
}
