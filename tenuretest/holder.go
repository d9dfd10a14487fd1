package tenuretest

import (
	"cmp"
	"fmt"
	"slices"
)

func checkOneHolder(r *reading, x Expect) *finding {
	var first *finding
	better := func(f *finding) {
		if first == nil || f.at < first.at {
			first = f
		}
	}
	held := map[string][]*term{}
	for _, t := range r.terms {
		if t.heldFirst != never {
			held[t.election] = append(held[t.election], t)
		}
		if t.resurrected == never {
			continue
		}
		since, what := t.notHeld, "was not held any more"
		if t.ended != never && (since == never || t.ended < since) {
			since, what = t.ended, "had ended"
		}
		better(&finding{
			rule: OneHolder, at: t.resurrected, election: t.election, also: []int{since},
			text: fmt.Sprintf("%s held %s at %s, although the term %s at %s",
				t, t.election, offset(r.since(t.resurrected)), what, offset(r.since(since))),
		})
	}
	if x.Interfered {
		return first
	}
	for election, terms := range held {
		slices.SortFunc(terms, func(a, b *term) int { return cmp.Compare(a.heldFirst, b.heldFirst) })
		longest := terms[0]
		for _, t := range terms[1:] {
			if t.heldFirst < longest.heldLast {
				better(&finding{
					rule: OneHolder, at: t.heldFirst, election: election,
					also: []int{longest.heldFirst, longest.heldLast, t.heldLast},
					text: fmt.Sprintf("%s held %s at %s, while %s held it from %s to %s", t, election,
						offset(r.since(t.heldFirst)), longest, offset(r.since(longest.heldFirst)), offset(r.since(longest.heldLast))),
				})
				break
			}
			longest = t // the one before has ended earlier
		}
	}
	return first
}
