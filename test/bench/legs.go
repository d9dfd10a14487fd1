package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// legs measures what a hand-over of ours is made of: until the transaction is sent,
// until its event has reached the successor's process, and until the next leader's
// work begins. The floor and its transaction stand beside it.
func (b *bench) legs(ctx context.Context) error {
	t := newTable("What a hand-over is made of, p50",
		"candidates", "n", "end of the work to the call", "call to the event", "event to the next work", "in all", "floor: put to event", "a hand-over's transaction to event")
	for _, n := range b.sizes[:min(2, len(b.sizes))] {
		if err := b.legsOf(ctx, t, n); err != nil {
			return fmt.Errorf("%d candidates: %w", n, err)
		}
	}
	t.print()
	return nil
}

func (b *bench) legsOf(ctx context.Context, t *table, n int) (err error) {
	fl, err := newFloor(ctx, b.endpoints, b.election())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fl.close()) }()
	var wire wire
	f, err := ourselves{endpoints: b.endpoints, ttl: handOverTTL, drain: work, options: wire.options()}.enrol(ctx, b.election(), n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	line := f.(*tenureField).line
	var out, through, in, all, put, txn sample
	for range b.plan.handOvers {
		drain(ctx, term)
		from := line.leader
		took, err := f.handOver(ctx)
		if err != nil {
			return err
		}
		sent, came := wire.times(from, line.leader)
		out.add(sent.Sub(line.ended))
		through.add(came.Sub(sent))
		in.add(line.ended.Add(took).Sub(came))
		all.add(took)
		drain(ctx, term)
		event, _, err := fl.put(ctx)
		if err != nil {
			return err
		}
		put.add(event)
		drain(ctx, term)
		if event, _, err = fl.txn(ctx); err != nil {
			return err
		}
		txn.add(event)
	}
	t.row(n, len(all.times), out.p(50), through.p(50), in.p(50), all.p(50), put.p(50), txn.p(50))
	return nil
}

// wire notes when each client last sent a transaction that writes, and when the last
// event came to it. Clients are numbered in the order of their first transactions.
type wire struct {
	mu      sync.Mutex
	clients []*grpc.ClientConn
	sent    map[*grpc.ClientConn]time.Time
	came    map[*grpc.ClientConn]time.Time
}

// times are those of the client that sent a hand-over and of the one that was told.
func (w *wire) times(from, to int) (sent, came time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[w.clients[from]], w.came[w.clients[to]]
}

func (w *wire) options() []grpc.DialOption {
	w.sent, w.came = map[*grpc.ClientConn]time.Time{}, map[*grpc.ClientConn]time.Time{}
	return tapped(tap{call: w.call, sent: func(*grpc.ClientConn, any) {}, received: w.received})
}

func (w *wire) call(cc *grpc.ClientConn, req any) {
	t, ok := req.(*pb.TxnRequest)
	if !ok {
		return // whose connection may be another
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.clients, cc) {
		w.clients = append(w.clients, cc)
	}
	if slices.ContainsFunc(t.Success, func(op *pb.RequestOp) bool { return op.GetRequestPut() != nil }) {
		w.sent[cc] = now
	}
}

func (w *wire) received(cc *grpc.ClientConn, m any) {
	now := time.Now()
	if r, ok := m.(*pb.WatchResponse); ok && len(r.Events) > 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.came[cc] = now
	}
}
