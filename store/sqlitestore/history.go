package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"strings"

	"github.com/tenure-go/tenure/store"
)

const (
	defaultHistory = 10_000
	// trimEvery is by how many revisions the log may exceed its length, so
	// that most commits delete nothing.
	trimEvery = 256
	// maxLogged bounds the bytes of keys and values in the log, as values may
	// be large.
	maxLogged = 64 << 20

	pageEvents = 1024
	pageBytes  = 4 << 20
)

// Compact drops the history that watches resume from: a watch after an older
// revision than the present one ends with ErrCompacted. The store does it by
// itself for history older than Options.History revisions.
func (s *Store) Compact(ctx context.Context) error {
	return s.write(ctx, func(t *wtx) error { return t.compact(t.revision) })
}

// trim drops old history now and then.
func (s *Store) trim(t *wtx) error {
	cut := t.compacted // nothing
	if t.revision-t.compacted >= s.history+trimEvery {
		cut = t.revision - s.history
	}
	if t.logged > maxLogged {
		heavy, err := t.heaviest(t.logged - maxLogged/2)
		if err != nil {
			return err
		}
		cut = max(cut, heavy)
	}
	return t.compact(cut)
}

// heaviest returns the revision up to which the log holds that many bytes. It
// spares the present revision, which no watch can have seen.
func (t *wtx) heaviest(bytes int64) (int64, error) {
	cut := t.compacted
	err := t.query(func(row []driver.Value) error {
		n := numbers(row)
		if bytes <= 0 || n[0] >= t.revision {
			return io.EOF
		}
		cut = n[0]
		bytes -= n[1]
		return nil
	}, "SELECT revision, length(key) + length(value) FROM log ORDER BY revision, n")
	return cut, err
}

func (t *wtx) compact(upto int64) error {
	if upto <= t.compacted {
		return nil
	}
	n, err := t.number("SELECT sum(length(key) + length(value)) FROM log WHERE revision <= ?", upto)
	if err != nil {
		return err
	}
	t.compacted = upto
	t.logged -= n
	_, err = t.exec("DELETE FROM log WHERE revision <= ?", upto)
	return err
}

// page is a piece of the log: all changes under a prefix, up to a revision.
type page struct {
	changes []store.Changes
	upto    store.Revision
}

// changesAfter reads the log from a revision on. It may stop early, but never
// within a revision.
func changesAfter(c *conn, st state, prefix string, after store.Revision) (page, error) {
	if after < store.Revision(st.compacted) {
		return page{}, fmt.Errorf("%w: history begins after revision %d, asked for %d", store.ErrCompacted, st.compacted, after)
	}
	p := page{upto: store.Revision(st.revision)}
	if after >= p.upto {
		return p, nil
	}
	var events, bytes int
	scan := func(row []driver.Value) error {
		rev, ev := event(row)
		last := len(p.changes) - 1
		if last < 0 || p.changes[last].Revision != rev {
			if events >= pageEvents || bytes >= pageBytes {
				p.upto = p.changes[last].Revision
				return io.EOF
			}
			p.changes = append(p.changes, store.Changes{Revision: rev})
			last++
		}
		p.changes[last].Events = append(p.changes[last].Events, ev)
		events++
		bytes += len(ev.Entry.Value)
		return nil
	}
	const (
		from  = "SELECT revision, key, value, created, lease FROM log WHERE revision > ?1 AND key >= ?2 "
		order = "ORDER BY revision, n"
	)
	if end := successor(prefix); end != "" {
		return p, c.query(scan, from+"AND key < ?3 "+order, int64(after), []byte(prefix), []byte(end))
	}
	return p, c.query(scan, from+order, int64(after), []byte(prefix))
}

func event(row []driver.Value) (store.Revision, store.Event) {
	n := numbers(row)
	rev := store.Revision(n[0])
	e := store.Entry{Key: string(blob(row[1])), Modified: rev}
	if n[3] == 0 {
		return rev, store.Event{Deleted: true, Entry: e}
	}
	e.Value, e.Created, e.Lease = blob(row[2]), store.Revision(n[3]), store.LeaseID(n[4])
	return rev, store.Event{Entry: e}
}

// under returns the part of ch that lies under prefix.
func under(ch store.Changes, prefix string) store.Changes {
	out := store.Changes{Revision: ch.Revision}
	for i, ev := range ch.Events {
		switch match := strings.HasPrefix(ev.Entry.Key, prefix); {
		case match && len(out.Events) == i:
			out.Events = ch.Events[: i+1 : i+1] // shared as long as all match
		case match:
			out.Events = append(out.Events, ev)
		}
	}
	return out
}
