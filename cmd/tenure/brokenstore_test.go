//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// brokenStore is a store in memory one of whose calls is replaced. It can be used by
// one process, as "broken:FLAW".
type brokenStore struct {
	*memstore.Store
	commit       func(context.Context, store.Tx) (store.Result, error)
	list         func(context.Context, store.Query) (store.Listing, error)
	watch        func(context.Context, string, store.Revision) iter.Seq2[store.Changes, error]
	grant        func(context.Context, time.Duration) (store.Lease, error)
	capabilities func() store.Capabilities
}

func (b *brokenStore) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	return b.commit(ctx, tx)
}

func (b *brokenStore) List(ctx context.Context, q store.Query) (store.Listing, error) {
	return b.list(ctx, q)
}

func (b *brokenStore) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return b.watch(ctx, prefix, after)
}

func (b *brokenStore) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	return b.grant(ctx, ttl)
}

func (b *brokenStore) Capabilities() store.Capabilities { return b.capabilities() }

// flaw is a way to break a store, and the rules that it breaks, and no others.
type flaw struct {
	rules []string
	apply func(*brokenStore)
	may   []string // be broken, too, depending on who comes first
}

var flaws = map[string]flaw{
	"none": {rules: nil, apply: func(*brokenStore) {}},
	"short-leases": {rules: []string{"expiry/granted", "expiry/renewed", "lease/at-least"}, apply: func(b *brokenStore) {
		b.grant = func(ctx context.Context, ttl time.Duration) (store.Lease, error) {
			lease, err := b.Store.Grant(ctx, ttl*7/10)
			if err == nil && ttl < 10*time.Second {
				lease.TTL = ttl
			}
			return lease, err
		}
	}, may: []string{"election/fail-over", "election/one-holder"}},
	"lost-deletes": {rules: []string{"watch/deletes"}, apply: func(b *brokenStore) {
		b.watch = func(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
			return func(yield func(store.Changes, error) bool) {
				for ch, err := range b.Store.Watch(ctx, prefix, after) {
					ch.Events = slices.DeleteFunc(slices.Clone(ch.Events), func(ev store.Event) bool {
						return ev.Deleted && strings.HasSuffix(ev.Entry.Key, "known")
					})
					if !yield(ch, err) {
						return
					}
				}
			}
		}
	}},
	"backward-revisions": {rules: []string{"revision/rises", "watch/after", "watch/history"}, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if len(tx.Then) == 1 && tx.Then[0].Delete && strings.HasSuffix(tx.Then[0].Key, "/b") {
				res.Revision = 1
			}
			return res, err
		}
	}},
	"shared-revisions": {rules: []string{"revision/not-shared"}, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if len(tx.Then) == 1 && strings.Contains(tx.Then[0].Key, "/0/") {
				res.Revision = 7 // the token of whoever was first
			}
			return res, err
		}
	}},
	"idle-commits": {rules: []string{"valid/long-key"}, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			if len(tx.Then) == 1 && len(tx.Then[0].Key) == store.MaxKey {
				tx.Then = nil // yes, and nothing is done
			}
			return b.Store.Commit(ctx, tx)
		}
	}},
	"chatty-commits": {rules: []string{"commit/else-unread"}, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			res, err := b.Store.Commit(ctx, tx)
			if err == nil && res.Committed && len(tx.Else) == 1 && len(tx.If) == 1 {
				l, _ := b.Store.List(ctx, store.Keys(tx.Else...))
				res.Entries = l.Entries
			}
			return res, err
		}
	}},
	"unsorted-lists": {rules: []string{"list/sorted"}, apply: func(b *brokenStore) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			if len(l.Entries) == 12 {
				slices.Reverse(l.Entries)
			}
			return l, err
		}
	}},
	"unfenced": {rules: []string{"election/fencing", "election/fenced-writes"}, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			tx.If = slices.DeleteFunc(slices.Clone(tx.If), func(c store.Cond) bool {
				return c.Kind == store.CondModifiedAt && len(tx.If) == 1 && strings.Contains(c.Key, "/leaders/") &&
					len(tx.Then) == 1 && strings.Contains(tx.Then[0].Key, "/data/")
			})
			return b.Store.Commit(ctx, tx)
		}
	}},
	"undead-handles": {rules: []string{"close/calls"}, apply: func(b *brokenStore) {
		b.list = func(ctx context.Context, q store.Query) (store.Listing, error) {
			l, err := b.Store.List(ctx, q)
			if errors.Is(err, store.ErrClosed) {
				return brokenBase.List(ctx, q)
			}
			return l, err
		}
	}},
	"one-key": {rules: []string{"election/needs"}, apply: func(b *brokenStore) {
		b.capabilities = func() store.Capabilities {
			c := b.Store.Capabilities()
			c.MultiKey = false
			return c
		}
	}},
	"void": {rules: nil, apply: func(b *brokenStore) {
		b.commit = func(ctx context.Context, tx store.Tx) (store.Result, error) {
			tx.Then = nil
			return b.Store.Commit(ctx, tx)
		}
	}},
	"silent": {rules: nil, apply: func(b *brokenStore) {
		b.commit = func(context.Context, store.Tx) (store.Result, error) {
			fmt.Fprintln(os.Stderr, "asked")
			select {} // whatever becomes of its context
		}
	}},
}

var brokenBase = memstore.New()

func openBroken(_ context.Context, name string) (store.Store, error) {
	f, ok := flaws[name]
	if !ok {
		return nil, errors.New("no such flaw")
	}
	st := brokenBase.Open()
	b := &brokenStore{
		Store: st, commit: st.Commit, list: st.List, watch: st.Watch, grant: st.Grant,
		capabilities: st.Capabilities,
	}
	f.apply(b)
	return b, nil
}

// reportLeft says what is left in the memory of this process, which nobody else sees.
func reportLeft() string {
	l, err := brokenBase.List(context.Background(), store.Prefix(""))
	return fmt.Sprintf("left: %d keys, %v", len(l.Entries), err)
}
