package storetest

import (
	"bytes"
	"math/rand/v2"

	"github.com/tenure-go/tenure/store"
)

var dataChecks = []check{
	{"data/empty-value", "A key with an empty value exists; it is not an absent one.", dataEmptyValue},
	{"data/binary", "A value is any bytes.", dataBinary},
	{"data/large", "A value of 64 KiB, or of MaxValue where that is less, comes back as it was.", dataLarge},
	{"data/awkward-keys", "A key is any bytes but NUL, compared byte by byte.", dataAwkwardKeys},
	{"data/lease", "An entry carries the lease of its last Put, or NoLease.", dataLease},
}

// wantEverywhere fails the check unless List, Else and Watch return value under
// key, which was put at rev.
func (e *env) wantEverywhere(st store.Store, key string, value []byte, lease store.LeaseID, rev store.Revision) {
	res := e.commit(st, store.Tx{If: []store.Cond{store.Absent(key)}, Else: []string{key}})
	e.check(!res.Committed, "key %q: Absent holds", key)
	found := map[string]*store.Entry{"List by key": e.get(st, key), "Else": res.Entry(key)}
	l := e.list(st, store.Prefix(key))
	found["List by prefix"] = l.Entry(key)
	for _, ev := range e.watch(st, key, rev-1).events(rev) {
		if ev.Entry.Key == key {
			e.check(!ev.Deleted, "key %q: a watch reports the put as a delete", key)
			found["Watch"] = &ev.Entry
		}
	}
	e.check(found["Watch"] != nil, "key %q: not in a watch", key)
	for by, entry := range found {
		e.check(entry != nil, "key %q: absent by %s", key, by)
		e.check(bytes.Equal(entry.Value, value), "key %q: value of %d bytes by %s is not what was put", key, len(entry.Value), by)
		e.check(entry.Lease == lease, "key %q: lease %d by %s, want %d", key, entry.Lease, by, lease)
		e.check(entry.Modified == rev, "key %q: modified at %d by %s, want %d", key, entry.Modified, by, rev)
		e.check(0 < entry.Created && entry.Created <= rev, "key %q: created at %d by %s", key, entry.Created, by)
	}
}

func dataEmptyValue(e *env) {
	e.keepHistory()
	st := e.open()
	for key, value := range map[string][]byte{"nil": nil, "empty": {}} {
		rev := e.write(st, store.Put(key, value, store.NoLease))
		e.wantEverywhere(st, key, nil, store.NoLease, rev)
		rev = e.put(st, key, "full")
		e.wantEverywhere(st, key, []byte("full"), store.NoLease, rev)
		rev = e.write(st, store.Put(key, value, store.NoLease))
		e.wantEverywhere(st, key, nil, store.NoLease, rev)
	}
}

func dataBinary(e *env) {
	e.keepHistory()
	st := e.open()
	value := make([]byte, 256)
	for i := range value {
		value[i] = byte(i)
	}
	for key, value := range map[string][]byte{"all": value, "nul": {0}, "tail": {'a', 0, 0}, "not utf-8": {0xff, 0xfe}} {
		rev := e.write(st, store.Put(key, value, store.NoLease))
		e.wantEverywhere(st, key, value, store.NoLease, rev)
	}
}

func dataLarge(e *env) {
	e.keepHistory()
	st := e.open()
	size := 64 << 10
	if limit := st.Capabilities().MaxValue; limit > 0 {
		size = min(size, limit)
	}
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	rev := e.write(st, store.Put("a", value, store.NoLease))
	e.wantEverywhere(st, "a", value, store.NoLease, rev)
}

// awkwardKeys are what a driver may have to quote, to escape or to fold.
var awkwardKeys = []string{
	"%", "%2F", "_", "*", "?", "[a]", "{a}", "(a|b)", "^a$", ".", "..", "../a", "./a", "a//b", "a/", "a", "A", "/",
	"-", "--help", " ", " a ", "a\nb", "a\r\n", "a\tb", `a\b`, `a"b`, "a'b", "a''; --", "a`b", "a;b", "a,b", "a:b", "a=b",
	"a&b", "a#b", "a@b", "a!b", "a~b", "a$b", "é", "e\u0301", "日本", "🗳", "\u2028", "\x01", "\x7f", "\x80", "\xff", "\xff\xff",
}

func dataAwkwardKeys(e *env) {
	e.keepHistory()
	st := e.open()
	revs := map[string]store.Revision{}
	for _, key := range awkwardKeys {
		revs[key] = e.put(st, key, "value of "+key)
	}
	for _, key := range awkwardKeys {
		e.wantEverywhere(st, key, []byte("value of "+key), store.NoLease, revs[key])
	}
	e.check(len(e.list(st, store.Prefix("")).Entries) == len(awkwardKeys), "two different keys became one")
	for i, key := range awkwardKeys {
		e.write(st, store.Delete(key))
		left := len(e.list(st, store.Prefix("")).Entries)
		e.check(left == len(awkwardKeys)-i-1, "%d keys left after the delete of %q, want %d", left, key, len(awkwardKeys)-i-1)
	}
}

func dataLease(e *env) {
	e.keepHistory()
	st := e.open()
	one, two := e.grant(st, longTTL), e.grant(st, longTTL)
	for _, lease := range []store.LeaseID{one.ID, two.ID, store.NoLease, one.ID} {
		rev := e.write(st, store.Put("a", []byte("1"), lease))
		e.wantEverywhere(st, "a", []byte("1"), lease, rev)
	}
}
