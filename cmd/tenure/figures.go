package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/measure"
)

// figuresJSON are the quantiles of a sample, in seconds.
type figuresJSON struct {
	N         int          `json:"n"`
	Min       float64      `json:"min"`
	P50       float64      `json:"p50"`
	P90       float64      `json:"p90"`
	P99       float64      `json:"p99"`
	Max       float64      `json:"max"`
	Histogram []bucketJSON `json:"histogram"`
}

// bucketJSON is how many times are at least From and less than To.
type bucketJSON struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Count int     `json:"count"`
}

// newFiguresJSON returns nil of an empty sample.
func newFiguresJSON(s measure.Sample) *figuresJSON {
	if len(s) == 0 {
		return nil
	}
	q := func(q float64) float64 { return s.Quantile(q).Seconds() }
	out := &figuresJSON{N: len(s), Min: q(0), P50: q(0.5), P90: q(0.9), P99: q(0.99), Max: q(1)}
	for _, b := range s.Histogram() {
		out.Histogram = append(out.Histogram, bucketJSON{b.From.Seconds(), b.To.Seconds(), b.Count})
	}
	return out
}

// measured is a sample with its name.
type measured struct {
	what string
	measure.Sample
}

// putFigures prints a row for each sample that is not empty.
func putFigures(out io.Writer, samples []measured) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tMEDIAN\tP99\tMAX\tOF") //nolint:errcheck // Flush returns it
	for _, s := range samples {
		if len(s.Sample) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t-\t0\n", s.what) //nolint:errcheck // Flush returns it
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", s.what, //nolint:errcheck // Flush returns it
			brief(s.Quantile(0.5)), brief(s.Quantile(0.99)), brief(s.Max()), len(s.Sample))
	}
	_ = w.Flush() // into a builder, which takes all
}

// brief is a time to three digits.
func brief(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	digits := int(math.Floor(math.Log10(math.Abs(float64(d))))) - 2
	return d.Round(time.Duration(math.Pow10(max(digits, 0)))).String()
}

// bars draws a histogram that is so many columns wide.
func bars(s measure.Sample, width int) string {
	const labels = len("  12.5ms to 31.5ms  10000 ") + 1
	var out strings.Builder
	most := 0
	buckets := s.Histogram()
	for _, b := range buckets {
		most = max(most, b.Count)
	}
	room := max(width-labels-1, 10)
	for i, b := range buckets {
		if b.Count == 0 {
			if i > 0 && buckets[i-1].Count != 0 {
				out.WriteString("  ...\n") // which says as much, however many there are
			}
			continue
		}
		fmt.Fprintf(&out, "  %7s to %-7s %5d %s\n", b.From, b.To, b.Count, strings.Repeat("#", max(b.Count*room/most, 1)))
	}
	return out.String()
}
