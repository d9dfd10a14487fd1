package tenuretest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tenure-go/tenure"
)

func checkTokensRise(r *reading, _ Expect) *finding {
	var first *finding
	report := func(election string, at, also int, text string) {
		if first == nil || at < first.at {
			f := &finding{rule: TokensRise, at: at, election: election, text: text}
			if also != never {
				f.also = []int{also}
			}
			first = f
		}
	}
	for election, seats := range r.seats {
		var last *seat
		for _, s := range seats {
			if s.token == 0 {
				continue
			}
			if last != nil && s.token <= last.token {
				report(election, s.at, last.at, fmt.Sprintf("the seat of %s went to %s with token %d, after %s had it with %d",
					election, s.member, s.token, last.member, last.token))
			}
			last = &s
		}
	}
	for _, begun := range r.beginnings() {
		var highest *term
		owner := map[tenure.Token]*term{}
		for _, b := range begun {
			t := b.term
			switch other := owner[t.token]; {
			case other != nil && other != t:
				report(t.election, b.at, other.first, fmt.Sprintf("%s and %s both had token %d of %s", other.member, t.member, t.token, t.election))
			case other == nil && b.ordered && highest != nil && t.token < highest.token:
				report(t.election, b.at, highest.first, fmt.Sprintf("%s began a term of %s after %s", t, t.election, highest))
			}
			owner[t.token] = t
			if b.ordered && (highest == nil || t.token > highest.token) {
				highest = t
			}
			if len(r.seats[t.election]) > 0 && t.seatTaken == never {
				report(t.election, b.at, never, fmt.Sprintf("%s began a term of %s, and the seat in the store was never its with that token", t, t.election))
			}
		}
	}
	return first
}

// beginning is the first that is told of a term by its holder. Ordered: it can
// be compared with others.
type beginning struct {
	at      int
	term    *term
	ordered bool
}

// beginnings returns the beginnings of the terms of each election, in order.
//
// That a term was held orders it among others. That its holder was told of its
// election may be recorded late, so it counts only where nothing better is known.
func (r *reading) beginnings() map[string][]beginning {
	all := map[string][]beginning{}
	for _, t := range r.terms {
		switch {
		case t.heldFirst != never:
			all[t.election] = append(all[t.election], beginning{t.heldFirst, t, true})
		case t.elected != never:
			all[t.election] = append(all[t.election], beginning{t.elected, t, len(r.seats[t.election]) == 0})
		case t.first != never:
			all[t.election] = append(all[t.election], beginning{t.first, t, false})
		}
	}
	for _, begun := range all {
		slices.SortFunc(begun, func(a, b beginning) int { return cmp.Compare(a.at, b.at) })
	}
	return all
}
