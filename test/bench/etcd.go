package main

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

func newClient(endpoints []string, opts ...grpc.DialOption) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop(), DialOptions: opts,
	})
}

// traffic counts what passes between a client and etcd.
type traffic struct {
	requests atomic.Int64 // calls, and messages sent on streams
	events   atomic.Int64 // messages received on streams
}

type counts struct{ requests, events int64 }

func (t *traffic) now() counts { return counts{t.requests.Load(), t.events.Load()} }

func (c counts) since(before counts) counts {
	return counts{c.requests - before.requests, c.events - before.events}
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
	s.t.requests.Add(1)
	return s.ClientStream.SendMsg(m)
}

func (s countedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.t.events.Add(1)
	}
	return err
}
