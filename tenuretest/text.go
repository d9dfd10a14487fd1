package tenuretest

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// How many events a timeline shows before and after a violation, those that the
// violation names not counted.
const (
	told  = 30
	ahead = 8
)

// WriteText writes the terms and a timeline: of the whole history, or, if v is
// not nil, of what led to the violation.
func (h *History) WriteText(w io.Writer, v *Violation) error {
	var s strings.Builder
	if v != nil {
		s.WriteString(v.headline() + "\n\n")
	}
	read(h.Events()).tell(&s, v)
	_, err := io.WriteString(w, s.String())
	return err
}

// offset formats a time since the beginning of the history.
func offset(d time.Duration) string { return fmt.Sprintf("+%.3fs", d.Seconds()) }

// tell writes what there is to read.
func (r *reading) tell(s *strings.Builder, v *Violation) {
	if len(r.events) == 0 {
		s.WriteString("nothing happened\n")
		return
	}
	shown := r.shown(v)
	r.tellTerms(s, v, shown)
	r.tellFaults(s, v, shown[0])
	r.tellEvents(s, v, shown)
}

// shown returns the events worth reading, in order: all but what repeats, and, around
// a violation, a number of those that have to do with it.
func (r *reading) shown(v *Violation) []int {
	var all []int
	for i, e := range r.events {
		if v != nil && slices.Contains(v.marks, i) || !r.repeats(i) && (v == nil || v.concerns(e)) {
			all = append(all, i)
		}
	}
	if v == nil {
		return all
	}
	at, _ := slices.BinarySearch(all, v.at)
	from, to := max(at-told, 0), min(at+ahead+1, len(all))
	shown := slices.Clone(all[from:to])
	for _, i := range v.marks {
		if !slices.Contains(shown, i) {
			shown = append(shown, i)
		}
	}
	slices.Sort(shown)
	return shown
}

// repeats reports whether the event is an answer of Held, or a write, between two
// like it.
func (r *reading) repeats(i int) bool {
	switch e := r.events[i]; e.Kind {
	case Held, NotHeld:
		t := r.byID[termID{e.Election, e.Member, e.Token}]
		return i != t.heldFirst && i != t.heldLast && i != t.notHeld && i != t.resurrected
	case Wrote, Confirmed:
		w := r.writes[writesOf(e)]
		return i != w.first && i != w.last
	}
	return false
}

// concerns reports whether an event has to do with the violation.
func (v *Violation) concerns(e Event) bool {
	return e.Election == "" || v.Election == "" || e.Election == v.Election
}

func (r *reading) tellTerms(s *strings.Builder, v *Violation, shown []int) {
	first, last := shown[0], shown[len(shown)-1]
	var terms []*term
	for _, t := range r.terms {
		begun := t.first
		if begun == never {
			begun = t.seatTaken
		}
		if v == nil || t.election == v.Election && begun <= last && max(t.last, begun) >= first {
			terms = append(terms, t)
		}
	}
	slices.SortStableFunc(terms, func(a, b *term) int {
		return cmp.Or(cmp.Compare(a.election, b.election), cmp.Compare(a.token, b.token))
	})
	if len(terms) == 0 {
		return
	}
	s.WriteString("terms:\n")
	for _, t := range terms {
		fmt.Fprintf(s, "  %s, token %d: %s%s\n", t.election, t.token, t.member, r.life(t))
	}
	s.WriteString("\n")
}

// life tells a term from its beginning to its end.
func (r *reading) life(t *term) string {
	var s strings.Builder
	if t.seatTaken != never {
		fmt.Fprintf(&s, ", seat %s", offset(r.since(t.seatTaken)))
	}
	if t.heldFirst != never {
		fmt.Fprintf(&s, ", held %s to %s", offset(r.since(t.heldFirst)), offset(r.since(t.heldLast)))
	}
	for _, w := range t.work {
		fmt.Fprintf(&s, ", worked %s to ", offset(r.since(w.began)))
		if w.returned == never {
			s.WriteString("the last")
		} else {
			s.WriteString(offset(r.since(w.returned)))
		}
	}
	if t.ended != never {
		fmt.Fprintf(&s, ", ended %s: %v", offset(r.since(t.ended)), t.cause)
	}
	return s.String()
}

// fault is one fault from its beginning to its end, or to the last event.
type fault struct {
	who, what string
	from, to  int
	ended     bool
}

func (r *reading) faults() []fault {
	var all []fault
	for i, e := range r.events {
		switch e.Kind {
		case FaultBegan:
			all = append(all, fault{who: e.Member, what: e.Text, from: i, to: len(r.events) - 1})
		case FaultEnded:
			for n := range all {
				if f := &all[n]; !f.ended && f.who == e.Member && f.what == e.Text {
					f.to, f.ended = i, true
					break
				}
			}
		}
	}
	return all
}

// tellFaults tells of faults that had begun before what is shown.
func (r *reading) tellFaults(s *strings.Builder, v *Violation, first int) {
	if v == nil {
		return
	}
	for _, f := range r.faults() {
		if f.from < first && f.to >= first {
			fmt.Fprintf(s, "%s had begun at %s: %s\n", f.what, offset(r.since(f.from)), cmp.Or(f.who, "all"))
		}
	}
}

func (r *reading) tellEvents(s *strings.Builder, v *Violation, shown []int) {
	width := 0
	for _, i := range shown {
		width = max(width, len(r.events[i].who()))
	}
	before := never
	for _, i := range shown {
		if v != nil && r.skipped(v, before, i) {
			s.WriteString("   ...\n")
		}
		mark := " "
		switch {
		case v == nil:
		case i == v.at:
			mark = ">"
		case slices.Contains(v.marks, i):
			mark = "*"
		}
		e := r.events[i]
		fmt.Fprintf(s, "%s %13s  %-*s  %s\n", mark, offset(r.since(i)), width, e.who(), e)
		before = i
	}
}

// skipped reports whether something worth reading lies between two events.
func (r *reading) skipped(v *Violation, a, b int) bool {
	for i := a + 1; i < b; i++ {
		if !r.repeats(i) && v.concerns(r.events[i]) {
			return true
		}
	}
	return false
}
