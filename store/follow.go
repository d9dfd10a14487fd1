package store

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Batch is one step of Follow.
type Batch struct {
	Changes
	// Listed: this step comes from a List, not from the watch. The first one
	// holds every entry as an event. A later one holds the difference to what
	// was known before: changes in between may have been missed. Its events are
	// sorted by key.
	Listed bool
	// Since is the revision up to which everything had been seen before.
	Since Revision
}

const (
	followListTimeout = 10 * time.Second
	followBackoffMin  = 20 * time.Millisecond
	followBackoffMax  = 2 * time.Second // half as much again with jitter
)

// Follow yields the state under prefix and then every change of it, for as long
// as ctx lives. It lists, watches from the listing's revision, carries on after
// a lost watch where that one ended, and lists again when the history in
// between is gone. It never resumes from a compaction's own revision: a delete
// before it would be lost for good.
//
// The sequence ends with the context's error, ErrClosed, ErrUnsupported or
// ErrInvalid as its last element. Other errors are passed to report, which may
// be nil and must not block, and are retried after a growing, jittered pause.
func Follow(ctx context.Context, st Store, prefix string, report func(error)) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		f := follower{st: st, prefix: prefix, known: map[string]Revision{}, backoff: followBackoffMin}
		for {
			err := f.run(ctx, yield)
			switch {
			case err == nil:
				return // the consumer has left
			case ctx.Err() != nil:
				yield(Batch{}, ctx.Err())
				return
			case errors.Is(err, ErrClosed), errors.Is(err, ErrUnsupported), errors.Is(err, ErrInvalid):
				yield(Batch{}, err)
				return
			case errors.Is(err, ErrCompacted):
				f.listed = false
			}
			if report != nil {
				report(err)
			}
			if !f.pause(ctx) {
				yield(Batch{}, ctx.Err())
				return
			}
		}
	}
}

type follower struct {
	st      Store
	prefix  string
	listed  bool     // known is complete as of revision
	rev     Revision // up to which everything was seen
	known   map[string]Revision
	backoff time.Duration
}

// run lists if it must and then watches. It returns nil when the consumer left.
func (f *follower) run(ctx context.Context, yield func(Batch, error) bool) error {
	if !f.listed {
		batch, err := f.list(ctx)
		if err != nil {
			return err
		}
		f.listed = true
		if !yield(batch, nil) {
			return nil
		}
	}
	for ch, err := range f.st.Watch(ctx, f.prefix, f.rev) {
		if err != nil {
			return err
		}
		f.backoff = followBackoffMin
		for _, ev := range ch.Events {
			if ev.Deleted {
				delete(f.known, ev.Entry.Key)
			} else {
				f.known[ev.Entry.Key] = ev.Entry.Modified
			}
		}
		since := f.rev
		f.rev = max(f.rev, ch.Revision)
		if !yield(Batch{Changes: ch, Since: since}, nil) {
			return nil
		}
	}
	return ErrUnavailable // a watch that ended without saying why
}

func (f *follower) list(ctx context.Context) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, followListTimeout)
	defer cancel()
	l, err := f.st.List(ctx, Prefix(f.prefix))
	if err != nil {
		return Batch{}, err
	}
	batch := Batch{Changes: Changes{Revision: l.Revision}, Listed: true, Since: f.rev}
	now := make(map[string]Revision, len(l.Entries))
	for _, e := range l.Entries {
		now[e.Key] = e.Modified
		if f.known[e.Key] != e.Modified {
			batch.Events = append(batch.Events, Event{Entry: e})
		}
	}
	for key := range f.known {
		if _, ok := now[key]; !ok {
			batch.Events = append(batch.Events, Event{Deleted: true, Entry: Entry{Key: key, Modified: l.Revision}})
		}
	}
	slices.SortFunc(batch.Events, func(a, b Event) int { return strings.Compare(a.Entry.Key, b.Entry.Key) })
	f.known, f.rev = now, l.Revision
	return batch, nil
}

func (f *follower) pause(ctx context.Context) bool {
	d := f.backoff/2 + rand.N(f.backoff)
	f.backoff = min(2*f.backoff, followBackoffMax)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
