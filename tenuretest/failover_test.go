package tenuretest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

// leader is what the scheduler needs of a member; *tenure.Member is one, and so
// is *tenuretest.Node.
type leader interface {
	ID() string
	Lead(context.Context, string, func(context.Context, tenure.Term) error, tenure.LeadOptions) error
}

// schedule is the program under test: whoever leads ticks.
func schedule(ctx context.Context, m leader, tick func(member string)) error {
	return m.Lead(ctx, "scheduler", func(ctx context.Context, _ tenure.Term) error {
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				tick(m.ID())
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, tenure.LeadOptions{})
}

// How a program is tested for fail-over, as it would stand in a file of its own.
func TestSchedulerFailsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time costs nothing in here
		a := tenuretest.NewArena()
		defer a.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ticks := make(chan string, 1000)
		nodes := map[string]*tenuretest.Node{}
		for _, id := range []string{"one", "two"} {
			n, err := a.Join(ctx, tenure.Options{ID: id, TTL: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			nodes[id] = n
			go func() { _ = schedule(ctx, n, func(member string) { ticks <- member }) }()
		}

		first := <-ticks
		nodes[first].Crash()
		crashed := time.Now()
		a.Pass(9 * time.Second) // the first may have ticked until its term was over
		for len(ticks) > 0 {
			<-ticks
		}
		second := <-ticks

		if after := time.Since(crashed); second == first || after > 12*time.Second {
			t.Errorf("%s ticks %v after %s has crashed", second, after, first)
		}
		if err := a.Check(tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
	})
}
