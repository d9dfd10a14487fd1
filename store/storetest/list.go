package storetest

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

var listChecks = []check{
	{
		"list/selects",
		"List returns the entries named by Keys and those under any of Prefixes, each once; the zero Query selects nothing, the empty prefix everything.",
		listSelects,
	},
	{"list/sorted", "A Listing is sorted by key, byte by byte.", listSorted},
	{"list/prefix", "A prefix selects the keys that begin with its bytes, whatever bytes those are, and no others.", listPrefix},
	{"list/one-revision", "A Listing is as of one revision, which it tells.", listOneRevision},
}

// wantListed fails the check unless q selects from the keys what it should.
func (e *env) wantListed(st store.Store, keys []string, q store.Query) {
	var want, got []string
	for _, key := range keys {
		if q.Selects(key) {
			want = append(want, key)
		}
	}
	for _, entry := range e.list(st, q).Entries {
		got = append(got, entry.Key)
	}
	slices.Sort(want)
	slices.Sort(got)
	e.check(slices.Equal(got, want), "%q lists %q, want %q", q, got, want)
}

func listSelects(e *env) {
	st := e.open()
	keys := []string{"a/1", "a/2", "b", "b/1", "c", "d/1"}
	for _, key := range keys {
		e.put(st, key, "")
	}
	for _, q := range []store.Query{
		{},
		store.Prefix(""),
		store.Keys("b"),
		store.Keys("c", "a/1"),
		store.Keys("absent"),
		store.Keys("absent", "c", "a"),
		store.Keys("c", "c"),
		store.Prefix("absent"),
		store.Prefix("a/"),
		store.Prefix("d/", "a/"),
		store.Prefix("b", "b/"),
		{Keys: []string{"c", "a/1", "absent"}, Prefixes: []string{"a/", "d/"}},
		{Keys: []string{"c"}, Prefixes: []string{""}},
	} {
		e.wantListed(st, keys, q)
	}
}

func listSorted(e *env) {
	st := e.open()
	for _, key := range []string{"b", "B", "a/2", "a", "a.", "a0", "a/10", "ä", "aa", "\xff", "a/1", "~"} {
		e.put(st, key, "")
	}
	for _, q := range []store.Query{
		store.Prefix(""),
		store.Prefix("b", "a"),
		store.Keys("b", "\xff", "a/2", "B"),
		{Keys: []string{"~", "B", "a"}, Prefixes: []string{"b", "a/"}},
	} {
		var got []string
		for _, entry := range e.list(st, q).Entries {
			got = append(got, entry.Key)
		}
		e.check(slices.IsSorted(got), "%q lists in the order %q", q, got)
	}
}

func listPrefix(e *env) {
	st := e.open()
	keys := []string{
		"a", "a/", "a/b", "a0", "ab", "A/b", "a%", "a%b", "a_", "a_b", "aXb", "a*", "a.b", "a\xff", "a\xff\xff", "b", "\xff", "\xff\xff",
	}
	for _, key := range keys {
		e.put(st, key, "")
	}
	for _, prefix := range []string{"a", "a/", "A", "a%", "a_", "a*", "a.", "a\xff", "a\xff\xff", "\xff", "\xff\xff", "b", "ab", "abc"} {
		e.wantListed(st, keys, store.Prefix(prefix))
	}
}

func listOneRevision(e *env) {
	st := e.open()
	e.multiKey(st)
	write := func(st store.Store, n int) store.Revision {
		value := []byte(strconv.Itoa(n))
		return e.write(st, store.Put("x/1", value, store.NoLease), store.Put("y/1", value, store.NoLease),
			store.Put("z", value, store.NoLease))
	}
	var known store.Revision // acknowledged, guarded by mu
	var mu sync.Mutex
	known = write(st, 0)
	done := make(chan struct{})
	e.parallel(2, func(i int) {
		if i == 0 {
			defer close(done)
			st := e.open()
			for n := range 50 {
				rev := write(st, n)
				mu.Lock()
				known = rev
				mu.Unlock()
			}
			return
		}
		e.readTogether(done, func() store.Revision {
			mu.Lock()
			defer mu.Unlock()
			return known
		})
	})
}

// readTogether lists three keys that are always written together, until done.
func (e *env) readTogether(done <-chan struct{}, known func() store.Revision) {
	st := e.open()
	for {
		before := known()
		l := e.list(st, store.Query{Keys: []string{"z"}, Prefixes: []string{"y/", "x/"}})
		e.check(len(l.Entries) == 3, "a listing has %d of three entries", len(l.Entries))
		e.check(l.Revision >= before, "a listing is as of revision %d, called after %d", l.Revision, before)
		for _, entry := range l.Entries {
			e.check(entry.Modified == l.Entries[0].Modified,
				"one listing has %s as of %d and %s as of %d, which are always written together",
				l.Entries[0].Key, l.Entries[0].Modified, entry.Key, entry.Modified)
			e.check(entry.Modified <= l.Revision, "a listing as of %d has an entry modified at %d", l.Revision, entry.Modified)
		}
		select {
		case <-done:
			return
		case <-time.After(betweenReads):
		}
	}
}
