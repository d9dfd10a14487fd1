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
	return tapped(tap{
		call: func(*grpc.ClientConn, any) { t.requests.Add(1) },
		sent: func(_ *grpc.ClientConn, m any) {
			if w, ok := m.(*pb.WatchRequest); ok && w.GetProgressRequest() == nil {
				t.requests.Add(1)
			} else {
				t.upkeep.Add(1)
			}
		},
		received: func(_ *grpc.ClientConn, m any) {
			if w, ok := m.(*pb.WatchResponse); ok && len(w.Events) > 0 {
				t.events.Add(1)
			} else {
				t.upkeep.Add(1)
			}
		},
	})
}

// tap is told of the calls of clients before they are sent, and of the messages on
// their streams before they are sent and after they have come.
type tap struct {
	call, sent, received func(cc *grpc.ClientConn, m any)
}

func tapped(t tap) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			t.call(cc, req)
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s, err := open(ctx, desc, cc, method, opts...)
			return tappedStream{s, t, cc}, err
		}),
	}
}

type tappedStream struct {
	grpc.ClientStream
	tap tap
	cc  *grpc.ClientConn
}

func (s tappedStream) SendMsg(m any) error {
	s.tap.sent(s.cc, m)
	return s.ClientStream.SendMsg(m)
}

func (s tappedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.tap.received(s.cc, m)
	}
	return err
}
