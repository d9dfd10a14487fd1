package tenure

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// How many requests of the elections of one session are under way at once, and how
// many looks one request answers. While few are wanted none waits for another; when
// a thousand elections lose their leader, their candidates ask the store some dozens
// of times, not a thousand. Rounds are not among them: nothing delays a renewal.
const (
	maxCommits      = 64
	maxReads        = 4
	maxLooksPerRead = 42 // with three items each and one that they share, one transaction of etcd
)

// workers work off what is put into them, in order of arrival: so many goroutines at
// most, each of which takes up to atOnce of what waits.
type workers[T any] struct {
	limit, atOnce int
	work          func([]T)

	mu      sync.Mutex
	waiting []T
	running int
}

// put hands x to a worker, started by start if there may be another.
func (w *workers[T]) put(x T, start func(func())) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, x)
	if w.running < w.limit {
		w.running++
		start(w.run)
	}
}

func (w *workers[T]) run() {
	for {
		w.mu.Lock()
		n := min(len(w.waiting), w.atOnce)
		if n == 0 {
			w.running--
			w.mu.Unlock()
			return
		}
		next := w.waiting[:n] // put only writes behind it
		w.waiting = w.waiting[n:]
		w.mu.Unlock()
		w.work(next)
	}
}

// drop forgets what waits, when nothing more will be put.
func (w *workers[T]) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = nil
}

func (s *session) commit(one []protocol.Commit) {
	a := one[0]
	ctx, cancel := context.WithTimeout(s.ctx, a.Timeout)
	defer cancel()
	sent := s.clock.Now()
	res, err := s.m.st.Commit(ctx, a.Tx)
	s.inbox.Put(protocol.Committed{ID: a.ID, Election: a.Election, Sent: sent, Result: res, Err: err})
}

func (s *session) look(looks []protocol.Look) {
	ctx, cancel := context.WithTimeout(s.ctx, looks[0].Timeout)
	defer cancel()
	var q store.Query
	for _, a := range looks {
		q.Keys = append(q.Keys, a.Query.Keys...)
		q.Prefixes = append(q.Prefixes, a.Query.Prefixes...)
	}
	q.Keys, q.Prefixes = distinct(q.Keys), distinct(q.Prefixes)
	sent := s.clock.Now()
	l, err := s.m.st.List(ctx, q)
	for _, a := range looks {
		s.inbox.Put(protocol.Looked{ID: a.ID, Election: a.Election, Sent: sent, Listing: part(&l, a.Query), Err: err})
	}
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// part is the answer to one of several queries that were asked as one.
func part(l *store.Listing, q store.Query) store.Listing {
	p := store.Listing{Revision: l.Revision}
	for _, key := range q.Keys {
		if e := l.Entry(key); e != nil {
			p.Entries = append(p.Entries, *e)
		}
	}
	for _, prefix := range q.Prefixes {
		i, _ := slices.BinarySearchFunc(l.Entries, prefix, func(e store.Entry, prefix string) int { return strings.Compare(e.Key, prefix) })
		for ; i < len(l.Entries) && strings.HasPrefix(l.Entries[i].Key, prefix); i++ {
			p.Entries = append(p.Entries, l.Entries[i])
		}
	}
	slices.SortFunc(p.Entries, func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
	return p
}
