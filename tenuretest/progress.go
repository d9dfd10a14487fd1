package tenuretest

import (
	"fmt"
	"slices"
	"time"
)

func checkProgress(r *reading, x Expect) *finding {
	if x.Progress == 0 {
		return nil
	}
	last := len(r.events) - 1
	var first *finding
	for over, e := range r.events {
		if e.Kind != FaultsOver {
			continue
		}
		due := e.At.Add(x.Progress)
		if r.events[last].At.Before(due) || r.faultBetween(over, due) {
			continue // nothing can be said
		}
		for election, who := range r.wantedThroughout(over, due) {
			if r.led(election, over, due) {
				continue
			}
			at := r.firstAfter(due)
			if first == nil || at < first.at {
				first = &finding{
					rule: ProgressResumes, at: at, election: election, also: []int{over},
					text: fmt.Sprintf("nobody led %s for %v after all faults were over at %s, and %s wanted to",
						election, x.Progress, offset(r.since(over)), who),
				}
			}
		}
	}
	return first
}

func (r *reading) firstAfter(t time.Time) int {
	return slices.IndexFunc(r.events, func(e Event) bool { return !e.At.Before(t) })
}

func (r *reading) faultBetween(from int, to time.Time) bool {
	for _, e := range r.events[from:] {
		if e.Kind == FaultBegan && e.At.Before(to) {
			return true
		}
	}
	return false
}

// wantedThroughout returns the elections that one and the same member wanted to
// lead from one event to a moment, each with such a member.
func (r *reading) wantedThroughout(from int, to time.Time) map[string]string {
	type wish struct{ election, member string }
	wishes := map[wish]bool{}
	for i, e := range r.events {
		if e.At.After(to) {
			break
		}
		switch {
		case e.Kind == Wanted && i < from:
			wishes[wish{e.Election, e.Member}] = true
		case e.Kind == Unwanted:
			delete(wishes, wish{e.Election, e.Member})
		}
	}
	elections := map[string]string{}
	for w := range wishes {
		if old := elections[w.election]; old == "" || w.member < old {
			elections[w.election] = w.member
		}
	}
	return elections
}

// led reports whether anybody held the election between an event and a moment.
func (r *reading) led(election string, from int, to time.Time) bool {
	for _, t := range r.terms {
		if t.election == election && t.heldLast != never && t.heldLast > from && !r.events[t.heldFirst].At.After(to) {
			return true
		}
	}
	return false
}
