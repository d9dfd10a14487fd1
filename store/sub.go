package store

import (
	"context"
	"iter"
	"strings"
	"time"
)

// Sub returns the part of st whose keys begin with prefix, as a store of its
// own: keys go in and come out without the prefix. Revisions and leases remain
// those of st. Closing it does nothing; whoever opened st closes st.
func Sub(st Store, prefix string) Store {
	if prefix == "" {
		return st
	}
	if s, ok := st.(*sub); ok {
		return &sub{st: s.st, prefix: s.prefix + prefix}
	}
	return &sub{st: st, prefix: prefix}
}

// Path returns the key under which st keeps key in the store that was opened:
// with the prefixes of all Sub around it. Programs that write their own
// transactions against that store need it. A store that wraps another has a
// method of the same name.
func Path(st Store, key string) string {
	if s, ok := st.(interface{ Path(key string) string }); ok {
		return s.Path(key)
	}
	return key
}

type sub struct {
	st     Store
	prefix string
}

// Path implements the interface that Path looks for.
func (s *sub) Path(key string) string { return Path(s.st, s.prefix+key) }

func (s *sub) Commit(ctx context.Context, tx Tx) (Result, error) {
	// The prefix may make a forbidden empty key look allowed.
	if err := tx.Validate(s.Capabilities()); err != nil {
		return Result{}, err
	}
	res, err := s.st.Commit(ctx, tx.Under(s.prefix))
	s.strip(res.Entries)
	return res, err
}

func (s *sub) List(ctx context.Context, q Query) (Listing, error) {
	var in Query
	for _, key := range q.Keys {
		in.Keys = append(in.Keys, s.prefix+key)
	}
	for _, p := range q.Prefixes {
		in.Prefixes = append(in.Prefixes, s.prefix+p)
	}
	l, err := s.st.List(ctx, in)
	s.strip(l.Entries)
	return l, err
}

func (s *sub) Watch(ctx context.Context, prefix string, after Revision) iter.Seq2[Changes, error] {
	return func(yield func(Changes, error) bool) {
		for ch, err := range s.st.Watch(ctx, s.prefix+prefix, after) {
			// Another watcher of the store may share the events: copy.
			events := make([]Event, len(ch.Events))
			for i, ev := range ch.Events {
				ev.Entry.Key = strings.TrimPrefix(ev.Entry.Key, s.prefix)
				events[i] = ev
			}
			ch.Events = events
			if !yield(ch, err) {
				return
			}
		}
	}
}

func (s *sub) strip(entries []Entry) {
	for i := range entries {
		entries[i].Key = strings.TrimPrefix(entries[i].Key, s.prefix)
	}
}

func (s *sub) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	return s.st.Grant(ctx, ttl)
}

func (s *sub) Renew(ctx context.Context, id LeaseID) (time.Duration, error) {
	return s.st.Renew(ctx, id)
}

func (s *sub) Revoke(ctx context.Context, id LeaseID) error { return s.st.Revoke(ctx, id) }
func (s *sub) Capabilities() Capabilities                   { return s.st.Capabilities() }
func (s *sub) Close() error                                 { return nil }
