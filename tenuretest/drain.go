package tenuretest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/tenure-go/tenure"
)

func checkDrainFirst(r *reading, x Expect) *finding {
	if x.Interfered {
		return nil
	}
	type call struct {
		work
		*term
	}
	calls := map[string][]call{}
	for _, t := range r.terms {
		for _, w := range t.work {
			calls[t.election] = append(calls[t.election], call{w, t})
		}
	}
	var first *finding
	for election, list := range calls {
		slices.SortFunc(list, func(a, b call) int { return cmp.Compare(a.began, b.began) })
		var drains []call // those that must have returned before another begins
		for _, c := range list {
			drains = slices.DeleteFunc(drains, func(d call) bool { return d.returned != never && d.returned < c.began })
			if len(drains) > 0 && (first == nil || c.began < first.at) {
				d := drains[0]
				returned := "has not returned"
				if d.returned != never {
					returned = "returned only at " + offset(r.since(d.returned))
				}
				first = &finding{
					rule: DrainFirst, at: c.began, election: election, also: []int{d.began, d.ended},
					text: fmt.Sprintf("%s began to work in %s at %s, and the function of %s, which ended cleanly (%v), %s",
						c.term, election, offset(r.since(c.began)), d.term, d.cause, returned),
				}
			}
			if c.mustDrain() {
				drains = append(drains, c)
			}
		}
	}
	return first
}

// mustDrain reports whether the seat must stay the term's until its function has
// returned: it ended without loss, and neither gave its seat up nor lost it
// while the function drained.
func (t *term) mustDrain() bool {
	return t.ended != never && !errors.Is(t.cause, tenure.ErrLost) && !t.gaveUp && !t.forced
}
