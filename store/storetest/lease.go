package storetest

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

var leaseChecks = []check{
	{"lease/at-least", "Grant makes a lease of at least the TTL asked for and of at least MinTTL; Renew returns that TTL.", leaseAtLeast},
	{"lease/unique", "A LeaseID is not NoLease and is never reused.", leaseUnique},
	{"lease/revoked", "Revoke ends the lease now and deletes what hangs on it, in one commit.", leaseRevoked},
	{"lease/others-stay", "When a lease ends, only what hangs on it is deleted.", leaseOthersStay},
	{"lease/moved", "An entry hangs on the lease that its last Put named.", leaseMoved},
	{"lease/detached", "An entry whose last Put named no lease hangs on none.", leaseDetached},
	{"lease/made-again", "A key that was deleted and made again hangs on the lease of the later Put only.", leaseMadeAgain},
	{"lease/foreign", "A Put may name a lease that another handle holds.", leaseForeign},
	{"lease/dead-put", "A Put on a lease that is not alive fails the whole transaction with ErrLeaseNotFound.", leaseDeadPut},
	{"lease/dead-refused", "Where a condition does not hold, a dead lease does not matter: the transaction is refused.", leaseDeadRefused},
	{"lease/unknown", "Renew and Revoke of a lease that never was fail with ErrLeaseNotFound.", leaseUnknown},
	{"lease/not-found", "Renew and Revoke of a revoked lease fail with ErrLeaseNotFound, for good.", leaseNotFound},
}

func leaseAtLeast(e *env) {
	st := e.open()
	least := st.Capabilities().MinTTL
	for _, ask := range []time.Duration{time.Nanosecond, least, 1500 * time.Millisecond, longTTL} {
		lease := e.grant(st, ask)
		e.check(lease.TTL >= max(ask, least), "granted %v, asked for %v, the least is %v", lease.TTL, ask, least)
		if ask < time.Second {
			continue // it may end before it is renewed
		}
		ttl, err := st.Renew(e.ctx, lease.ID)
		e.must(err, "renew")
		e.check(ttl == lease.TTL, "renewed for %v, granted for %v", ttl, lease.TTL)
	}
}

func leaseUnique(e *env) {
	var mu sync.Mutex
	seen := map[store.LeaseID]bool{}
	e.parallel(3, func(int) {
		st := e.open()
		for range 5 {
			id := e.grant(st, longTTL).ID
			e.revoke(st, id) // a free id is the one that might be given out again
			mu.Lock()
			known := seen[id]
			seen[id] = true
			mu.Unlock()
			e.check(id != store.NoLease, "granted the id of no lease")
			e.check(!known, "granted id %d twice", id)
		}
	})
}

func leaseRevoked(e *env) {
	e.keepHistory()
	st, other := e.open(), e.open()
	lease := e.grant(st, longTTL)
	w := e.started(st, "", "begin")
	for _, key := range []string{"a", "b", "c"} {
		e.write(st, store.Put(key, nil, lease.ID))
	}
	rev := e.put(st, "between", "")
	w.upTo(rev)
	e.revoke(st, lease.ID)
	l := e.list(other, store.Keys("a", "b", "c"))
	e.check(len(l.Entries) == 0, "%d of three keys are left after Revoke", len(l.Entries))
	e.wantOneCommit(w.events(e.put(st, "end", "")), "a", "b", "c")
}

// wantOneCommit fails the check unless events report that keys were deleted, at
// one revision.
func (e *env) wantOneCommit(events []store.Event, keys ...string) {
	at := map[string]store.Revision{}
	for _, ev := range events {
		if ev.Deleted {
			at[ev.Entry.Key] = ev.Entry.Modified
		}
	}
	for _, key := range keys {
		e.check(at[key] != 0, "no delete of %s was seen", key)
		e.check(at[key] == at[keys[0]], "%s was deleted at %d, %s at %d", key, at[key], keys[0], at[keys[0]])
	}
}

func leaseOthersStay(e *env) {
	st := e.open()
	ends, stays := e.grant(st, longTTL), e.grant(st, longTTL)
	e.write(st, store.Put("a", []byte("1"), ends.ID))
	e.write(st, store.Put("a/b", []byte("1"), stays.ID))
	e.put(st, "c", "1")
	e.revoke(st, ends.ID)
	e.wantAbsent(st, "a", "its lease was revoked")
	e.wantValue(st, "a/b", "1", "another lease was revoked")
	e.wantValue(st, "c", "1", "a lease was revoked that it did not hang on")
}

func leaseMoved(e *env) {
	st := e.open()
	first, last := e.grant(st, longTTL), e.grant(st, longTTL)
	e.put(st, "attached", "1")
	e.write(st, store.Put("moved", []byte("1"), first.ID))
	e.write(st, store.Put("moved", []byte("2"), last.ID))
	e.write(st, store.Put("attached", []byte("2"), last.ID))
	e.revoke(st, first.ID)
	e.wantValue(st, "moved", "2", "its former lease was revoked")
	e.revoke(st, last.ID)
	e.wantAbsent(st, "moved", "its lease was revoked")
	e.wantAbsent(st, "attached", "the lease of its last put was revoked")
}

func leaseDetached(e *env) {
	st := e.open()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", []byte("1"), lease.ID))
	e.put(st, "a", "2")
	e.revoke(st, lease.ID)
	e.wantValue(st, "a", "2", "its former lease was revoked")
}

func leaseMadeAgain(e *env) {
	st := e.open()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", []byte("1"), lease.ID))
	e.write(st, store.Delete("a"))
	e.put(st, "a", "2")
	e.revoke(st, lease.ID)
	e.wantValue(st, "a", "2", "the lease of its former life was revoked")
}

func leaseForeign(e *env) {
	holder := e.open()
	raw, other := e.openRaw()
	if !raw.Capabilities().ForeignLease {
		e.skipf("%s takes no foreign leases", raw.Capabilities().Name)
	}
	lease := e.grant(holder, longTTL)
	e.write(other, store.Put("a", []byte("1"), lease.ID))
	e.check(e.get(holder, "a").Lease == lease.ID, "put on lease %d, hangs on %d", lease.ID, e.get(holder, "a").Lease)
	e.must(raw.Close(), "close")
	e.wantValue(holder, "a", "1", "the handle that put it was closed")
	e.revoke(holder, lease.ID)
	e.wantAbsent(holder, "a", "its lease was revoked")
}

// wantDeadPut fails the check unless a Put on id fails all of its transaction.
func (e *env) wantDeadPut(st store.Store, id store.LeaseID, what string) {
	e.put(st, "kept", "1")
	ops := []store.Op{store.Put("dead", nil, id)}
	if st.Capabilities().MultiKey {
		ops = []store.Op{store.Put("new", nil, store.NoLease), ops[0], store.Delete("kept")}
	}
	_, err := st.Commit(e.ctx, store.Tx{Then: ops})
	e.wantErr(err, store.ErrLeaseNotFound, "put on a lease that %s", what)
	e.wantAbsent(st, "dead", "its lease "+what)
	e.wantAbsent(st, "new", "another put named a lease that "+what)
	e.wantValue(st, "kept", "1", "a put named a lease that "+what)
}

func leaseDeadPut(e *env) {
	st := e.open()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", nil, lease.ID))
	e.revoke(st, lease.ID)
	e.wantDeadPut(st, lease.ID, "was revoked")
	e.wantDeadPut(st, unknownLease(), "never was")
}

func leaseDeadRefused(e *env) {
	st := e.open()
	lease := e.grant(st, longTTL)
	e.revoke(st, lease.ID)
	res, err := st.Commit(e.ctx, store.Tx{
		If:   []store.Cond{store.Exists("a")},
		Then: []store.Op{store.Put("a", nil, lease.ID)},
	})
	e.check(err == nil && !res.Committed, "an absent key that must exist, and a lease that was revoked: %+v, %v", res, err)
}

// unknownLease returns an id that no store has given out, as good as certainly.
func unknownLease() store.LeaseID { return store.LeaseID(rand.Int64N(1<<62) | 1<<61) }

func leaseUnknown(e *env) {
	st := e.open()
	_, err := st.Renew(e.ctx, unknownLease())
	e.wantErr(err, store.ErrLeaseNotFound, "renew of a lease that never was")
	e.wantErr(st.Revoke(e.ctx, unknownLease()), store.ErrLeaseNotFound, "revoke of a lease that never was")
}

func leaseNotFound(e *env) {
	st := e.open()
	lease := e.grant(st, longTTL)
	e.revoke(st, lease.ID)
	e.wantEnded(st, lease.ID, "was revoked")
}

// wantEnded fails the check unless the lease is gone for good.
func (e *env) wantEnded(st store.Store, id store.LeaseID, what string) {
	for range 2 { // an attempt must not bring it back
		_, err := st.Renew(e.ctx, id)
		e.wantErr(err, store.ErrLeaseNotFound, "renew of a lease that %s", what)
		e.wantErr(st.Revoke(e.ctx, id), store.ErrLeaseNotFound, "revoke of a lease that %s", what)
	}
}
