package sqlitestore

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	columns     = "SELECT key, value, created, modified, lease FROM entries "
	selectEntry = columns + "WHERE key = ?"
	selectRange = columns + "WHERE key >= ? AND key < ? ORDER BY key"
	selectFrom  = columns + "WHERE key >= ? ORDER BY key"

	keyBatch = 64

	// listPatience is how long a List waits for the write lock to end leases
	// whose time has passed. If it does not get it, they live on for now,
	// which the contract allows.
	listPatience = 20 * time.Millisecond
)

var selectMany = columns + "WHERE key IN (?" + strings.Repeat(", ?", keyBatch-1) + ")"

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Listing, error) {
	l, stale, err := s.list(ctx, q)
	if err != nil || !stale {
		return l, err
	}
	short, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	if s.expireDue(short) != nil {
		return l, nil // as true as before
	}
	l, _, err = s.list(ctx, q)
	return l, err
}

// list also reports whether there are leases whose time has passed.
func (s *Store) list(ctx context.Context, q store.Query) (l store.Listing, stale bool, err error) {
	keys, prefixes := reduce(q)
	err = s.read(ctx, s.readers, func(c *conn, st state) error {
		l = store.Listing{Revision: store.Revision(st.revision)}
		end, err := due(c)
		if err != nil {
			return err
		}
		stale = end <= s.clock.now()
		l.Entries, err = collect(ctx, c, keys, prefixes)
		return err
	})
	if err != nil {
		return store.Listing{}, false, err
	}
	if len(keys)+len(prefixes) > 1 {
		slices.SortFunc(l.Entries, func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
	}
	return l, stale, nil
}

func collect(ctx context.Context, c *conn, keys, prefixes []string) ([]store.Entry, error) {
	var out []store.Entry
	scan := func(row []driver.Value) error {
		out = append(out, entry(row))
		if len(out)%256 == 0 {
			return ctx.Err()
		}
		return nil
	}
	for _, p := range prefixes {
		var err error
		if end := successor(p); end == "" {
			err = c.query(scan, selectFrom, []byte(p))
		} else {
			err = c.query(scan, selectRange, []byte(p), []byte(end))
		}
		if err != nil {
			return nil, err
		}
	}
	for batch := range slices.Chunk(keys, keyBatch) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := find(c, scan, batch); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// find looks a batch of keys up, many with one statement.
func find(c *conn, scan func([]driver.Value) error, keys []string) error {
	if len(keys) >= keyBatch/4 {
		args := make([]driver.Value, keyBatch)
		for i := range args {
			args[i] = []byte(keys[min(i, len(keys)-1)]) // a key named twice is found once
		}
		return c.query(scan, selectMany, args...)
	}
	for _, key := range keys {
		if err := c.query(scan, selectEntry, []byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// reduce drops what is asked for twice, so that no entry is found twice.
func reduce(q store.Query) (keys, prefixes []string) {
	for _, p := range sorted(q.Prefixes) {
		if n := len(prefixes); n == 0 || !strings.HasPrefix(p, prefixes[n-1]) {
			prefixes = append(prefixes, p)
		}
	}
	for _, key := range sorted(q.Keys) {
		if !covered(prefixes, key) {
			keys = append(keys, key)
		}
	}
	return keys, prefixes
}

// covered reports whether key lies under one of the prefixes, which are sorted
// and none of which begins with another: only the last one up to key can hold it.
func covered(prefixes []string, key string) bool {
	i, found := slices.BinarySearch(prefixes, key)
	return found || i > 0 && strings.HasPrefix(key, prefixes[i-1])
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// successor is the smallest string above all those that begin with prefix,
// empty when there is none.
func successor(prefix string) string {
	for n := len(prefix); n > 0; n-- {
		if last := prefix[n-1]; last < 0xff {
			return prefix[:n-1] + string([]byte{last + 1})
		}
	}
	return ""
}

func entry(row []driver.Value) store.Entry {
	n := numbers(row)
	return store.Entry{
		Key:      string(blob(row[0])),
		Value:    blob(row[1]),
		Created:  store.Revision(n[2]),
		Modified: store.Revision(n[3]),
		Lease:    store.LeaseID(n[4]),
	}
}

// blob gives an empty value back as one that is there.
func blob(v driver.Value) []byte {
	if b, ok := v.([]byte); ok && b != nil {
		return b
	}
	return []byte{}
}
