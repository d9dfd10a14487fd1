package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/measure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/rules"
)

// The JSON forms of what is measured. Times that were measured are in seconds.
type (
	verificationJSON struct {
		Store    string       `json:"store"`
		Kind     string       `json:"kind"`
		OK       bool         `json:"ok"` // no rule is broken
		TTL      string       `json:"ttl"`
		Seconds  float64      `json:"seconds"`
		Requests int64        `json:"requests"`
		Handles  int          `json:"connections"`
		Rules    []ruleJSON   `json:"rules"`
		Renewal  *figuresJSON `json:"renewal"` // null: not measured
		Round    *figuresJSON `json:"round"`
		HandOver *figuresJSON `json:"handOver"`
		Advice   *adviceJSON  `json:"advice"`
		Default  boundsJSON   `json:"default"`
	}
	ruleJSON struct {
		Name    string        `json:"name"`
		Rule    string        `json:"rule"`
		Outcome rules.Outcome `json:"outcome"`
		Why     string        `json:"why,omitempty"`
	}
	adviceJSON struct {
		Needs []needJSON `json:"needs"`
		boundsJSON
	}
	needJSON struct {
		What  string `json:"what"`
		Least string `json:"least"`
		Why   string `json:"why"`
	}
	boundsJSON struct {
		TTL      string  `json:"ttl"`
		Round    string  `json:"round"`
		Trust    string  `json:"trust"`
		Patience string  `json:"patience"`
		Crash    string  `json:"crash"`
		Clean    string  `json:"clean"`
		Grace    string  `json:"grace"`
		Drift    float64 `json:"drift"`
		Away     string  `json:"away,omitempty"`
	}
)

func (f *verifyFlags) printVerification(cmd *cobra.Command, v *verification) error {
	if f.json {
		return printJSON(cmd.OutOrStdout(), v.json())
	}
	_, err := io.WriteString(cmd.OutOrStdout(), v.text())
	return err
}

func (v *verification) json() verificationJSON {
	out := verificationJSON{
		Store: v.store, Kind: v.kind, OK: len(v.named(rules.Broken)) == 0, TTL: v.ttl.String(), Seconds: v.took.Seconds(),
		Requests: v.requests, Handles: v.handles, Rules: []ruleJSON{},
		Renewal: newFiguresJSON(v.renewals), Round: newFiguresJSON(v.rounds), HandOver: newFiguresJSON(v.handOvers),
		Default: newBoundsJSON(tenure.DefaultTTL, v.rounds),
	}
	for _, r := range v.results {
		out.Rules = append(out.Rules, ruleJSON{r.Name, r.Rule, r.Outcome, r.Why})
	}
	if v.advice != nil {
		out.Advice = &adviceJSON{boundsJSON: newBoundsJSON(v.advice.TTL, v.rounds)}
		for _, n := range v.advice.Needs {
			out.Advice.Needs = append(out.Advice.Needs, needJSON{n.What, n.Least.String(), n.Why})
		}
	}
	return out
}

// boundsOf are the bounds of a TTL that has been checked.
func boundsOf(ttl time.Duration) tenure.Bounds {
	b, _ := tenure.Options{TTL: ttl}.Bounds()
	return b
}

func newBoundsJSON(ttl time.Duration, rounds measure.Sample) boundsJSON {
	b := boundsOf(ttl)
	out := boundsJSON{
		TTL: ttl.String(), Round: b.Round.String(), Trust: b.Trust.String(), Patience: b.Patience.String(),
		Crash: b.Crash.String(), Clean: b.Clean.String(), Grace: b.Grace.String(), Drift: b.Drift,
	}
	if len(rounds) > 0 {
		out.Away = measure.Away(b, rounds.Max()).String()
	}
	return out
}

func (v *verification) text() string {
	var s strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&s, format, args...) }
	put("%s store %s, under a prefix that is gone again: %d requests through %d connections in %v\n\n",
		v.kind, plain(redacted(v.store)), v.requests, v.handles, v.took.Round(100*time.Millisecond))
	v.putHolding(&s)
	for _, r := range v.named(rules.Broken) {
		put("\nBROKEN %s: %s\n%s\n", r.Name, r.Rule, indented(r.Why))
	}
	if left := v.named(rules.NotExercised); len(left) > 0 {
		put("\n%s not exercised:\n", counted(len(left), "rule"))
		for _, r := range left {
			put("  %s: %s\n%s\n", r.Name, r.Rule, indented(r.Why))
		}
	}
	if len(v.rounds) > 0 {
		put("\n")
		putFigures(&s, []measured{
			{"renewal", v.renewals}, {"round: renewal and read", v.rounds}, {"hand-over: function returned to next called", v.handOvers},
		})
	}
	if v.advice != nil {
		v.putAdvice(&s)
	}
	return s.String()
}

// putHolding lists the rules that hold, those of a kind in one line.
func (v *verification) putHolding(s *strings.Builder) {
	holding := v.named(rules.Holds)
	fmt.Fprintf(s, "%s hold:\n", counted(len(holding), "rule"))
	kind := ""
	for _, r := range holding {
		k, name, _ := strings.Cut(r.Name, "/")
		switch {
		case k == kind:
			fmt.Fprintf(s, ", %s", name)
		case kind != "":
			fmt.Fprintf(s, "\n  %-10s %s", k, name)
		default:
			fmt.Fprintf(s, "  %-10s %s", k, name)
		}
		kind = k
	}
	s.WriteString("\n")
}

// indented is a text of any number of lines below another.
func indented(text string) string {
	return "      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ")
}

func (v *verification) putAdvice(s *strings.Builder) {
	fmt.Fprintf(s, "\n--ttl %v suits this store: the shortest of whole seconds with\n", v.advice.TTL)
	w := tabwriter.NewWriter(s, 0, 0, 2, ' ', 0)
	for _, n := range v.advice.Needs {
		sum := n.Least.String()
		if n.Sum != "" {
			sum = n.Sum + " = " + sum
		}
		fmt.Fprintf(w, "  %s\tat least %s\t%s\n", n.What, sum, n.Why) //nolint:errcheck // a builder takes all
	}
	_ = w.Flush() // a builder takes all
	s.WriteString("\n")
	fmt.Fprintln(w, "\tTTL\tROUND\tTRUST\tPATIENCE\tCRASH\tCLEAN\tGRACE\tDRIFT\tSTORE AWAY") //nolint:errcheck // a builder takes all
	for _, row := range []struct {
		name string
		ttl  time.Duration
	}{{"suits", v.advice.TTL}, {"default", tenure.DefaultTTL}} {
		b := boundsOf(row.ttl)
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\t%s\t%s\t%s\t%s\t%.3f\t%s\n", row.name, row.ttl, brief(b.Round), brief(b.Trust), brief(b.Patience), //nolint:errcheck // a builder takes all
			brief(b.Crash), brief(b.Clean), brief(b.Grace), b.Drift, brief(measure.Away(b, v.rounds.Max())))
	}
	_ = w.Flush() // a builder takes all
	fmt.Fprintf(s, "STORE AWAY is how long it may be out of reach without a loss; Patience is %d of the slowest rounds at the default.\n",
		boundsOf(tenure.DefaultTTL).Patience/max(v.rounds.Max(), 1))
}
