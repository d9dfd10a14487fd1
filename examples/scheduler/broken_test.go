package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// What may be wrong with the nodes of a command.
const (
	whole         = "whole"
	unconditional = "takes and records whatever the record says"
	allGone       = "takes every worker for one that is gone"
	recordsFirst  = "records a job before doing it"

	// And what may be wrong with the store.
	unanswered = "loses requests and replies"
)

// brokenNode is runNode over a store that makes a mistake of the node's.
func brokenNode(what string, args []string) error {
	c, err := parseNode(args)
	if err != nil {
		return err
	}
	ctx, stop := nodeContext()
	defer stop()
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{c.store}})
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, &broken{Store: st, what: what, shown: map[string]int{}}, c), st.Close())
}

// broken changes what a node reads and writes of jobs.
type broken struct {
	store.Store
	what string

	// Of who lists jobs, which only the leader does, on one tick after the other.
	lists int
	shown map[string]int
}

func ofJob(key string) bool { return strings.Contains(key, "scheduler/jobs/job-") }

func (b *broken) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	if len(tx.Then) > 0 && ofJob(tx.Then[0].Key) {
		switch b.what {
		case unconditional:
			tx.If = nil
		case unanswered:
			switch rand.IntN(3) {
			case 0:
				_, err := b.Store.Commit(ctx, tx)
				return store.Result{}, errors.Join(store.ErrUnavailable, err)
			case 1:
				return store.Result{}, store.ErrUnavailable
			}
		case recordsFirst:
			tx.Then[0].Value = edited(tx.Then[0].Value, func(r *record) { r.Done = true })
		}
	}
	return b.Store.Commit(ctx, tx)
}

// List shows jobs that are taken as if nobody were there any more who has taken them, and
// in another order each time: that alone would do no harm, and has the leader deal a
// job to one node after the other. It shows each job so a few times only, or the nodes
// would take it from each other for ever.
func (b *broken) List(ctx context.Context, q store.Query) (store.Listing, error) {
	l, err := b.Store.List(ctx, q)
	if b.what != allGone || len(l.Entries) == 0 || !ofJob(l.Entries[0].Key) {
		return l, err
	}
	for i, e := range l.Entries {
		l.Entries[i].Value = edited(e.Value, func(r *record) {
			if r.Worker != (worker{}) && b.shown[e.Key] < 4 {
				b.shown[e.Key]++
				r.Worker.Incarnation = "gone"
			}
		})
	}
	b.lists++
	first := min(b.lists%3, len(l.Entries)) // the first of those to be done remain the first
	l.Entries = slices.Concat(l.Entries[first:], l.Entries[:first])
	return l, err
}

func edited(value []byte, edit func(*record)) []byte {
	var r record
	err := json.Unmarshal(value, &r)
	edit(&r)
	value, again := json.Marshal(r)
	if err = errors.Join(err, again); err != nil {
		panic(fmt.Sprintf("%s: %v", value, err)) // it was written by this program
	}
	return value
}
