//go:build unix

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// tally is what one kind of fault has done.
type tally struct {
	times, struck, lost int
	spans               []span
}

// span is from the beginning of a fault until all was well again.
type span struct{ from, to int64 }

// table writes how often each fault was made and struck a leader in office, how many
// terms were lost then, and the longest time for which somebody had no leader. It returns the
// faults that struck none.
func (c *campaign) table(w io.Writer) (missed []string) {
	gaps := c.account.gaps()
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "times\tstruck a leader\tterms lost\tno leader, longest\t  fault\n")
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
		fmt.Fprintf(out, "%d\t%d\t%d\t%.2f s\t  %s\n", t.times, t.struck, t.lost, longest.Seconds(), f.name)
	}
	_ = out.Flush() // to whom this could be told, that is told nothing
	fmt.Fprintln(w)
	var counts []string
	for _, what := range []string{"terms", "terms lost", "writes", "writes confirmed", "writes refused", "watches compacted", "gaps observed"} {
		counts = append(counts, fmt.Sprintf("%d %s", c.account.count(what), what))
	}
	fmt.Fprintln(w, strings.Join(counts, ", "))
	return missed
}
