package etcdstore

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/store"
)

// maxOps is what etcd takes of each kind in a transaction (--max-txn-ops).
const maxOps = 128

// Commit implements store.Store. It never returns ErrConflict.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if err := tx.Validate(s.Capabilities()); err != nil {
		return store.Result{}, err
	}
	req := &pb.TxnRequest{}
	for _, c := range tx.If {
		cmp := s.Compare(c)
		req.Compare = append(req.Compare, cmp.GetCompare())
	}
	for _, op := range tx.Then {
		req.Success = append(req.Success, s.write(op))
	}
	for _, key := range tx.Else {
		req.Failure = append(req.Failure, read(s.prefix+key, "", 0))
	}
	if len(tx.Then) == 0 {
		// etcd answers a transaction that neither writes nor reads from whatever it
		// has at hand. With a read it is linearizable.
		req.Success = append(req.Success, s.probe(tx))
	}
	res, err := do(ctx, s, "commit", s.kv.Txn, req)
	if err != nil {
		return store.Result{}, err
	}
	out := store.Result{Committed: res.GetSucceeded(), Revision: store.Revision(res.GetHeader().GetRevision())}
	if !out.Committed {
		for _, r := range res.GetResponses() {
			for _, kv := range r.GetResponseRange().GetKvs() {
				out.Entries = append(out.Entries, s.entry(kv))
			}
		}
	}
	return out, nil
}

// probe is a read of a key that the transaction concerns anyhow.
func (s *Store) probe(tx store.Tx) *pb.RequestOp {
	key := s.prefix
	if len(tx.If) > 0 {
		key += tx.If[0].Key
	}
	op := read(key, "", 0)
	op.GetRequestRange().CountOnly = true
	return op
}

func (s *Store) write(op store.Op) *pb.RequestOp {
	key := []byte(s.prefix + op.Key)
	if op.Delete {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
		RequestPut: &pb.PutRequest{Key: key, Value: op.Value, Lease: int64(op.Lease)},
	}}
}

// read reads one key, or those from it up to end, as of a revision, 0 for now.
func read(key, end string, rev store.Revision) *pb.RequestOp {
	r := &pb.RangeRequest{Key: []byte(key), Revision: int64(rev)}
	if end != "" {
		r.RangeEnd = []byte(end)
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
}

func (s *Store) entry(kv *mvccpb.KeyValue) store.Entry {
	return store.Entry{
		Key:      string(kv.GetKey()[len(s.prefix):]),
		Value:    kv.GetValue(),
		Created:  store.Revision(kv.GetCreateRevision()),
		Modified: store.Revision(kv.GetModRevision()),
		Lease:    store.LeaseID(kv.GetLease()),
	}
}

// Compare turns a condition into one of etcd's, for transactions of the caller's
// own clients. That of a term fences them: they take effect only while the
// term is current.
//
//	client.Txn(ctx).If(st.Compare(leadership.Guard().Cond())).Then(...)
//
// The client must not add a namespace of its own to keys.
func (s *Store) Compare(c store.Cond) clientv3.Cmp {
	key := s.prefix + c.Key
	switch {
	case c.Kind == store.CondAbsent:
		return clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	case c.Kind == store.CondExists:
		return clientv3.Compare(clientv3.CreateRevision(key), ">", 0)
	case c.Kind == store.CondModifiedAt && c.Revision > 0:
		return clientv3.Compare(clientv3.ModRevision(key), "=", int64(c.Revision))
	default: // never holds; to etcd, what is absent was modified at 0
		return clientv3.Compare(clientv3.ModRevision(key), "<", 0)
	}
}
