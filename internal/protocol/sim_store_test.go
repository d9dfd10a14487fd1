package protocol_test

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// kv is the store of a simulation: the contract's semantics with nothing around
// them, so that a schedule costs microseconds.
type kv struct {
	entries []store.Entry // sorted by key
	rev     store.Revision
	leases  []lease // by id - 1

	// Of a store that is broken: tokens begin again when their key is deleted.
	restarting bool
	versions   map[string]store.Revision
}

type lease struct {
	ttl time.Duration
	end int64 // on the store's clock; 0: it has ended
}

func (k *kv) grant(ttl time.Duration) store.LeaseID {
	k.leases = append(k.leases, lease{ttl: ttl, end: 1})
	return store.LeaseID(len(k.leases))
}

func (k *kv) alive(id store.LeaseID) bool { return id > 0 && k.leases[id-1].end != 0 }

func (k *kv) find(key string) (int, bool) {
	return slices.BinarySearchFunc(k.entries, key, func(e store.Entry, key string) int { return strings.Compare(e.Key, key) })
}

func (k *kv) get(key string) *store.Entry {
	if i, ok := k.find(key); ok {
		return &k.entries[i]
	}
	return nil
}

// refuses returns the first condition that does not hold.
func (k *kv) refuses(tx store.Tx) (store.Cond, bool) {
	for _, c := range tx.If {
		if !c.Holds(k.get(c.Key)) {
			return c, true
		}
	}
	return store.Cond{}, false
}

// write applies the writes of a transaction at one revision, whatever its
// conditions say, and returns the events.
func (k *kv) write(ops []store.Op) ([]store.Event, error) {
	for _, op := range ops {
		if !op.Delete && op.Lease != store.NoLease && !k.alive(op.Lease) {
			return nil, store.ErrLeaseNotFound
		}
	}
	k.rev++
	at := k.stamp(ops)
	var events []store.Event
	for _, op := range ops {
		i, ok := k.find(op.Key)
		switch {
		case !op.Delete:
			e := store.Entry{Key: op.Key, Value: op.Value, Created: at, Modified: at, Lease: op.Lease}
			if ok {
				e.Created = k.entries[i].Created
				k.entries[i] = e
			} else {
				k.entries = slices.Insert(k.entries, i, e)
			}
			events = append(events, store.Event{Entry: e})
		case ok:
			k.entries = slices.Delete(k.entries, i, i+1)
			events = append(events, k.deleted(op.Key))
		}
	}
	return events, nil
}

func (k *kv) deleted(key string) store.Event {
	delete(k.versions, key)
	return store.Event{Deleted: true, Entry: store.Entry{Key: key, Modified: k.rev}}
}

// stamp is what a write gives its entries as Modified.
func (k *kv) stamp(ops []store.Op) store.Revision {
	if !k.restarting || ops[0].Delete || !strings.HasPrefix(ops[0].Key, protocol.LeadersPrefix) {
		return k.rev
	}
	k.versions[ops[0].Key]++
	return k.versions[ops[0].Key]
}

// expire deletes what hangs on a lease, in one commit.
func (k *kv) expire(id store.LeaseID) []store.Event {
	k.leases[id-1].end = 0
	k.rev++
	var events []store.Event
	k.entries = slices.DeleteFunc(k.entries, func(e store.Entry) bool {
		if e.Lease == id {
			events = append(events, k.deleted(e.Key))
		}
		return e.Lease == id
	})
	return events
}

func (k *kv) list(q store.Query) store.Listing {
	l := store.Listing{Revision: k.rev}
	for _, key := range q.Keys {
		if e := k.get(key); e != nil {
			l.Entries = append(l.Entries, *e)
		}
	}
	for _, prefix := range q.Prefixes {
		i, _ := k.find(prefix)
		for ; i < len(k.entries) && strings.HasPrefix(k.entries[i].Key, prefix); i++ {
			l.Entries = append(l.Entries, k.entries[i])
		}
	}
	slices.SortFunc(l.Entries, func(a, b store.Entry) int { return cmp.Compare(a.Key, b.Key) })
	l.Entries = slices.CompactFunc(l.Entries, func(a, b store.Entry) bool { return a.Key == b.Key })
	return l
}
