package protocol_test

import (
	"cmp"
	"slices"

	"github.com/tenure-go/tenure/store"
)

// kv is the store of a simulation: the contract's semantics with nothing around
// them, so that a schedule costs microseconds.
type kv struct {
	entries map[string]store.Entry
	rev     store.Revision
}

func (k *kv) holds(c store.Cond) bool {
	e, ok := k.entries[c.Key]
	if !ok {
		return c.Holds(nil)
	}
	return c.Holds(&e)
}

// commit returns the events of a transaction that was applied.
func (k *kv) commit(tx store.Tx, alive func(store.LeaseID) bool) (store.Result, []store.Event, error) {
	for _, c := range tx.If {
		if !k.holds(c) {
			return store.Result{Revision: k.rev}, nil, nil
		}
	}
	for _, op := range tx.Then {
		if !op.Delete && !alive(op.Lease) {
			return store.Result{}, nil, store.ErrLeaseNotFound
		}
	}
	k.rev++
	var events []store.Event
	for _, op := range tx.Then {
		old, ok := k.entries[op.Key]
		switch {
		case !op.Delete:
			e := store.Entry{Key: op.Key, Value: op.Value, Created: cmp.Or(old.Created, k.rev), Modified: k.rev, Lease: op.Lease}
			k.entries[op.Key] = e
			events = append(events, store.Event{Entry: e})
		case ok:
			events = append(events, k.delete(op.Key))
		}
	}
	return store.Result{Committed: true, Revision: k.rev}, events, nil
}

// delete removes a key at the present revision.
func (k *kv) delete(key string) store.Event {
	delete(k.entries, key)
	return store.Event{Deleted: true, Entry: store.Entry{Key: key, Modified: k.rev}}
}

// expire deletes what hangs on a lease, in one commit.
func (k *kv) expire(id store.LeaseID) []store.Event {
	var events []store.Event
	k.rev++
	for _, e := range k.list(store.Prefix("")).Entries {
		if e.Lease == id {
			events = append(events, k.delete(e.Key))
		}
	}
	return events
}

func (k *kv) list(q store.Query) store.Listing {
	l := store.Listing{Revision: k.rev}
	for key, e := range k.entries {
		if q.Selects(key) {
			l.Entries = append(l.Entries, e)
		}
	}
	slices.SortFunc(l.Entries, func(a, b store.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return l
}
