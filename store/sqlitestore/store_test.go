package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

func TestKeysAreBytes(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	keys := []string{"\x01", "%", "'\"\n", "*?[", "A", "a", "a\xff", "a\xff\xff", "b", "ä", "\xff", "\xfe", "\xfe\xff", "\ufffd", "\xff\xfe", "\xff\xff", strings.Repeat("k", store.MaxKey)}
	slices.Sort(keys)
	for _, key := range keys {
		put(t, s, key, key, store.NoLease)
	}
	for _, q := range []store.Query{
		store.Prefix(""), store.Prefix("a"), store.Prefix("a\xff"), store.Prefix("\xff"), store.Prefix("%"), store.Prefix("\xff\xff"),
		store.Prefix("\xfe"), store.Prefix("\xff\xfe"), store.Prefix("\ufffd"), store.Prefix("\xff\xff\xff"),
		store.Prefix("a", "a\xff", "b", "k"), store.Keys(keys...), store.Keys("a", "a", "none", ""),
		{Keys: []string{"a", "b", "ä"}, Prefixes: []string{"a", "B", "\xff"}}, {},
	} {
		var got, want []string
		for _, e := range list(t, s, q).Entries {
			if string(e.Value) != e.Key {
				t.Errorf("%q holds %q", e.Key, e.Value)
			}
			got = append(got, e.Key)
		}
		for _, key := range keys {
			if q.Selects(key) {
				want = append(want, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q selects %q, want %q", q, got, want)
		}
	}
}

func TestListOfManyKeys(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	keys := fill(t, s, 1000)
	for _, n := range []int{1, keyBatch/4 - 1, keyBatch / 4, keyBatch, keyBatch + 1, 1000} {
		asked := append([]string{"none", "zzz"}, keys[:n]...)
		l := list(t, s, store.Keys(asked...))
		if len(l.Entries) != n || l.Entries[0].Key != keys[0] || l.Entries[n-1].Key != keys[n-1] {
			t.Errorf("%d keys gave %d entries", n, len(l.Entries))
		}
	}
}

// A call that waits for another process ends with its context, and without
// effect.
func TestLockedFileHeedsContext(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s, other := f.open(t, Options{}), f.open(t, Options{})
	c := <-other.writer
	defer func() { other.writer <- c }()
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Commit(ctx, store.Tx{Then: []store.Op{store.Put("k", nil, store.NoLease)}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	list(t, s, store.Prefix("")) // readers wait for nobody
	opening, cancelOpen := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelOpen()
	if _, err := Open(opening, string(f), Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open: %v", err)
	}
	c.rollback()
	put(t, s, "other", "", store.NoLease)
	if l := list(t, s, store.Prefix("")); len(l.Entries) != 1 || l.Revision != 1 {
		t.Errorf("the transaction took effect later: %+v", l)
	}
}

// List ends leases whose time has passed, but does not wait for long to do so.
func TestListOfLockedFile(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	clk := newFakeClock("here", 0)
	s, other := f.open(t, Options{clock: clk}), f.open(t, Options{clock: clk})
	put(t, s, "k", "", grant(t, s, time.Second))
	clk.advance(time.Hour)
	c := <-other.writer
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if l := list(t, s, store.Prefix("")); len(l.Entries) != 1 || l.Revision != 1 {
		t.Errorf("got %+v", l)
	}
	c.rollback()
	other.writer <- c
	if l := list(t, s, store.Prefix("")); len(l.Entries) != 0 || l.Revision != 2 {
		t.Errorf("got %+v", l)
	}
}

// A transaction that fails half way leaves nothing behind.
func TestFailedStatementUndoesAll(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	fillUp := func() error {
		for i := range 1000 {
			_, err := s.Commit(t.Context(), store.Tx{Then: []store.Op{
				store.Put("small", fmt.Append(nil, i), store.NoLease),
				store.Put(fmt.Sprintf("large/%d", i), make([]byte, 100_000), store.NoLease),
			}})
			if err != nil {
				return err
			}
		}
		return nil
	}
	c := <-s.writer
	if _, err := c.number("PRAGMA max_page_count = 200"); err != nil {
		t.Fatal(err)
	}
	s.writer <- c
	full(t, s, fillUp())
	c = <-s.writer
	if _, err := c.number("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	s.writer <- c
	put(t, s, "room", "", store.NoLease)
}

// full checks a store whose disk has no room.
func full(t *testing.T, s *Store, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full; make room") || !strings.Contains(err.Error(), s.path) {
		t.Fatalf("got %v", err)
	}
	l := list(t, s, store.Prefix(""))
	if n := len(l.Entries); n < 2 || l.Revision != store.Revision(n-1) || string(l.Entry("small").Value) != fmt.Sprint(n-2) {
		t.Errorf("half written: %d entries, the last is %s, revision %d", n, l.Entry("small").Value, l.Revision)
	}
	intact(t, s)
}
