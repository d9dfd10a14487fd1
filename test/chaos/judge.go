//go:build unix

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

// history is what was told of some elections, of workers up to a moment.
func (a *account) history(upTo int64, elections ...string) *tenuretest.History {
	h := tenuretest.NewHistory()
	about := func(e tenuretest.Event) bool { return e.Election == "" || slices.Contains(elections, e.Election) }
	for _, e := range a.events {
		if e.Kind == tenuretest.Held && a.terms[term{e.Election, e.Member, e.Token}].first <= upTo {
			e.At = moment(min(e.At.UnixNano(), upTo)) // one that stands for all until later
		}
		if about(e) && e.At.UnixNano() <= upTo {
			h.Record(e)
		}
	}
	for _, e := range a.etcd {
		if e.Kind == tenuretest.SeatFreed && !a.freed[e.Revision] {
			e.Err = tenure.ErrSessionExpired
		}
		if about(e) {
			h.Record(e)
		}
	}
	return h
}

// check judges all that was told up to a moment. Etcd's part must go further.
func (a *account) check(upTo int64, x tenuretest.Expect) error {
	bounds, err := tenure.Options{TTL: ttl}.Bounds()
	if err != nil {
		return err
	}
	a.mu.Lock()
	strict, disturbed := a.history(upTo, slices.Concat(orderly, []string{fleet})...), a.history(upTo, prey)
	errs := slices.Clone(a.problems)
	for w := range a.refused {
		if a.written[w] {
			errs = append(errs, fmt.Errorf("%s was told that its write %d of %s, token %d, was refused, and it took effect", w.member, w.n, w.election, w.token))
		}
	}
	for _, t := range a.taken {
		l := a.terms[t.term]
		if l == nil {
			continue
		}
		if late := time.Duration(l.last - t.before); late > bounds.Trust {
			errs = append(errs, fmt.Errorf("%s held %s, token %d, for %v after somebody had taken its seat away; its evidence lasts for %v",
				t.member, t.election, t.token, late, bounds.Trust))
		}
	}
	harried := a.harried
	a.mu.Unlock()
	errs = append(errs, strict.Check(x))
	x.Interfered = harried
	return errors.Join(append(errs, disturbed.Check(x))...)
}
