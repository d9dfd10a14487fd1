package tenuretest

import (
	"slices"
	"strings"
	"time"
)

// Violation says how a history breaks a rule.
type Violation struct { //nolint:errname // it is a finding first, and returned by Check alone
	Rule     Rule
	At       time.Time // of the event that cannot be
	Election string    // empty if it is about none
	Text     string    // one sentence
	Events   []Event   // those that show it, in order; the one that cannot be among them

	at    int // its place in the history
	marks []int
	tale  string
}

func (r *reading) violation(f *finding) *Violation {
	v := &Violation{Rule: f.rule, At: r.events[f.at].At, Election: f.election, Text: f.text, at: f.at}
	v.marks = append(slices.DeleteFunc(slices.Clone(f.also), func(i int) bool { return i == never }), f.at)
	slices.Sort(v.marks)
	v.marks = slices.Compact(v.marks)
	for _, i := range v.marks {
		v.Events = append(v.Events, r.events[i])
	}
	var tale strings.Builder
	r.tell(&tale, v)
	v.tale = tale.String()
	return v
}

// Error is the rule, the sentence, and a timeline of what happened around it.
func (v *Violation) Error() string { return v.headline() + "\n\n" + v.tale }

func (v *Violation) headline() string { return string(v.Rule) + ": " + v.Text }
