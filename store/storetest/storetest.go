// Package storetest holds the conformance suite of package store: one named case
// for each rule of the contract. It does not import package testing, so that a
// program can check the store it is about to run over.
//
// The test of a driver is a loop:
//
//	func TestConformance(t *testing.T) {
//		h := storetest.Harness{Open: func(ctx context.Context) (store.Store, error) {
//			return etcdstore.Open(ctx, endpoint)
//		}}
//		for _, c := range storetest.Cases() {
//			t.Run(c.Name, func(t *testing.T) {
//				t.Parallel()
//				if err := c.Run(t.Context(), h); errors.Is(err, storetest.ErrNotExercised) {
//					t.Skip(err)
//				} else if err != nil {
//					t.Error(err)
//				}
//			})
//		}
//	}
//
// Cases work under a random prefix of their own and leave nothing behind, so
// they run in parallel on one shared store and beside other programs, as long
// as those do not compact it.
//
// Each case has been seen to fail: the tests of this package break a store in
// memory in a hundred ways and name the cases that must notice.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// ErrNotExercised marks a case that said nothing about the store: the harness or
// the store lacks what it needs, or the host was too slow for it. It is
// neither a pass nor a failure; the error says why.
var ErrNotExercised = errors.New("not exercised")

// Harness is what a case needs of the store under test.
type Harness struct {
	// Open returns a new handle on the same store at each call, as another
	// process would have one. The suite closes it. Required.
	Open func(ctx context.Context) (store.Store, error)
	// Prefix stands before the random prefix that each case works under.
	Prefix string
	// Compact drops the store's history up to now, and returns when it is gone.
	// Without it some cases are not exercised.
	Compact func(ctx context.Context, st store.Store) error
	// TTL is that of leases which the suite lets end by themselves. Default is
	// the larger of 500 ms and the store's MinTTL.
	TTL time.Duration
	// Slack is how late such an end may be. Default 2 s.
	Slack time.Duration
}

// Case checks one rule.
type Case struct {
	Name string // "lease/renewed"
	Rule string // the sentence of the contract
	// Run checks the rule and cleans up, also when ctx ends. Its error names the
	// case and the rule; errors.Is(err, ErrNotExercised) tells a case that could
	// not be checked from one that failed.
	Run func(ctx context.Context, h Harness) error
}

// check is a case as this package writes it; its function fails through env.
type check struct {
	name, rule string
	run        func(*env)
}

// Cases returns all cases. They may run one by one or at the same time; those
// that compact wait for those that need history, within the result of one call.
func Cases() []Case {
	checks := slices.Concat(revisionChecks, conditionChecks, commitChecks, validChecks, dataChecks, listChecks,
		leaseChecks, expiryChecks, watchChecks, watchEndChecks, handleChecks)
	history := newGate()
	cases := make([]Case, len(checks))
	for i, c := range checks {
		cases[i] = Case{Name: c.name, Rule: c.rule, Run: func(ctx context.Context, h Harness) error {
			if err := runCheck(ctx, h, history, c.run); err != nil {
				return fmt.Errorf("%s: %w\n\trule: %s", c.name, err, c.rule)
			}
			return nil
		}}
	}
	return cases
}

// atOnce is how many cases Verify runs at the same time: most of them wait.
const atOnce = 8

// Verify runs all cases and returns the errors of those that failed or were not
// exercised, joined in the order of Cases. It takes a few times the TTL, and a
// few thousand requests.
func Verify(ctx context.Context, h Harness) error {
	cases := Cases()
	errs := make([]error, len(cases))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range cases {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = c.Run(ctx, h)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
