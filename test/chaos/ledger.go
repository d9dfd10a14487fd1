//go:build unix

package main

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// ledger reports which transactions of the member's own have freed a seat, for the
// store's history does not tell those from the end of a lease, and which watches
// have come too late for what they were to show.
type ledger struct {
	store.Store
	*printer
}

// Commit implements store.Store.
func (l ledger) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	res, err := l.Store.Commit(ctx, tx)
	if err != nil || !res.Committed {
		return res, err
	}
	for _, op := range tx.Then {
		if op.Delete && strings.HasPrefix(op.Key, leaders) {
			l.print(report{What: freed, Revision: res.Revision})
		}
	}
	return res, nil
}

// Watch implements store.Store.
func (l ledger) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		for changes, err := range l.Store.Watch(ctx, prefix, after) {
			if errors.Is(err, store.ErrCompacted) {
				l.print(report{What: compacted})
			}
			if !yield(changes, err) {
				return
			}
		}
	}
}
