package storetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// onCommit breaks what goes into a commit.
func onCommit(f func(tx store.Tx) store.Tx) func() func(*broken) {
	return each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) { return b.Store.Commit(ctx, f(tx)) }
	})
}

// onResult breaks what comes out of a commit that was answered.
func onResult(f func(b *broken, tx store.Tx, res *store.Result)) func() func(*broken) {
	return each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if err == nil {
				f(b, tx, &res)
			}
			return res, err
		}
	})
}

// without drops the conditions of one kind.
func without(kind store.CondKind) func(tx store.Tx) store.Tx {
	return func(tx store.Tx) store.Tx {
		tx.If = slices.DeleteFunc(slices.Clone(tx.If), func(c store.Cond) bool { return c.Kind == kind })
		return tx
	}
}

// never makes the conditions of one kind hold never.
func never(kind store.CondKind) func(tx store.Tx) store.Tx {
	return func(tx store.Tx) store.Tx {
		for _, c := range tx.If {
			if c.Kind == kind {
				tx.If = []store.Cond{store.Absent("never"), store.Exists("never")}
			}
		}
		return tx
	}
}

// oneByOne writes each of Then in a commit of its own.
func oneByOne(b *broken) {
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		if err := tx.Validate(b.Capabilities()); err != nil || len(tx.Then) < 2 {
			res, inner := b.Store.Commit(ctx, tx)
			return res, errors.Join(err, inner)
		}
		first := tx
		first.Then = tx.Then[:1]
		res, err := b.Store.Commit(ctx, first)
		for _, op := range tx.Then[1:] {
			if err != nil || !res.Committed {
				break
			}
			time.Sleep(time.Millisecond)
			res, err = b.Store.Commit(ctx, store.Tx{Then: []store.Op{op}})
		}
		return res, err
	}
}

// checkThenWrite looks at the conditions first, and writes later.
func checkThenWrite(b *broken) {
	b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
		check := tx
		check.Then = nil
		res, err := b.Store.Commit(ctx, check)
		if err != nil || !res.Committed || len(tx.Then) == 0 {
			return res, err
		}
		time.Sleep(time.Millisecond)
		return b.Store.Commit(ctx, store.Tx{Then: tx.Then})
	}
}

// countFromReopening numbers revisions from the last time nobody had it open.
func countFromReopening() func(*broken) {
	var mu sync.Mutex
	var open int
	var from, last store.Revision
	return func(b *broken) {
		mu.Lock()
		defer mu.Unlock()
		if open++; open == 1 {
			from = last
		}
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			mu.Lock()
			defer mu.Unlock()
			last = max(last, res.Revision)
			res.Revision -= from
			return res, err
		}
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			l.Revision -= from
			return l, err
		}
		b.close = sync.OnceValue(func() error {
			mu.Lock()
			defer mu.Unlock()
			open--
			return b.Store.Close()
		})
	}
}

var commitFlaws = []flaw{
	{"revisions go back with each delete", "revision/rises", func() func(*broken) {
		var mu sync.Mutex
		var back store.Revision
		return func(b *broken) {
			b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
				res, err := b.Store.Commit(ctx, tx)
				mu.Lock()
				defer mu.Unlock()
				if len(tx.Then) > 0 && tx.Then[0].Delete {
					back += 2
				}
				res.Revision -= back
				return res, err
			}
		}
	}},
	{"revisions begin anew", "revision/reopened", countFromReopening},
	{"one by one", "revision/one-per-transaction commit/atomic list/one-revision watch/together", each(oneByOne)},
	{"revisions are rounded", "revision/not-shared", onResult(func(_ *broken, _ store.Tx, res *store.Result) {
		res.Revision &^= 1
	})},
	{"the same value is not put", "revision/modified", each(func(b *broken) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			var changes []store.Op
			for _, op := range tx.Then {
				l, err := b.Store.List(ctx, store.Keys(op.Key))
				if err != nil {
					return store.Result{}, err
				}
				if e := l.Entry(op.Key); op.Delete || e == nil || string(e.Value) != string(op.Value) {
					changes = append(changes, op)
				}
			}
			tx.Then = changes
			return b.Store.Commit(ctx, tx)
		}
	})},
	{"Absent is not looked at", "condition/absent", onCommit(without(store.CondAbsent))},
	{"Exists is not looked at", "condition/exists commit/refused", onCommit(without(store.CondExists))},
	{"ModifiedAt is not looked at", "condition/modified-at", onCommit(without(store.CondModifiedAt))},
	{"Absent never holds", "condition/absent", onCommit(never(store.CondAbsent))},
	{"Exists never holds", "condition/exists", onCommit(never(store.CondExists))},
	{"ModifiedAt never holds", "condition/modified-at", onCommit(never(store.CondModifiedAt))},
	{"ModifiedAt is Exists", "condition/modified-at commit/one-winner", onCommit(func(tx store.Tx) store.Tx {
		tx.If = slices.Clone(tx.If)
		for i, c := range tx.If {
			if c.Kind == store.CondModifiedAt {
				tx.If[i] = store.Exists(c.Key)
			}
		}
		return tx
	})},
	{"ModifiedAt zero is Absent", "condition/modified-at", onCommit(func(tx store.Tx) store.Tx {
		tx.If = slices.Clone(tx.If)
		for i, c := range tx.If {
			if c.Kind == store.CondModifiedAt && c.Revision == 0 {
				tx.If[i] = store.Absent(c.Key)
			}
		}
		return tx
	})},
	{"only the first condition counts", "condition/every", onCommit(func(tx store.Tx) store.Tx {
		tx.If = tx.If[:min(1, len(tx.If))]
		return tx
	})},
	{"only the last condition counts", "condition/every", onCommit(func(tx store.Tx) store.Tx {
		tx.If = tx.If[max(0, len(tx.If)-1):]
		return tx
	})},
	{"no delete without a condition", "condition/none", onCommit(func(tx store.Tx) store.Tx {
		if len(tx.If) == 0 {
			tx.Then = slices.DeleteFunc(slices.Clone(tx.Then), func(op store.Op) bool { return op.Delete })
		}
		return tx
	})},
	{"refused, it deletes all the same", "commit/refused", onResult(func(b *broken, tx store.Tx, res *store.Result) {
		for _, op := range tx.Then {
			if op.Delete && !res.Committed {
				_, _ = b.Store.Commit(context.Background(), store.Tx{Then: []store.Op{op}})
			}
		}
	})},
	{"refused, it puts all the same", "commit/refused", onResult(func(b *broken, tx store.Tx, res *store.Result) {
		for _, op := range tx.Then {
			if !op.Delete && !res.Committed {
				_, _ = b.Store.Commit(context.Background(), store.Tx{Then: []store.Op{op}})
			}
		}
	})},
	{"Else reads nothing", "commit/else commit/linearizable", onResult(func(_ *broken, _ store.Tx, res *store.Result) {
		res.Entries = nil
	})},
	{"Else reads absent keys", "commit/else", onResult(func(_ *broken, tx store.Tx, res *store.Result) {
		for _, key := range tx.Else {
			if res.Entry(key) == nil && !res.Committed {
				res.Entries = append(res.Entries, store.Entry{Key: key})
			}
		}
	})},
	{"Else is always read", "commit/else-unread", onResult(func(b *broken, tx store.Tx, res *store.Result) {
		l, _ := b.Store.List(context.Background(), store.Keys(tx.Else...))
		res.Entries = l.Entries
	})},
	{"nothing changed, one revision on", "commit/unchanged", onResult(func(b *broken, tx store.Tx, res *store.Result) {
		if l, _ := b.Store.List(context.Background(), store.Prefix("")); len(tx.Then) == 0 || len(l.Entries) == 0 || tx.Then[0].Delete {
			res.Revision = l.Revision + 1
		}
	})},
	{"nothing changed, no revision", "commit/unchanged", onResult(func(_ *broken, tx store.Tx, res *store.Result) {
		if len(tx.Then) == 0 {
			res.Revision = 0
		}
	})},
	{"check, then write", "commit/one-winner commit/atomic", each(checkThenWrite)},
}
