package memstore

import (
	"maps"
	"slices"
	"time"

	"github.com/tenure-go/tenure/store"
)

// lease is one live lease. The lock of its data guards it.
type lease struct {
	id       store.LeaseID
	ttl      time.Duration
	deadline time.Time
	timer    *time.Timer
	keys     map[string]struct{} // what hangs on it
}

func (d *data) grant(ttl time.Duration) store.Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.granted++
	l := &lease{id: d.granted, ttl: max(ttl, d.MinTTL), keys: map[string]struct{}{}}
	l.deadline = time.Now().Add(l.ttl)
	l.timer = time.AfterFunc(l.ttl, func() { d.expire(l) })
	d.leases[l.id] = l
	return store.Lease{ID: l.id, TTL: l.ttl}
}

func (d *data) renew(id store.LeaseID) (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.leases[id]
	if l == nil {
		return 0, store.ErrLeaseNotFound
	}
	l.deadline = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
	return l.ttl, nil
}

func (d *data) revoke(id store.LeaseID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.leases[id]
	if l == nil {
		return store.ErrLeaseNotFound
	}
	d.end(l)
	return nil
}

// expire runs when the timer of l fires.
func (d *data) expire(l *lease) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A Renew or Revoke may have had the lock while this waited for it.
	if d.leases[l.id] != l || time.Now().Before(l.deadline) {
		return
	}
	d.end(l)
}

// end deletes l and all that hangs on it, at one revision.
func (d *data) end(l *lease) {
	l.timer.Stop()
	keys := slices.Sorted(maps.Keys(l.keys))
	ops := make([]store.Op, len(keys))
	for i, key := range keys {
		ops[i] = store.Delete(key)
	}
	d.write(ops)
	delete(d.leases, l.id)
}
