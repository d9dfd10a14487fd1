package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is a number of measurements of one thing.
type sample struct {
	what  string
	times []time.Duration
}

func (s *sample) add(d time.Duration) { s.times = append(s.times, d) }

// p is a percentile: so many per cent of the times are at most as long.
func (s *sample) p(percent int) time.Duration {
	if len(s.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.times))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

// table prints as Markdown that is aligned as text, too.
type table struct {
	title string
	lines [][]string
}

func newTable(title string, columns ...string) *table {
	rule := make([]string, len(columns))
	for i, c := range columns {
		rule[i] = strings.Repeat("-", max(3, len(c)))
	}
	return &table{title, [][]string{columns, rule}}
}

func (t *table) row(cells ...any) {
	var line []string
	for _, c := range cells {
		if d, ok := c.(time.Duration); ok {
			c = inMs(d)
		}
		line = append(line, fmt.Sprint(c))
	}
	t.lines = append(t.lines, line)
}

func inMs(d time.Duration) string { return fmt.Sprintf("%.2f ms", ms(d)) }

func (t *table) print() {
	fmt.Printf("\n%s\n\n", t.title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	for _, line := range t.lines {
		_, _ = fmt.Fprintf(w, "| %s\t|\n", strings.Join(line, "\t| ")) // Flush says what is wrong
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}
