package storetest

import (
	"fmt"
	"sync"

	"github.com/tenure-go/tenure/store"
)

var revisionChecks = []check{
	{
		"revision/rises",
		"Revisions are one rising sequence for the whole store, above zero; they never go back, not over the deletion of a key.",
		revisionRises,
	},
	{
		"revision/reopened",
		"Revisions never go back, not over a restart.",
		revisionReopened,
	},
	{
		"revision/one-per-transaction",
		"All writes of one transaction carry the same revision, which Result.Revision tells.",
		revisionOnePerTransaction,
	},
	{
		"revision/not-shared",
		"No two transactions share a revision.",
		revisionNotShared,
	},
	{
		"revision/created",
		"Created is the revision of the Put that made the key: kept by later Puts, new after a Delete.",
		revisionCreated,
	},
	{
		"revision/modified",
		"Modified is the revision of the last Put, also of one that put the same value.",
		revisionModified,
	},
}

func revisionRises(e *env) {
	st, other := e.open(), e.open()
	last := store.Revision(0)
	rises := func(what string, rev store.Revision) {
		e.check(rev > last, "%s has revision %d, after %d", what, rev, last)
		last = rev
	}
	rises("first put", e.put(st, "a", "1"))
	rises("overwriting put", e.put(st, "a", "2"))
	rises("put of another key", e.put(st, "b", "1"))
	rises("put through another handle", e.put(other, "c", "1"))
	rises("delete", e.write(st, store.Delete("a")))
	rises("delete of the rest", e.write(st, store.Delete("b")))
	rises("put that makes the key again", e.put(st, "a", "3"))
	l := e.list(st, store.Prefix(""))
	e.check(l.Revision >= last, "a listing has revision %d, after %d", l.Revision, last)
}

func revisionReopened(e *env) {
	raw, st := e.openRaw()
	e.put(st, "a", "1")
	last := e.write(st, store.Delete("a")) // nothing stored bears the last revision
	e.must(raw.Close(), "close")
	raw, st = e.openRaw()
	l := e.list(st, store.Prefix(""))
	e.check(l.Revision >= last, "opened again: a listing has revision %d, after %d", l.Revision, last)
	e.must(raw.Close(), "close")
	st = e.open()
	rev := e.put(st, "a", "1")
	e.check(rev > last, "opened again: a put has revision %d, after %d", rev, last)
}

func revisionOnePerTransaction(e *env) {
	st := e.open()
	e.multiKey(st)
	e.put(st, "old", "1")
	rev := e.write(st, store.Put("old", []byte("2"), store.NoLease), store.Put("mirror", nil, store.NoLease),
		store.Put("third", nil, store.NoLease))
	for _, entry := range e.list(st, store.Prefix("")).Entries {
		e.check(entry.Modified == rev, "%s was modified at %d by a transaction of revision %d",
			entry.Key, entry.Modified, rev)
	}
}

func revisionNotShared(e *env) {
	var mu sync.Mutex
	by := map[store.Revision]string{}
	e.parallel(4, func(i int) {
		st := e.open()
		for n := range 10 {
			name := fmt.Sprintf("%d/%d", i, n)
			rev := e.put(st, name, "1")
			mu.Lock()
			first := by[rev]
			by[rev] = name
			mu.Unlock()
			e.check(first == "", "the puts of %s and %s share revision %d", first, name, rev)
		}
	})
}

func revisionCreated(e *env) {
	st := e.open()
	made := e.put(st, "a", "1")
	e.check(e.get(st, "a").Created == made, "created at %d, want %d", e.get(st, "a").Created, made)
	e.put(st, "a", "2")
	e.check(e.get(st, "a").Created == made, "overwritten: created at %d, want %d", e.get(st, "a").Created, made)
	e.write(st, store.Delete("a"))
	again := e.put(st, "a", "3")
	e.check(e.get(st, "a").Created == again, "made again: created at %d, want %d", e.get(st, "a").Created, again)
}

func revisionModified(e *env) {
	st := e.open()
	for _, value := range []string{"1", "2", "2"} {
		rev := e.put(st, "a", value)
		e.put(st, "b", value) // which must not touch a
		entry := e.get(st, "a")
		e.check(entry.Modified == rev, "put %q: modified at %d, want %d", value, entry.Modified, rev)
		e.check(entry.Created <= entry.Modified, "created at %d, modified at %d", entry.Created, entry.Modified)
	}
}
