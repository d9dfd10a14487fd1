package main

import (
	"context"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

func newClient(endpoints []string, opts ...grpc.DialOption) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop(), DialOptions: opts,
	})
}

// traffic counts what passes between clients and etcd.
type traffic struct{ requests, events, upkeep atomic.Int64 }

// counts are of messages in both directions.
type counts struct {
	requests int64 // reads, transactions, leases, and watches begun or ended
	events   int64 // messages of watches that carry events
	upkeep   int64 // renewals, signs of life of watches, and all that answers on streams
}

func (t *traffic) now() counts {
	return counts{t.requests.Load(), t.events.Load(), t.upkeep.Load()}
}

func (c counts) since(before counts) counts {
	return counts{c.requests - before.requests, c.events - before.events, c.upkeep - before.upkeep}
}

func (t *traffic) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			t.requests.Add(1)
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := open(ctx, desc, cc, method, opts...)
			return countedStream{s, t}, err
		}),
	}
}

type countedStream struct {
	grpc.ClientStream
	t *traffic
}

func (s countedStream) SendMsg(m any) error {
	if w, ok := m.(*pb.WatchRequest); ok && w.GetProgressRequest() == nil {
		s.t.requests.Add(1)
	} else {
		s.t.upkeep.Add(1)
	}
	return s.ClientStream.SendMsg(m)
}

func (s countedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if w, ok := m.(*pb.WatchResponse); err == nil && ok && len(w.Events) > 0 {
		s.t.events.Add(1)
	} else if err == nil {
		s.t.upkeep.Add(1)
	}
	return err
}
