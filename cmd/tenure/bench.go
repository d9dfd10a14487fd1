package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	terminal "golang.org/x/term"

	"github.com/tenure-go/tenure/cmd/tenure/internal/measure"
)

const benchHelp = `Measures hand-overs and fail-overs over the store that you will use, from this host:
how long nobody leads.

A hand-over is measured from when the function of one leader returns until that of the
next is called. The members are of this process, each with a connection and a session
of its own, and lead in turns, 150 ms at a time.

A fail-over is measured from when the leader is killed until the function of the next
is called. The leader is a process of its own, which is killed (SIGKILL) at another
moment between two renewals each time; those who wait are of this process. The store
waits for the TTL, counted from the last renewal: what comes after it is shown apart.

All that is written lies under a prefix of its own, "bench-" and 26 random letters, and
goes with its leases when it ends, also when it is interrupted. The load is that of the
members, and what nobody expects is cut off at 200,000 requests.

TERM, INT and HUP end it cleanly, a second one at once.

Exit codes: 0 success; 1 it could not be done; 2 a command line that cannot be used.`

const (
	benchRequests = 200_000
	mostHands     = 10_000
	mostFailOvers = 100
	mostMembers   = 100
)

type benchFlags struct {
	trialFlags
	handOvers, failOvers, members int
}

func newBench(c *common) *cobra.Command {
	f := benchFlags{trialFlags: trialFlags{common: c}}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure hand-overs and fail-overs over a store",
		Long:  benchHelp,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return usage(cmd, "%w", err)
			}
			return f.bench(cmd)
		},
	}
	f.add(cmd, 10*time.Minute)
	flags := cmd.Flags()
	flags.IntVarP(&f.handOvers, "hand-overs", "n", 100, "hand-overs to measure; 0 for none")
	flags.IntVar(&f.failOvers, "fail-overs", 5, "fail-overs to measure, each of which takes a TTL and more; 0 for none")
	flags.IntVar(&f.members, "members", 3, "members of the election")
	return cmd
}

func (f *benchFlags) check(cmd *cobra.Command) error {
	for _, n := range []struct {
		flag              string
		value, least, top int
	}{
		{"hand-overs", f.handOvers, 0, mostHands},
		{"fail-overs", f.failOvers, 0, mostFailOvers},
		{"members", f.members, 2, mostMembers},
	} {
		if n.value < n.least || n.value > n.top {
			return fmt.Errorf("--%s is %d; give one from %d to %d", n.flag, n.value, n.least, n.top)
		}
	}
	return f.trialFlags.check(cmd)
}

// benchmark is what bench has found.
type benchmark struct {
	store, kind string
	ttl         time.Duration
	members     int
	handOvers   measure.Sample
	failOvers   measure.FailOver
}

func (f *benchFlags) bench(cmd *cobra.Command) error {
	b := benchmark{members: f.members}
	err := f.run(cmd, "bench", benchRequests, func(ctx context.Context, t *trial) error {
		b.store, b.kind, b.ttl = t.url, t.caps.Name, t.ttl
		plan := measure.Plan{Open: t.space.Open, Members: f.members, TTL: t.ttl}
		var err error
		if f.handOvers > 0 {
			plan.Count, plan.Tell = f.handOvers, t.of("hand-overs")
			if b.handOvers, err = measure.HandOvers(ctx, plan); err != nil {
				return fmt.Errorf("measuring hand-overs: %w", err)
			}
		}
		if f.failOvers > 0 {
			plan.Count, plan.Tell = f.failOvers, t.of("fail-overs")
			t.at("fail-overs", 0, f.failOvers)
			start := func(ctx context.Context, election string) (measure.Victim, error) {
				return startVictim(ctx, t, election)
			}
			if b.failOvers, err = measure.FailOvers(ctx, plan, start); err != nil {
				return fmt.Errorf("measuring fail-overs: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), b.json())
	}
	_, err = io.WriteString(cmd.OutOrStdout(), b.text(columns()))
	return err
}

// benchmarkJSON is the JSON form; times that were measured are in seconds.
type benchmarkJSON struct {
	Store     string       `json:"store"`
	Kind      string       `json:"kind"`
	Members   int          `json:"members"`
	TTL       string       `json:"ttl"`
	HandOver  *figuresJSON `json:"handOver"` // null: not measured
	FailOver  *figuresJSON `json:"failOver"`
	BeyondTTL *figuresJSON `json:"beyondTTL"`
}

func (b *benchmark) json() benchmarkJSON {
	return benchmarkJSON{
		Store: b.store, Kind: b.kind, Members: b.members, TTL: b.ttl.String(),
		HandOver: newFiguresJSON(b.handOvers), FailOver: newFiguresJSON(b.failOvers.Whole), BeyondTTL: newFiguresJSON(b.failOvers.Beyond),
	}
}

func (b *benchmark) text(width int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s store %s, %d members, TTL %v\n", b.kind, plain(redacted(b.store)), b.members, b.ttl)
	s.WriteString("The members are of this process, each with a connection of its own; a leader that is killed is another process.\n\n")
	all := []measured{
		{"hand-over: function returned to next called", b.handOvers},
		{"fail-over: leader killed to next called", b.failOvers.Whole},
		{"  of it beyond the TTL after the last renewal", b.failOvers.Beyond},
	}
	putFigures(&s, all)
	for _, m := range all {
		if len(m.Sample) > 0 {
			fmt.Fprintf(&s, "\n%s\n%s", strings.TrimSpace(m.what), bars(m.Sample, width))
		}
	}
	return s.String()
}

// columns is the width of the terminal that is written to, or what they once were.
func columns() int {
	if width, _, err := terminal.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// errVictim is what an error of the process to be killed is joined to.
var errVictim = errors.New("the process that leads")
