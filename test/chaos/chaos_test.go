//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/requirestore"
	"github.com/tenure-go/tenure/tenuretest"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		main() // of a worker
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestNegativeControls breaks all workers in one way, and expects the campaign to find
// it. What it finds nothing wrong with is a worker that is as it should be.
func TestNegativeControls(t *testing.T) {
	t.Parallel()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	for name, tt := range map[string]struct {
		broken string
		rules  []string // one of which is broken; none: all hold
	}{
		"as it should be":                        {"", nil},
		"says that it leads when it does not":    {believer, []string{string(tenuretest.OneHolder)}},
		"writes without its guard":               {unfenced, []string{string(tenuretest.FencedWrites)}},
		"takes its lease for twice as long":      {overtrusting, []string{string(tenuretest.OneHolder)}},
		"does not hear of some changes":          {deaf, []string{string(noneLost), string(oldAsTold), string(comingAndGoing)}},
		"publishes again what it has taken back": {stale, []string{string(inOrder), string(atItsWord)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := run(t.Context(), settings{
				seed: 1, length: 2 * time.Minute, broken: tt.broken, log: t.Logf,
				faults: some("worker stopped for longer", "worker cut off"), passes: 1 + 9*len(tt.rules),
			})
			broken, text := rules(err)
			switch {
			case tt.rules == nil:
				if err != nil {
					t.Error(err)
				}
				table, missed := c.table()
				if t.Log(table); len(missed) > 0 {
					t.Errorf("struck no leader in office: %q", missed)
				}
			case !slices.ContainsFunc(broken, func(r string) bool { return slices.Contains(tt.rules, r) }):
				t.Errorf("got %v, want one of %q", err, tt.rules)
			default:
				t.Log(text)
			}
		})
	}
}

// A campaign that harms nobody has shown nothing.
func TestAFaultThatStrikesNoLeaderIsAFailure(t *testing.T) {
	t.Parallel()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	c, err := run(t.Context(), settings{seed: 1, log: t.Logf, faults: []fault{{
		name:  "nothing",
		aim:   func(*campaign) (victim, error) { return victim{election: "of nobody"}, nil },
		begin: func(context.Context, *campaign, victim) error { return nil },
		lasts: [2]time.Duration{1, 2},
	}}})
	if err == nil || !strings.Contains(err.Error(), "nothing: struck no leader in office in 5 times") {
		t.Errorf("got %v", err)
	}
	if table, missed := c.table(); len(missed) != 1 || !strings.Contains(table, "    5         0") {
		t.Errorf("missed %q:\n%s", missed, table)
	}
}

// rules are those that were broken, and what the first of them says.
func rules(err error) (broken []string, text string) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			more, first := rules(err)
			broken, text = append(broken, more...), cmp.Or(text, first)
		}
		return broken, text
	}
	var v *tenuretest.Violation
	var b *breach
	switch {
	case errors.As(err, &v):
		return []string{string(v.Rule)}, string(v.Rule) + ": " + v.Text
	case errors.As(err, &b):
		return []string{string(b.rule)}, b.Error()
	}
	return nil, ""
}

// some are the faults of these names.
func some(names ...string) (list []fault) {
	for _, f := range faults {
		if slices.Contains(names, f.name) {
			list = append(list, f)
		}
	}
	if len(list) != len(names) {
		panic(fmt.Sprintf("not all of %q are faults", names))
	}
	return list
}
