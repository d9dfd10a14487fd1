// Package rules tries whether a store keeps the rules that elections stand on: those
// of its contract, one by one, and those of elections over it.
package rules

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/tenure-go/tenure/cmd/tenure/internal/scratch"
	"github.com/tenure-go/tenure/store/storetest"
)

// Outcome is what has become of a trial.
type Outcome string

// The outcomes.
const (
	Holds        Outcome = "holds"
	Broken       Outcome = "broken"
	NotExercised Outcome = "not exercised"
)

// Result is what one trial says of one rule.
type Result struct {
	Name    string // "lease/renewed"
	Rule    string // a sentence
	Outcome Outcome
	Why     string // it does not hold, or was not exercised
}

// Tell is called with each result. Calls come one at a time.
type Tell func(Result)

// atOnce is how many cases of the contract are tried at the same time. Most of them
// wait, for the end of a lease.
const atOnce = 6

// Contract is how many rules Store tries.
func Contract() int { return len(storetest.Cases()) }

// Store tries the contract of a store, and returns the results in its order. Once ctx
// has ended, what is left is not exercised.
func Store(ctx context.Context, space *scratch.Space, h storetest.Harness, tell Tell) []Result {
	h.Open, h.Prefix = space.Whole, space.Prefix()
	cases := storetest.Cases()
	results := make([]Result, len(cases))
	slots := make(chan struct{}, atOnce)
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, c := range cases {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			err := c.Run(ctx, h)
			results[i] = resultOf(ctx, space, c.Name, c.Rule, err)
			mu.Lock()
			defer mu.Unlock()
			tell(results[i])
		})
	}
	all.Wait()
	return results
}

// resultOf is the result of a trial that has ended with err.
func resultOf(ctx context.Context, space *scratch.Space, name, rule string, err error) Result {
	r := Result{Name: name, Rule: rule, Outcome: Holds}
	if err == nil {
		return r
	}
	r.Outcome, r.Why = Broken, reason(name, rule, err)
	switch {
	case space.Cause() != nil: // whatever else has gone wrong then
		r.Outcome, r.Why = NotExercised, space.Cause().Error()
	case ctx.Err() != nil:
		r.Outcome, r.Why = NotExercised, context.Cause(ctx).Error()
	case errors.Is(err, storetest.ErrNotExercised):
		r.Outcome = NotExercised
		r.Why = strings.TrimPrefix(r.Why, storetest.ErrNotExercised.Error()+": ")
	}
	return r
}

// reason is an error of a case without what the result says already.
func reason(name, rule string, err error) string {
	text := strings.TrimPrefix(err.Error(), name+": ")
	return strings.TrimSuffix(text, "\n\trule: "+rule)
}
