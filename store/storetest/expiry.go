package storetest

import (
	"errors"
	"time"

	"github.com/tenure-go/tenure/store"
)

var expiryChecks = []check{
	{"expiry/granted", "A lease never ends earlier than its TTL counted from the moment Grant was sent.", expiryGranted},
	{"expiry/renewed", "A lease never ends earlier than its TTL counted from the moment the last Renew was sent.", expiryRenewed},
	{"expiry/in-time", "A lease that is not renewed ends: at the latest the slack after its TTL.", expiryInTime},
	{
		"expiry/in-time-renewed",
		"A lease that is no longer renewed ends: at the latest the slack after its TTL.",
		expiryInTimeRenewed,
	},
	{"expiry/one-commit", "When a lease ends, everything that hangs on it is deleted in one commit, which watches see.", expiryOneCommit},
	{"expiry/others-stay", "When a lease ends, what was moved away from it stays.", expiryOthersStay},
	{"expiry/not-found", "Renew and Revoke of a lease that ended by itself fail with ErrLeaseNotFound, and so does a Put on it.", expiryNotFound},
}

// ending is what is known about the end of a lease.
type ending struct {
	lease store.Lease
	sent  time.Time // before the last Grant or Renew
	done  time.Time // after it
}

// hang grants a lease of the harness's TTL and puts key on it.
func (e *env) hang(st store.Store, key string) ending {
	sent := time.Now()
	lease := e.grant(st, e.TTL)
	end := ending{lease: lease, sent: sent, done: time.Now()}
	e.hangOn(st, key, end)
	return end
}

// hangOn puts one more key on a lease that may end any moment.
func (e *env) hangOn(st store.Store, key string, end ending) {
	_, err := st.Commit(e.ctx, store.Tx{Then: []store.Op{store.Put(key, nil, end.lease.ID)}})
	if errors.Is(err, store.ErrLeaseNotFound) && time.Since(end.sent) >= end.lease.TTL {
		e.skipf("the host was too slow for a lease of %v", end.lease.TTL)
	}
	e.must(err, "commit")
}

// renew renews for a few times the TTL.
func (e *env) renew(st store.Store, end ending) ending {
	const renewals, perTTL = 10, 4
	for range renewals {
		e.sleep(end.lease.TTL / perTTL)
		sent := time.Now()
		_, err := st.Renew(e.ctx, end.lease.ID)
		if errors.Is(err, store.ErrLeaseNotFound) && time.Since(end.sent) >= end.lease.TTL {
			e.skipf("the host was too slow: %v between renewals of a lease of %v", time.Since(end.sent), end.lease.TTL)
		}
		e.must(err, "renew %v after the last time, of a lease of %v", sent.Sub(end.sent), end.lease.TTL)
		end.sent, end.done = sent, time.Now()
	}
	return end
}

// await polls until key is gone. It fails the check when that is before the TTL
// counted from end.sent, if early is set, or later than the slack after the TTL
// counted from end.done.
func (e *env) await(st store.Store, key string, end ending, early bool) {
	ttl := end.lease.TTL
	for {
		asked := time.Now()
		entry := e.get(st, key)
		if entry == nil {
			after := time.Since(end.sent)
			e.check(!early || after >= ttl, "a lease of %v had ended %v after it was last asked for", ttl, after)
			return
		}
		late := asked.Sub(end.done) - ttl
		e.check(late <= e.Slack, "a lease of %v had not ended %v after its TTL", ttl, late)
		e.sleep(max(ttl/20, time.Millisecond))
	}
}

func expiryGranted(e *env) {
	st := e.open()
	e.await(st, "a", e.hang(st, "a"), true)
}

func expiryRenewed(e *env) {
	st := e.open()
	end := e.renew(st, e.hang(st, "a"))
	e.await(st, "a", end, true)
}

func expiryInTime(e *env) {
	st, other := e.open(), e.open()
	e.await(other, "a", e.hang(st, "a"), false)
}

func expiryInTimeRenewed(e *env) {
	st, other := e.open(), e.open()
	end := e.renew(st, e.hang(st, "a"))
	e.await(other, "a", end, false)
}

func expiryOneCommit(e *env) {
	e.keepHistory()
	st, other := e.open(), e.open()
	w := e.started(other, "", "begin")
	end := e.hang(st, "a")
	e.hangOn(st, "b", end)
	e.hangOn(st, "c", end)
	e.await(other, "a", end, false)
	l := e.list(st, store.Keys("a", "b", "c"))
	e.check(len(l.Entries) == 0, "%d of three keys are left after the end of their lease", len(l.Entries))
	e.wantOneCommit(w.events(e.put(st, "end", "")), "a", "b", "c")
}

func expiryOthersStay(e *env) {
	st := e.open()
	stays := e.grant(st, longTTL)
	end := e.hang(st, "a")
	e.hangOn(st, "moved", end)
	e.hangOn(st, "detached", end)
	e.write(st, store.Put("moved", []byte("2"), stays.ID))
	e.put(st, "detached", "2")
	e.await(st, "a", end, false)
	e.wantValue(st, "moved", "2", "its former lease ended")
	e.wantValue(st, "detached", "2", "its former lease ended")
}

func expiryNotFound(e *env) {
	st := e.open()
	end := e.hang(st, "a")
	e.await(st, "a", end, false)
	e.wantEnded(st, end.lease.ID, "had ended by itself")
	e.wantDeadPut(st, end.lease.ID, "had ended by itself")
}
