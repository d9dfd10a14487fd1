package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	pauseMin = 200 * time.Microsecond
	pauseMax = 5 * time.Millisecond

	// maxTime is the largest time a clock can show.
	maxTime = math.MaxInt64
)

// state is the one row that every transaction begins with.
type state struct {
	revision, compacted, lease, logged int64
}

// persist runs try until it no longer fails because another process is in the
// way. SQLite's own waiting knows no context and sleeps in coarse steps.
func (s *Store) persist(ctx context.Context, try func() error) error {
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		if err := s.open(ctx); err != nil {
			return err
		}
		if err := try(); !busy(err) {
			return s.fail(err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.done:
		}
		timer.Stop()
	}
}

// open says why a call must not go on.
func (s *Store) open(ctx context.Context) error {
	select {
	case <-s.done:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// take waits for a connection of the pool. Close takes all of them for good.
func (s *Store) take(ctx context.Context, pool chan *conn) (*conn, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	select {
	case c := <-pool:
		return c, nil
	case <-s.done:
		return nil, store.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin takes the write lock. From then on the context no longer counts: the
// rest is short, and a COMMIT cut off would be unknown.
func (s *Store) begin(ctx context.Context, c *conn, sql string) error {
	return s.persist(ctx, func() error {
		_, err := c.exec(sql)
		return err
	})
}

// finish commits. When that fails nobody knows the outcome.
func (s *Store) finish(c *conn) error {
	if _, err := c.exec("COMMIT"); err != nil {
		c.rollback()
		return s.fail(err)
	}
	return nil
}

// load reads the state within a transaction and makes sure that the file is
// still the one that was opened, under the clock it was opened under.
func (s *Store) load(c *conn) (state, error) {
	if err := s.inPlace(); err != nil {
		return state{}, err
	}
	row, err := c.first("SELECT revision, compacted, lease, logged, adoption FROM state")
	if err != nil {
		return state{}, err
	}
	n := numbers(row)
	if len(n) != 5 {
		return state{}, fmt.Errorf("%w: sqlite file %s: is corrupt: its state is missing", store.ErrUnavailable, s.path)
	}
	if n[4] != s.adoption {
		return state{}, fmt.Errorf("%w: sqlite file %s: is now used from another host or boot, whose clock its leases follow; "+
			"keep one host to a file, or open it again", store.ErrUnavailable, s.path)
	}
	return state{revision: n[0], compacted: n[1], lease: n[2], logged: n[3]}, nil
}

// read runs fn in a read transaction, on one snapshot of the file. fn may run
// again from the start when another process was in the way.
func (s *Store) read(ctx context.Context, pool chan *conn, fn func(c *conn, st state) error) error {
	c, err := s.take(ctx, pool)
	if err != nil {
		return err
	}
	defer func() { pool <- c }()
	return s.persist(ctx, func() error {
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		defer c.rollback()
		st, err := s.load(c)
		if err != nil {
			return err
		}
		return fn(c, st)
	})
}

// wtx is a write transaction.
type wtx struct {
	*conn
	state
	now   time.Duration // read under the lock: after every request in it was sent
	dirty bool
	n     int64 // changes logged at the present revision
}

// write runs fn in a write transaction from which leases that have run out are
// gone already, so that no condition sees what hung on them. An error of fn
// leaves everything as it was.
func (s *Store) write(ctx context.Context, fn func(t *wtx) error) error {
	c, err := s.take(ctx, s.writer)
	if err != nil {
		return err
	}
	defer func() { s.writer <- c }()
	if err := s.begin(ctx, c, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	t := &wtx{conn: c}
	before, err := s.apply(t, fn)
	if err != nil || !t.dirty {
		c.rollback()
		return s.fail(err)
	}
	if err := s.finish(c); err != nil {
		return err
	}
	if t.revision != before.revision {
		s.announce()
	}
	return nil
}

func (s *Store) apply(t *wtx, fn func(t *wtx) error) (before state, err error) {
	if before, err = s.load(t.conn); err != nil {
		return before, err
	}
	t.state, t.now = before, s.clock.now()
	if err := t.expire(); err != nil {
		return before, err
	}
	if err := fn(t); err != nil {
		return before, err
	}
	if t.state == before {
		return before, nil
	}
	if err := s.trim(t); err != nil {
		return before, err
	}
	t.dirty = true
	_, err = t.exec("UPDATE state SET revision = ?, compacted = ?, lease = ?, logged = ?",
		t.revision, t.compacted, t.lease, t.logged)
	return before, err
}

func numbers(row []driver.Value) []int64 {
	out := make([]int64, len(row))
	for i, v := range row {
		out[i], _ = v.(int64)
	}
	return out
}
