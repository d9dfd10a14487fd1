//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

const (
	leaders = protocol.LeadersPrefix
	writes  = protocol.DataPrefix + "log/"
)

// recorder takes what etcd's own history says of seats, writes and the fleet into the
// account, by a watch of its own on every member, which no fault lies on. It may lag while
// etcd does.
type recorder struct {
	client  *clientv3.Client
	account *account
	seats   map[string]tenuretest.Event // who has each, by key

	mu   sync.Mutex
	seen int64 // the revision up to which all is recorded
	news chan struct{}
}

// run records everything from a revision on, until the context ends.
func (r *recorder) run(ctx context.Context, from int64) error {
	next := from
	for ctx.Err() == nil {
		watch, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		for res := range r.client.Watch(watch, prefix, clientv3.WithPrefix(), clientv3.WithRev(next), clientv3.WithProgressNotify()) {
			if res.CompactRevision > 0 {
				cancel()
				return fmt.Errorf("the recording has a gap before revision %d", res.CompactRevision)
			}
			if res.Err() != nil {
				break // its server has no leader; the next one has, or will
			}
			for _, ev := range res.Events {
				if err := r.take(ev); err != nil {
					cancel()
					return err
				}
			}
			next = res.Header.GetRevision() + 1
			r.saw(next - 1)
		}
		cancel()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func (r *recorder) take(ev *clientv3.Event) error {
	key := strings.TrimPrefix(string(ev.Kv.GetKey()), prefix)
	rev := store.Revision(ev.Kv.GetModRevision())
	deleted := ev.Type == clientv3.EventTypeDelete
	switch {
	case strings.HasPrefix(key, writes) && !deleted:
		var w record
		if err := json.Unmarshal(ev.Kv.GetValue(), &w); err != nil {
			return err
		}
		r.account.wrote(w, rev)
	case strings.HasPrefix(key, leaders) && deleted:
		if e, ok := r.seats[key]; ok {
			e.Kind, e.Revision = tenuretest.SeatFreed, rev
			delete(r.seats, key)
			r.account.seat(e)
		}
	case strings.HasPrefix(key, leaders):
		seat, err := protocol.DecodeSeat(ev.Kv.GetValue())
		if err != nil || seat.Vacancy != nil { // nobody deposes here
			return errors.Join(err, fmt.Errorf("a seat of nobody's: %q", ev.Kv.GetValue()))
		}
		r.seats[key] = tenuretest.Event{
			Kind: tenuretest.SeatTaken, Member: nodeOf(seat.Member), Election: protocol.Unescape(strings.TrimPrefix(key, leaders)),
			Token: rev, Revision: rev,
		}
		r.account.seat(r.seats[key])
	default:
		value := ev.Kv.GetValue()
		if deleted {
			value = nil
		}
		return r.account.sees(key, value, rev)
	}
	return nil
}

func (r *recorder) saw(rev int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = max(r.seen, rev)
	close(r.news)
	r.news = make(chan struct{})
}

// await waits until all up to a revision is recorded.
func (r *recorder) await(ctx context.Context, rev int64) error {
	for {
		r.mu.Lock()
		seen, news := r.seen, r.news
		r.mu.Unlock()
		if seen >= rev {
			return nil
		}
		// A quiet watch says nothing unless it is asked to.
		if err := r.client.RequestProgress(clientv3.WithRequireLeader(ctx)); err != nil {
			return err
		}
		select {
		case <-news:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the recording is at revision %d of %d: %w", seen, rev, ctx.Err())
		}
	}
}

// catchUp waits until all is recorded that is in etcd by now.
func (r *recorder) catchUp(ctx context.Context) error {
	res, err := r.client.Get(ctx, prefix, clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	return r.await(ctx, res.Header.GetRevision())
}

// upTo is the revision up to which all is recorded.
func (r *recorder) upTo() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}
