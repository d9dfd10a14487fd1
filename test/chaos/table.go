//go:build unix

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tally is what one kind of fault has done.
type tally struct {
	times, struck, lost int
	spans               []span
}

// span is from the beginning of a fault until all was well again.
type span struct{ from, to int64 }

// table tells how often each fault was made and struck a leader in office, how many
// terms were lost then, and the longest time for which an election had no leader, and
// which faults struck none.
func (c *campaign) table() (text string, missed []string) {
	gaps := c.account.gaps()
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	put("%5s  %8s  %10s  %10s  fault, alone or with another\n%5s  %8s  %10s  %10s\n",
		"", "struck a", "terms", "no leader,", "times", "leader", "lost", "longest")
	for _, f := range c.faults {
		t := c.tallies[f.name]
		if t == nil {
			t = &tally{}
		}
		if t.struck == 0 {
			missed = append(missed, f.name)
		}
		var longest time.Duration
		for _, g := range gaps {
			if slices.ContainsFunc(t.spans, func(s span) bool { return g.from <= s.to && g.to >= s.from }) {
				longest = max(longest, time.Duration(g.to-g.from))
			}
		}
		put("%5d  %8d  %10d  %8.2f s  %s\n", t.times, t.struck, t.lost, longest.Seconds(), f.name)
	}
	for _, line := range [][]string{
		{"terms", "terms lost", "writes", "writes confirmed", "writes refused", "watches compacted", "gaps observed"},
		{"starts of nodes", "puts and deletes", "acknowledged", "nodes lost", "rejoined"},
		{"events of state told", "of nodes", "gaps told"},
	} {
		var counts []string
		for _, what := range line {
			counts = append(counts, fmt.Sprintf("%d %s", c.account.count(what), what))
		}
		put("\n%s", strings.Join(counts, ", "))
	}
	put("\n")
	return b.String(), missed
}

// gap is a time in which nobody held an election.
type gap struct {
	election string
	from, to int64
}

// gaps returns all of them, from the first term on.
func (a *account) gaps() (all []gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := map[string][]*life{}
	for id, t := range a.terms {
		if t.first > 0 {
			held[id.election] = append(held[id.election], t)
		}
	}
	for election, lives := range held {
		slices.SortFunc(lives, func(x, y *life) int { return cmp.Compare(x.first, y.first) })
		last := lives[0].last
		for _, t := range lives[1:] {
			if t.first > last {
				all = append(all, gap{election, last, t.first})
			}
			last = max(last, t.last)
		}
	}
	return all
}
