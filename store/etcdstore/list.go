package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/store"
)

// List implements store.Store. It is one request for every 128 keys and prefixes.
func (s *Store) List(ctx context.Context, q store.Query) (store.Listing, error) {
	var l store.Listing
	for first := true; first || len(q.Keys)+len(q.Prefixes) > 0; first = false {
		var part store.Query
		part.Keys, q.Keys = take(q.Keys, maxOps)
		part.Prefixes, q.Prefixes = take(q.Prefixes, maxOps-len(part.Keys))
		res, err := do(ctx, s, "list", s.kv.Txn, s.reads(part, l.Revision))
		if errors.Is(err, store.ErrCompacted) { // between two parts
			return store.Listing{}, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		if err != nil {
			return store.Listing{}, err
		}
		if first {
			l.Revision = store.Revision(res.GetHeader().GetRevision())
		}
		for _, r := range res.GetResponses() {
			for _, kv := range r.GetResponseRange().GetKvs() {
				l.Entries = append(l.Entries, s.entry(kv))
			}
		}
	}
	slices.SortFunc(l.Entries, func(a, b store.Entry) int { return cmp.Compare(a.Key, b.Key) })
	l.Entries = slices.CompactFunc(l.Entries, func(a, b store.Entry) bool { return a.Key == b.Key })
	return l, nil
}

// take returns the first n of all, and the rest.
func take(all []string, n int) (first, rest []string) {
	n = min(n, len(all))
	return all[:n], all[n:]
}

// reads is a transaction that reads all at the same revision.
func (s *Store) reads(q store.Query, rev store.Revision) *pb.TxnRequest {
	req := &pb.TxnRequest{}
	for _, key := range q.Keys {
		req.Success = append(req.Success, read(s.prefix+key, "", rev))
	}
	for _, prefix := range q.Prefixes {
		prefix = s.prefix + prefix
		req.Success = append(req.Success, read(prefix, clientv3.GetPrefixRangeEnd(prefix), rev))
	}
	if len(req.Success) == 0 {
		req.Success = append(req.Success, s.probe(store.Tx{})) // for the revision
	}
	return req
}
