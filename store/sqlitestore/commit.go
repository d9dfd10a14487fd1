package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/tenure-go/tenure/store"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if err := tx.Validate(s.Capabilities()); err != nil {
		return store.Result{}, err
	}
	var res store.Result
	err := s.write(ctx, func(t *wtx) error {
		ok, err := t.holds(tx.If)
		if err != nil {
			return err
		}
		if !ok {
			res.Entries, err = t.get(tx.Else)
		} else {
			res.Committed, err = true, t.put(tx.Then)
		}
		res.Revision = store.Revision(t.revision)
		return err
	})
	if err != nil {
		return store.Result{}, err
	}
	return res, nil
}

func (t *wtx) holds(conds []store.Cond) (bool, error) {
	for _, cond := range conds {
		row, err := t.first("SELECT modified FROM entries WHERE key = ?", []byte(cond.Key))
		if err != nil {
			return false, err
		}
		var e *store.Entry
		if row != nil {
			e = &store.Entry{Modified: store.Revision(numbers(row)[0])}
		}
		if !cond.Holds(e) {
			return false, nil
		}
	}
	return true, nil
}

func (t *wtx) get(keys []string) ([]store.Entry, error) {
	var out []store.Entry
	for _, key := range keys {
		err := t.query(func(row []driver.Value) error {
			out = append(out, entry(row))
			return nil
		}, selectEntry, []byte(key))
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// put writes ops at one new revision, if they change anything.
func (t *wtx) put(ops []store.Op) error {
	if err := t.alive(ops); err != nil {
		return err
	}
	t.n = 0
	for _, op := range ops {
		var err error
		if op.Delete {
			err = t.remove(op.Key)
		} else {
			err = t.set(op)
		}
		if err != nil {
			return err
		}
	}
	t.advance()
	return nil
}

// alive fails when a lease that ops name is not there. Dead ones have gone at
// the start of the transaction.
func (t *wtx) alive(ops []store.Op) error {
	known := store.NoLease
	for _, op := range ops {
		if op.Delete || op.Lease == store.NoLease || op.Lease == known {
			continue
		}
		n, err := t.number("SELECT count(*) FROM leases WHERE id = ?", int64(op.Lease))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: lease %d, named for key %q", store.ErrLeaseNotFound, op.Lease, op.Key)
		}
		known = op.Lease
	}
	return nil
}

func (t *wtx) set(op store.Op) error {
	value := op.Value
	if value == nil {
		value = []byte{}
	}
	created, err := t.number("INSERT INTO entries VALUES (?1, ?2, ?3, ?3, ?4) "+
		"ON CONFLICT (key) DO UPDATE SET value = ?2, modified = ?3, lease = ?4 RETURNING created",
		[]byte(op.Key), value, t.revision+1, int64(op.Lease))
	if err != nil {
		return err
	}
	return t.log([]byte(op.Key), value, created, int64(op.Lease))
}

func (t *wtx) remove(key string) error {
	n, err := t.exec("DELETE FROM entries WHERE key = ?", []byte(key))
	if err != nil || n == 0 {
		return err
	}
	return t.log([]byte(key), []byte{}, 0, 0)
}

// log notes a change at the revision that advance will make the present one.
func (t *wtx) log(key, value []byte, created, lease int64) error {
	t.n++
	t.logged += int64(len(key) + len(value))
	_, err := t.exec("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", t.revision+1, t.n, key, value, created, lease)
	return err
}

func (t *wtx) advance() {
	if t.n > 0 {
		t.revision++
		t.n = 0
	}
}
