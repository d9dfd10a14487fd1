package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/measure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/rules"
	"github.com/tenure-go/tenure/store/storetest"
)

const verifyHelp = `Tries, on the store that you will use, whether it keeps the rules that elections stand
on: each rule of the contract of a store, and those of elections among three members.
Names those that hold, those that are broken, and those that could not be exercised
and why. Of a store that keeps them it measures renewals and hand-overs from this
host, and says what TTL suits it, by what formula, and what follows from that.

It may be run beside what is in use. All that it writes lies under a prefix of its own,
"verify-" and 26 random letters, and goes with its leases when it ends, also when it is
interrupted; what one that was killed has left lies there, too. It makes some 4,000
requests, and is cut off at 20,000, through some 200 connections, for up to 6 rules at
a time. No value is larger than 1 MiB. It takes about half a minute: at most --timeout,
and a minute more if the store hangs. It does not compact the store, as others may need
its history, so that what follows a compaction is not exercised.

TERM, INT and HUP end it cleanly, a second one at once.

Exit codes: 0 all rules hold, but those that could not be exercised; 1 a rule is
broken, or it could not be done; 2 a command line that cannot be used.`

// The trials of one verify.
const (
	verifyRequests = 20_000
	verifyRounds   = 100
	verifyHands    = 40
	verifyMembers  = 3
	// verifySlack is how much later than its bound anything may be: stores look for
	// leases that have ended now and then, and hosts have other work.
	verifySlack = 5 * time.Second
)

type verifyFlags struct {
	trialFlags
	outage time.Duration
}

func newVerify(c *common) *cobra.Command {
	f := verifyFlags{trialFlags: trialFlags{common: c}}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Try whether a store keeps what elections need of it",
		Long:  verifyHelp,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return usage(cmd, "%w", err)
			}
			return f.verify(cmd)
		},
	}
	f.add(cmd, 3*time.Minute)
	cmd.Flags().DurationVar(&f.outage, "outage", 0, "how long the store may be away without anybody losing a leadership, for the TTL (default the larger of 1s and the store's shortest TTL, which it has for its own fail-over)")
	return cmd
}

func (f *verifyFlags) check(cmd *cobra.Command) error {
	if f.outage < 0 || f.outage > tenure.MaxTTL {
		return fmt.Errorf("--outage is %v; give one from 0s to %v", f.outage, tenure.MaxTTL)
	}
	return f.trialFlags.check(cmd)
}

// verification is what verify has found.
type verification struct {
	store, kind, prefix string
	ttl                 time.Duration // of the trial
	took                time.Duration
	requests            int64
	handles             int
	results             []rules.Result
	renewals, rounds    measure.Sample
	handOvers           measure.Sample
	advice              *measure.Advice
}

func (v *verification) named(o rules.Outcome) []rules.Result {
	return slices.DeleteFunc(slices.Clone(v.results), func(r rules.Result) bool { return r.Outcome != o })
}

func (f *verifyFlags) verify(cmd *cobra.Command) error {
	var v verification
	began := time.Now()
	err := f.run(cmd, "verify", verifyRequests, func(ctx context.Context, t *trial) error {
		v.store, v.kind, v.prefix, v.ttl = t.url, t.caps.Name, t.space.Prefix(), t.ttl
		err := f.try(ctx, t, &v)
		v.requests, v.handles = t.space.Requests()
		if errors.Is(ctx.Err(), context.Canceled) {
			v.results = nil // who interrupts it does not want a part of it
		}
		return err
	})
	if errors.Is(err, errAbandoned) || v.results == nil { // or it has not come so far
		return err
	}
	v.took = time.Since(began)
	if printed := f.printVerification(cmd, &v); printed != nil {
		return printed
	}
	return errors.Join(v.verdict(), err)
}

// try makes all trials, one kind after the other: what is measured is not what the
// others cost.
func (f *verifyFlags) try(ctx context.Context, t *trial, v *verification) error {
	tell := func(phase string, of int) rules.Tell {
		done := 0
		return func(rules.Result) {
			done++
			t.at(phase, done, of)
		}
	}
	results := rules.Store(ctx, t.space, storetest.Harness{TTL: t.ttl, Slack: verifySlack}, tell("rules of a store", rules.Contract()))
	results = append(results, rules.Elections(ctx, t.space, rules.ElectionOptions{TTL: t.ttl, Slack: verifySlack}, tell("rules of elections", rules.Elected()))...)
	v.results = results
	switch cause := t.space.Cause(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case cause != nil:
		return cause
	case len(v.named(rules.Broken)) > 0:
		return nil // no TTL suits it
	}
	return f.measure(ctx, t, v)
}

// measure takes the times of a store that keeps the rules.
func (f *verifyFlags) measure(ctx context.Context, t *trial, v *verification) (err error) {
	v.renewals, v.rounds, err = measure.Rounds(ctx, t.space.Open, verifyRounds, t.of("renewals"))
	if err != nil {
		return fmt.Errorf("measuring renewals: %w", err)
	}
	slowest := v.rounds.Max()
	outage := f.outage
	if outage == 0 {
		outage = measure.Outage(t.caps.MinTTL)
	}
	advice, err := measure.Advise(t.caps.MinTTL, slowest, outage)
	if err != nil {
		return err
	}
	v.advice = &advice
	v.handOvers, err = measure.HandOvers(ctx, measure.Plan{
		Open: t.space.Open, Members: verifyMembers, TTL: t.ttl, Count: verifyHands, Tell: t.of("hand-overs"),
	})
	if err != nil {
		return fmt.Errorf("measuring hand-overs: %w", err)
	}
	return nil
}

// verdict is the error of a store that breaks a rule.
func (v *verification) verdict() error {
	broken := v.named(rules.Broken)
	if len(broken) == 0 {
		return nil
	}
	var names []string
	for _, r := range broken {
		names = append(names, r.Name)
	}
	return fmt.Errorf("the store breaks %s: %s", counted(len(broken), "rule"), strings.Join(names, ", "))
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
