package tenuretest

import (
	"cmp"
	"fmt"
	"slices"
)

func checkFencedWrites(r *reading, _ Expect) *finding {
	var first *finding
	report := func(at, also int, text string) {
		if first == nil || at < first.at {
			first = &finding{rule: FencedWrites, at: at, election: r.events[at].Election, text: text}
			if also != never {
				first.also = []int{also}
			}
		}
	}
	wrote := map[string][]int{}
	took := map[Event]bool{}
	for i, e := range r.events {
		if e.Kind == Wrote {
			wrote[e.Election] = append(wrote[e.Election], i)
			took[writeOf(e)] = true
		}
	}
	for i, e := range r.events {
		if e.Kind == Confirmed && !took[writeOf(e)] {
			report(i, never, fmt.Sprintf("%s (token %d) was told that its write in %s took effect at revision %d, and it did not",
				e.Member, e.Token, e.Election, e.Revision))
		}
	}
	for election, places := range wrote {
		slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(r.events[a].Revision, r.events[b].Revision) })
		highest := places[0]
		for _, i := range places {
			e := r.events[i]
			if h := r.events[highest]; e.Token < h.Token {
				report(i, highest, fmt.Sprintf("%s wrote in %s with token %d, at revision %d, after %s had with token %d",
					e.Member, election, e.Token, e.Revision, h.Member, h.Token))
			} else {
				highest = i
			}
			s, known := r.seatAt(election, e.Revision)
			switch {
			case len(r.seats[election]) == 0 || known && s.token == e.Token:
			case !known:
				report(i, never, fmt.Sprintf("%s wrote in %s with token %d, at revision %d, before anybody had the seat",
					e.Member, election, e.Token, e.Revision))
			case s.token == 0:
				report(i, s.at, fmt.Sprintf("%s wrote in %s with token %d, at revision %d, when the seat was nobody's",
					e.Member, election, e.Token, e.Revision))
			default:
				report(i, s.at, fmt.Sprintf("%s wrote in %s with token %d, at revision %d, when the seat was %s's with token %d",
					e.Member, election, e.Token, e.Revision, s.member, s.token))
			}
		}
	}
	return first
}

// writeOf is what a write and its confirmation have in common.
func writeOf(e Event) Event {
	return Event{Member: e.Member, Election: e.Election, Token: e.Token, Revision: e.Revision}
}
