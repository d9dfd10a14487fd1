package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/store"
)

const minTTL = 10 * time.Millisecond

// Grant implements store.Store.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	ttl = max(ttl, minTTL)
	var id int64
	err := s.write(ctx, func(t *wtx) error {
		t.lease++
		id = t.lease
		_, err := t.exec("INSERT INTO leases VALUES (?, ?, ?)", id, int64(ttl), t.expiry(ttl))
		return err
	})
	if err != nil {
		return store.Lease{}, err
	}
	return store.Lease{ID: store.LeaseID(id), TTL: ttl}, nil
}

// Renew implements store.Store.
func (s *Store) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	var ttl time.Duration
	err := s.write(ctx, func(t *wtx) error {
		n, err := t.number("SELECT ttl FROM leases WHERE id = ?", int64(id))
		if err != nil {
			return err
		}
		if ttl = time.Duration(n); ttl == 0 {
			return notFound(id)
		}
		t.dirty = true
		_, err = t.exec("UPDATE leases SET expires = ? WHERE id = ?", t.expiry(ttl), int64(id))
		return err
	})
	if err != nil {
		return 0, err
	}
	return ttl, nil
}

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	return s.write(ctx, func(t *wtx) error {
		n, err := t.number("SELECT count(*) FROM leases WHERE id = ?", int64(id))
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound(id)
		}
		return t.end(int64(id))
	})
}

func notFound(id store.LeaseID) error { return fmt.Errorf("%w: lease %d", store.ErrLeaseNotFound, id) }

// expiry is when a lease ends whose request was sent before t began.
func (t *wtx) expiry(ttl time.Duration) int64 {
	if t.now > maxTime-ttl {
		return maxTime
	}
	return int64(t.now + ttl)
}

// expire ends every lease whose time has passed, each at a revision of its own.
func (t *wtx) expire() error {
	var due []int64
	err := t.query(func(row []driver.Value) error {
		due = append(due, numbers(row)[0])
		return nil
	}, "SELECT id FROM leases WHERE expires <= ? ORDER BY expires, id", int64(t.now))
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := t.end(id); err != nil {
			return err
		}
	}
	return nil
}

// end deletes a lease and what hangs on it.
func (t *wtx) end(id int64) error {
	t.dirty = true
	if _, err := t.exec("DELETE FROM leases WHERE id = ?", id); err != nil {
		return err
	}
	var keys [][]byte
	err := t.query(func(row []driver.Value) error {
		keys = append(keys, blob(row[0]))
		return nil
	}, "SELECT key FROM entries WHERE lease = ? AND lease <> 0 ORDER BY key", id)
	if err != nil {
		return err
	}
	t.n = 0
	for _, key := range keys {
		if err := t.remove(string(key)); err != nil {
			return err
		}
	}
	t.advance()
	return nil
}

// due is when the earliest lease ends, maxTime when there is none.
func due(c *conn) (time.Duration, error) {
	row, err := c.first("SELECT min(expires) FROM leases")
	if err != nil {
		return 0, err
	}
	if n, ok := row[0].(int64); ok {
		return time.Duration(n), nil
	}
	return maxTime, nil
}

// expireDue ends the leases whose time has passed while nobody writes.
func (s *Store) expireDue(ctx context.Context) error {
	return s.write(ctx, func(*wtx) error { return nil })
}
