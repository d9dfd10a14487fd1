package storetest

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/store"
)

var commitChecks = []check{
	{"commit/refused", "When a condition does not hold, nothing of Then takes effect.", commitRefused},
	{"commit/else", "A refused Result carries those keys of Else that exist, as they are.", commitElse},
	{"commit/else-unread", "Else is read only when the transaction is refused.", commitElseUnread},
	{
		"commit/unchanged",
		"A committed transaction that changed nothing carries the present revision; removing an absent key does nothing.",
		commitUnchanged,
	},
	{"commit/one-winner", "Of transactions with one guard that are sent at the same time, one takes effect.", commitOneWinner},
	{"commit/atomic", "All of Then takes effect at one revision: no reader sees a part of it.", commitAtomic},
	{
		"commit/linearizable",
		"Commit and List are linearizable: each sees every commit acknowledged before it was called, through any handle.",
		commitLinearizable,
	},
}

func commitRefused(e *env) {
	st := e.open()
	e.multiKey(st)
	lease := e.grant(st, longTTL)
	kept, moved := e.put(st, "kept", "1"), e.put(st, "moved", "1")
	res := e.commit(st, store.Tx{
		If: []store.Cond{store.Exists("kept"), store.Exists("absent")},
		Then: []store.Op{
			store.Put("new", nil, store.NoLease),
			store.Delete("kept"),
			store.Put("moved", []byte("2"), lease.ID),
		},
	})
	e.check(!res.Committed, "committed")
	e.check(res.Revision >= moved, "refused at revision %d, after %d", res.Revision, moved)
	e.wantAbsent(st, "new", "refused put")
	e.wantValue(st, "kept", "1", "refused delete")
	e.wantValue(st, "moved", "1", "refused overwrite")
	e.check(e.get(st, "kept").Modified == kept, "the refused transaction changed the revision of a key")
	e.check(e.get(st, "moved").Lease == store.NoLease, "the refused transaction moved a key to a lease")
}

func commitElse(e *env) {
	st := e.open()
	e.multiKey(st)
	lease := e.grant(st, longTTL)
	e.put(st, "a", "1")
	rev := e.write(st, store.Put("b", []byte("2"), lease.ID))
	res := e.commit(st, store.Tx{
		If:   []store.Cond{store.Exists("absent")},
		Else: []string{"b", "absent", "a"},
	})
	e.check(!res.Committed, "committed")
	e.check(len(res.Entries) == 2, "Else read %d entries of two keys that exist and one that does not", len(res.Entries))
	a, b := res.Entry("a"), res.Entry("b")
	e.check(a != nil && string(a.Value) == "1", "Else read a as %+v", a)
	e.check(b != nil && string(b.Value) == "2" && b.Modified == rev && b.Created == rev && b.Lease == lease.ID,
		"Else read b as %+v, want value 2, revision %d, lease %d", b, rev, lease.ID)
	e.check(res.Revision >= rev, "Else was read at revision %d, after %d", res.Revision, rev)
}

func commitElseUnread(e *env) {
	st := e.open()
	e.put(st, "a", "1")
	res := e.commit(st, store.Tx{
		If:   []store.Cond{store.Exists("a")},
		Then: []store.Op{store.Put("a", []byte("2"), store.NoLease)},
		Else: []string{"a"},
	})
	e.check(res.Committed, "refused")
	e.check(len(res.Entries) == 0, "a committed transaction carries entries: %+v", res.Entries)
}

func commitUnchanged(e *env) {
	st := e.open()
	rev := e.put(st, "a", "1")
	for what, tx := range map[string]store.Tx{
		"delete of an absent key": {Then: []store.Op{store.Delete("absent")}},
		"condition without write": {If: []store.Cond{store.Exists("a")}},
		"empty transaction":       {},
	} {
		res := e.commit(st, tx)
		e.check(res.Committed, "%s: refused", what)
		e.check(res.Revision >= rev, "%s: revision %d, after %d", what, res.Revision, rev)
		now := e.list(st, store.Keys("a")).Revision
		e.check(res.Revision <= now, "%s: revision %d, but a later listing has %d", what, res.Revision, now)
	}
	e.wantAbsent(st, "absent", "deleted")
	e.check(e.get(st, "a").Modified == rev, "a transaction that changed nothing changed a key")
}

func commitOneWinner(e *env) {
	const writers, rounds = 6, 5
	handles := []store.Store{e.open(), e.open(), e.open()}
	guard := store.Absent("seat")
	for range rounds {
		var winners atomic.Int32
		var rev store.Revision
		e.parallel(writers, func(i int) {
			res := e.commit(handles[i%len(handles)], store.Tx{
				If:   []store.Cond{guard},
				Then: []store.Op{store.Put("seat", []byte(strconv.Itoa(i)), store.NoLease)},
			})
			if res.Committed && winners.Add(1) == 1 {
				rev = res.Revision
			}
		})
		e.check(winners.Load() == 1, "%d of %d transactions with the guard %+v took effect", winners.Load(), writers, guard)
		guard = store.ModifiedAt("seat", rev)
	}
}

// commitAtomic moves amounts between accounts while others read the sum.
func commitAtomic(e *env) {
	st := e.open()
	e.multiKey(st)
	keys := []string{"account/a", "account/b", "account/c"}
	const each, transfers = 100, 8
	for _, key := range keys {
		e.put(st, key, strconv.Itoa(each))
	}
	done := make(chan struct{})
	var movers sync.WaitGroup
	movers.Add(len(keys))
	go func() {
		movers.Wait()
		close(done)
	}()
	e.parallel(len(keys)+1, func(i int) {
		if i == len(keys) {
			e.readSums(done, each*len(keys))
			return
		}
		defer movers.Done()
		st := e.open()
		for range transfers {
			for !e.transfer(st, keys[i], keys[(i+1)%len(keys)]) {
				e.must(e.ctx.Err(), "transfer")
			}
		}
	})
}

// transfer moves one unit and reports whether nobody came in between.
func (e *env) transfer(st store.Store, from, to string) bool {
	l := e.list(st, store.Keys(from, to))
	tx := store.Tx{}
	for key, delta := range map[string]int{from: -1, to: 1} {
		entry := l.Entry(key)
		e.check(entry != nil, "account %s is gone", key)
		tx.If = append(tx.If, store.ModifiedAt(key, entry.Modified))
		tx.Then = append(tx.Then, store.Put(key, []byte(strconv.Itoa(e.amount(entry)+delta)), store.NoLease))
	}
	return e.commit(st, tx).Committed
}

func (e *env) amount(entry *store.Entry) int {
	n, err := strconv.Atoi(string(entry.Value))
	e.must(err, "value of %s", entry.Key)
	return n
}

// betweenReads lets writers in, also where no call ever waits.
const betweenReads = 100 * time.Microsecond

// readSums reads all accounts, until done and once more.
func (e *env) readSums(done <-chan struct{}, want int) {
	st := e.open()
	for last := false; ; {
		sum := 0
		for _, entry := range e.list(st, store.Prefix("account/")).Entries {
			sum += e.amount(&entry)
		}
		e.check(sum == want, "a reader saw a sum of %d, want %d", sum, want)
		if last {
			return
		}
		select {
		case <-done:
			last = true
		case <-time.After(betweenReads):
		}
	}
}

func commitLinearizable(e *env) {
	writer, reader := e.open(), e.open()
	for n := range 10 {
		value := strconv.Itoa(n)
		rev := e.put(writer, "a", value)
		l := e.list(reader, store.Keys("a"))
		entry := l.Entry("a")
		e.check(entry != nil && string(entry.Value) == value && entry.Modified == rev && l.Revision >= rev,
			"a listing at revision %d through another handle saw %+v, want value %s at %d", l.Revision, entry, value, rev)
		res := e.commit(reader, store.Tx{If: []store.Cond{store.Absent("a")}, Else: []string{"a"}})
		entry = res.Entry("a")
		e.check(entry != nil && entry.Modified == rev && res.Revision >= rev,
			"a transaction refused at revision %d through another handle read %+v, want it at %d", res.Revision, entry, rev)
		res = e.commit(reader, store.Tx{If: []store.Cond{store.ModifiedAt("a", rev)}})
		e.check(res.Committed, "a condition through another handle did not hold")
		e.write(writer, store.Delete("a"))
		e.wantAbsent(reader, "a", "deleted through another handle")
	}
}
