package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// onList breaks what comes out of a list.
func onList(f func(l *store.Listing)) func() func(*broken) {
	return each(func(b *broken) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			f(&l)
			return l, err
		}
	})
}

// onEntry breaks each entry that comes out of a list.
func onEntry(f func(e *store.Entry)) func() func(*broken) {
	return onList(func(l *store.Listing) {
		for i := range l.Entries {
			f(&l.Entries[i])
		}
	})
}

// onValue breaks each value that is put.
func onValue(f func(value []byte) []byte) func() func(*broken) {
	return onCommit(func(tx store.Tx) store.Tx {
		tx.Then = slices.Clone(tx.Then)
		for i := range tx.Then {
			tx.Then[i].Value = f(tx.Then[i].Value)
		}
		return tx
	})
}

// onError breaks the error of a commit.
func onError(f func(tx store.Tx, err error) error) func() func(*broken) {
	return each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			return res, f(tx, err)
		}
	})
}

// claims changes what the store says of itself.
func claims(f func(c *store.Capabilities)) func() func(*broken) {
	return each(func(b *broken) {
		b.capabilities = func() store.Capabilities {
			c := b.Store.Capabilities()
			f(&c)
			return c
		}
	})
}

// inParts lists each part of a query by itself.
func inParts(b *broken) {
	b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
		l, err := b.Store.List(ctx, store.Keys(q.Keys...))
		for _, p := range q.Prefixes {
			time.Sleep(time.Millisecond)
			part, partErr := b.Store.List(ctx, store.Prefix(p))
			l.Entries = append(l.Entries, part.Entries...)
			err = errors.Join(err, partErr)
		}
		return l, err
	}
}

// createdForever remembers when a key was first made, over its deletion.
func createdForever() func(*broken) {
	var mu sync.Mutex
	made := map[string]store.Revision{}
	return func(b *broken) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			for i, e := range l.Entries {
				if made[e.Key] == 0 {
					made[e.Key] = e.Created
				}
				l.Entries[i].Created = made[e.Key]
			}
			return l, err
		}
	}
}

// cached answers from the last listing of the same query for a while.
func cached(b *broken) {
	type answer struct {
		l  store.Listing
		at time.Time
	}
	var mu sync.Mutex
	cache := map[string]answer{}
	b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprintf("%q", q)
		if a, ok := cache[key]; ok && time.Since(a.at) < time.Second {
			return a.l, nil
		}
		l, err := b.Store.List(ctx, q)
		cache[key] = answer{l, time.Now()}
		return l, err
	}
}

// folded takes upper for lower case.
func folded(b *broken) {
	fold := func(key string) string {
		scratch, rest, _ := strings.Cut(key, "/")
		return scratch + "/" + strings.ToLower(rest)
	}
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		tx = store.Tx{If: slices.Clone(tx.If), Then: slices.Clone(tx.Then), Else: slices.Clone(tx.Else)}
		for i := range tx.If {
			tx.If[i].Key = fold(tx.If[i].Key)
		}
		for i := range tx.Then {
			tx.Then[i].Key = fold(tx.Then[i].Key)
		}
		return b.Store.Commit(ctx, tx)
	}
	b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
		q = store.Query{Keys: slices.Clone(q.Keys), Prefixes: q.Prefixes}
		for i := range q.Keys {
			q.Keys[i] = fold(q.Keys[i])
		}
		return b.Store.List(ctx, q)
	}
}

func longest(tx store.Tx) (key, value int) {
	for _, c := range tx.If {
		key = max(key, len(c.Key))
	}
	for _, op := range tx.Then {
		key, value = max(key, len(op.Key)), max(value, len(op.Value))
	}
	for _, k := range tx.Else {
		key = max(key, len(k))
	}
	return key, value
}

var dataFlaws = []flaw{
	{"Created is Modified", "revision/created", onEntry(func(e *store.Entry) { e.Created = e.Modified })},
	{"Created is for ever", "revision/created", createdForever},
	{"invalid is accepted", "valid/rules", onError(func(_ store.Tx, err error) error {
		if errors.Is(err, store.ErrInvalid) {
			return nil
		}
		return err
	})},
	{"invalid has an effect", "valid/rules", each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if errors.Is(err, store.ErrInvalid) {
				_, _ = b.Store.Commit(ctx, store.Tx{Then: tx.Then[:1]})
			}
			return res, err
		}
	})},
	{"too long a key is accepted", "valid/long-key", onError(func(tx store.Tx, err error) error {
		if key, _ := longest(tx); key > store.MaxKey {
			return nil
		}
		return err
	})},
	{"keys are short", "valid/long-key", onError(func(tx store.Tx, err error) error {
		if key, _ := longest(tx); key > store.MaxKey/2 {
			return store.ErrTooLarge
		}
		return err
	})},
	{"MaxValue is not kept", "valid/value-limit", claims(func(c *store.Capabilities) { c.MaxValue = 100 })},
	{"MaxValue is not told", "valid/value-limit", onError(func(tx store.Tx, err error) error {
		if _, value := longest(tx); value > 1<<19 {
			return store.ErrTooLarge
		}
		return err
	})},
	{"MaxOps is not kept", "valid/ops-limit", claims(func(c *store.Capabilities) { c.MaxOps = 20 })},
	{"MaxOps is not told", "valid/ops-limit", onError(func(tx store.Tx, err error) error {
		if max(len(tx.If), len(tx.Then), len(tx.Else)) > 128 {
			return store.ErrTooLarge
		}
		return err
	})},
	{"no name", "valid/capabilities", claims(func(c *store.Capabilities) { c.Name = "" })},
	{"capabilities change", "valid/capabilities", func() func(*broken) {
		var handles int
		return func(b *broken) {
			handles++
			n := handles
			b.capabilities = func() store.Capabilities {
				c := b.Store.Capabilities()
				c.MaxOps = 1000 + n
				return c
			}
		}
	}},
	{"empty is absent", "data/empty-value", onList(func(l *store.Listing) {
		l.Entries = slices.DeleteFunc(l.Entries, func(e store.Entry) bool { return len(e.Value) == 0 })
	})},
	{"values end at NUL", "data/binary", onValue(func(value []byte) []byte {
		value, _, _ = bytes.Cut(value, []byte{0})
		return value
	})},
	{"values are text", "data/binary", onValue(func(value []byte) []byte {
		return []byte(strings.ToValidUTF8(string(value), "?"))
	})},
	{"values are cut", "data/large", onValue(func(value []byte) []byte { return value[:min(len(value), 1<<15)] })},
	{"keys are folded", "data/awkward-keys", each(folded)},
	{"leases are not told", "data/lease", onEntry(func(e *store.Entry) { e.Lease = store.NoLease })},
	{"listings are not sorted", "list/sorted", onList(func(l *store.Listing) { slices.Reverse(l.Entries) })},
	{"listed twice", "list/selects", each(inParts)},
	{"listed in parts", "list/one-revision", each(func(b *broken) {
		inParts(b)
		oneCommit := b.commit
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			time.Sleep(100 * time.Microsecond) // so that the reader is in between
			return oneCommit(ctx, tx)
		}
	})},
	{"prefixes end too late", "list/prefix", each(func(b *broken) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			for _, p := range q.Prefixes {
				next := []byte(p)
				next[len(next)-1]++
				q.Keys = append(slices.Clone(q.Keys), string(next))
			}
			return b.Store.List(ctx, q)
		}
	})},
	{"listings are cached", "commit/linearizable", each(cached)},
	{"listings lag", "list/one-revision", onList(func(l *store.Listing) { l.Revision -= 2 })},
	{"listings run ahead", "watch/from-listing", each(func(b *broken) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			l.Revision++
			return l, err
		}
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			time.Sleep(time.Millisecond)
			return b.Store.Commit(ctx, tx)
		}
	})},
}
