package sqlitestore

import (
	"context"
	"fmt"
	"io/fs"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenure-go/tenure/store"
)

const (
	applicationID = 0x54656e75 // "Tenu"
	formatVersion = 1
)

// Keys and values are blobs: SQLite then compares keys byte by byte and never
// looks into them. A deletion in the log has created = 0.
const schema = `
CREATE TABLE state (
	id        INTEGER PRIMARY KEY CHECK (id = 1),
	revision  INTEGER NOT NULL, -- of the last write
	compacted INTEGER NOT NULL, -- up to which the log is gone
	lease     INTEGER NOT NULL, -- the last lease id given
	logged    INTEGER NOT NULL, -- bytes of keys and values in the log
	clock     TEXT    NOT NULL, -- by which leases expire
	adoption  INTEGER NOT NULL  -- how often the clock has changed
);
CREATE TABLE leases (
	id      INTEGER PRIMARY KEY,
	ttl     INTEGER NOT NULL,
	expires INTEGER NOT NULL
);
CREATE INDEX leases_expires ON leases (expires);
CREATE TABLE entries (
	key      BLOB PRIMARY KEY,
	value    BLOB    NOT NULL,
	created  INTEGER NOT NULL,
	modified INTEGER NOT NULL,
	lease    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX entries_lease ON entries (lease) WHERE lease <> 0;
CREATE TABLE log (
	revision INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	key      BLOB    NOT NULL,
	value    BLOB    NOT NULL,
	created  INTEGER NOT NULL,
	lease    INTEGER NOT NULL,
	PRIMARY KEY (revision, n)
) WITHOUT ROWID;
`

// prepareFile makes the file ours, refuses one that cannot be, and takes it
// over from another clock. It is the only place that writes without a check
// of the clock.
func (s *Store) prepareFile(ctx context.Context, c *conn) error {
	if err := s.look(ctx, c); err != nil {
		return err
	}
	if err := s.writable(c); err != nil {
		return err
	}
	// The file is made complete in one transaction before its journal mode
	// changes, so that a crash leaves it empty or ours.
	err := s.exclusive(ctx, c, func() error {
		empty, err := s.recognize(c)
		if err == nil && empty {
			err = s.build(c)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.walMode(ctx, c); err != nil {
		return err
	}
	return s.exclusive(ctx, c, func() error { return s.adopt(c) })
}

// exclusive runs fn alone on the file. Before the file has a write-ahead log,
// readers would make a COMMIT fail that did not lock them out.
func (s *Store) exclusive(ctx context.Context, c *conn, fn func() error) error {
	if err := s.begin(ctx, c, "BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	if err := fn(); err != nil {
		c.rollback()
		return s.fail(err)
	}
	return s.finish(c)
}

// look recognizes a file without locking others out. Its reads are one
// transaction: another process may be building the file.
func (s *Store) look(ctx context.Context, c *conn) error {
	return s.persist(ctx, func() error {
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		defer c.rollback()
		_, err := s.recognize(c)
		return err
	})
}

// recognize reports whether the database is empty, and fails when it is
// neither that nor ours.
func (s *Store) recognize(c *conn) (empty bool, err error) {
	var n [3]int64
	for i, sql := range []string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		if n[i], err = c.number(sql); err != nil {
			return false, err
		}
	}
	app, version, tables := n[0], n[1], n[2]
	switch {
	case app == 0 && version == 0 && tables == 0:
		return true, nil
	case app != applicationID:
		return false, fmt.Errorf("%w: sqlite file %s: is the database of another program (application id %#x); choose another path",
			store.ErrInvalid, s.path, app)
	case version > formatVersion:
		return false, fmt.Errorf("%w: sqlite file %s: was written in format %d by a newer version, this one reads format %d; upgrade this program",
			store.ErrUnsupported, s.path, version, formatVersion)
	}
	return false, nil
}

// writable asks SQLite, which opens a file that it may not write for reading
// and does not fail before the first change.
func (s *Store) writable(c *conn) error {
	ro, ok := c.raw.(interface {
		IsReadOnly(schema string) (bool, error)
	})
	if !ok {
		return nil
	}
	readOnly, err := ro.IsReadOnly("main")
	if err == nil && readOnly {
		err = fmt.Errorf("%w: sqlite file %s: %s%w",
			store.ErrUnavailable, s.path, remedy(sqlite3.SQLITE_READONLY), fs.ErrPermission)
	}
	return s.fail(err)
}

func (s *Store) build(c *conn) error {
	if err := c.script(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, formatVersion)); err != nil {
		return err
	}
	if err := c.script(schema); err != nil {
		return err
	}
	_, err := c.exec("INSERT INTO state VALUES (1, 0, 0, 0, 0, ?, 0)", s.clock.id())
	return err
}

func (s *Store) walMode(ctx context.Context, c *conn) error {
	var mode string
	err := s.persist(ctx, func() error {
		row, err := c.first("PRAGMA journal_mode = WAL")
		if err == nil && len(row) == 1 {
			mode, _ = row[0].(string)
		}
		return err
	})
	if err == nil && mode != "wal" {
		err = fmt.Errorf("%w: sqlite file %s: its file system cannot share memory between processes (journal mode %q); use a local disk",
			store.ErrUnsupported, s.path, mode)
	}
	return err
}

// adopt takes a file over that was last used from another boot or host: times
// of that clock mean nothing here, so every lease gets its full TTL again.
// After a restart that costs a wait of one TTL at most, and should the other
// host still live, no lease of its ends early.
func (s *Store) adopt(c *conn) error {
	row, err := c.first("SELECT clock, adoption FROM state")
	if err != nil {
		return err
	}
	if len(row) != 2 {
		return fmt.Errorf("%w: sqlite file %s: is corrupt: its state is missing", store.ErrUnavailable, s.path)
	}
	s.adoption, _ = row[1].(int64)
	if id, _ := row[0].(string); id == s.clock.id() {
		return nil
	}
	s.adoption++
	if _, err := c.exec("UPDATE state SET clock = ?, adoption = ?", s.clock.id(), s.adoption); err != nil {
		return err
	}
	now := int64(s.clock.now())
	_, err = c.exec("UPDATE leases SET expires = ? + min(ttl, ?)", now, maxTime-now)
	return err
}
