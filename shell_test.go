package tenure_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

// The tests of this file run the library as it is, in virtual time, through
// random schedules of what users do and of what goes wrong. The protocol alone is
// driven through many more schedules in internal/protocol; here it is goroutines,
// timers, callbacks and closing that are tried.
//
// A seed fixes what is done when. It does not fix the order in which goroutines
// run that are ready at the same moment, so a failure may need several runs:
//
//	go test -run TestShell$ -shell.seed 17 -count 20 -v
//
// writes the history of each failure to the directory TENURE_PICTURES, if set.

var (
	shellSchedules = flag.Int("shell.schedules", 300, "random schedules of the library to run")
	shellSeed      = flag.Uint64("shell.seed", 0, "run this one schedule of the library")
)

func TestShell(t *testing.T) {
	t.Parallel()
	seeds := shellSeeds(*shellSchedules)
	total := newTally()
	t.Run("schedules", func(t *testing.T) {
		for _, seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				found := runShell(t, seed, shellKind{})
				found.report(t)
				total.add(found.tally)
			})
		}
	})
	if len(seeds) < 100 {
		return
	}
	// What has never happened has not been tried.
	t.Logf("%v", total)
	for _, fault := range []string{
		"partition", "delay", "failing calls", "lost replies", "late effects", "stalled watches", "broken watches", "crash",
	} {
		if total.counts["a leader met: "+fault] == 0 {
			t.Errorf("no %s met a leader in office", fault)
		}
	}
	for _, cause := range []error{
		tenure.ErrResigned, tenure.ErrClosed, tenure.ErrSessionExpired, tenure.ErrUnproven, tenure.ErrDeposed,
		tenure.ErrTransferred, tenure.ErrPreempted, tenure.ErrDrained, tenure.ErrIneligible, tenure.ErrUnhealthy,
		tenure.ErrConditionFailed,
	} {
		if total.ended(cause) == 0 {
			t.Errorf("no term ended because of %v", cause)
		}
	}
	for _, what := range []string{
		"hand-over", "gap", "overrun", "panic", "gave up", "wrote", "session lost", "rejoined", "warning", "failed", "stood back", "terms in histories",
	} {
		if total.counts[what] == 0 {
			t.Errorf("no %s", what)
		}
	}
}

// ended counts the terms that ended with a cause, whatever else is said of it.
func (c *tally) ended(cause error) (n int) {
	for what, k := range c.counts {
		if strings.HasPrefix(what, "ended: "+cause.Error()) {
			n += k
		}
	}
	return n
}

func shellSeeds(n int) []uint64 {
	if *shellSeed != 0 {
		return []uint64{*shellSeed}
	}
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	return seeds
}

// outcomes is what a schedule has shown.
type outcomes struct {
	seed     uint64
	history  *tenuretest.History
	err      error    // of the history
	problems []string // of all else
	tally    *tally
}

func (o *outcomes) report(t *testing.T) {
	t.Helper()
	for _, p := range o.problems {
		t.Errorf("seed %d: %s", o.seed, p)
	}
	if o.err != nil {
		t.Errorf("seed %d: %v", o.seed, o.err)
	}
	if t.Failed() {
		o.draw(t)
	}
}

// draw leaves the history to look at.
func (o *outcomes) draw(t *testing.T) {
	dir := os.Getenv("TENURE_PICTURES")
	if dir == "" {
		return
	}
	var v *tenuretest.Violation
	if !errors.As(o.err, &v) {
		v = nil
	}
	for name, v := range map[string]*tenuretest.Violation{"all": nil, "violation": v} {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("shell-%d-%s.html", o.seed, name)))
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(o.history.WriteHTML(f, v), f.Close()); err != nil {
			t.Error(err)
		}
	}
}

// tally counts what has happened.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (c *tally) count(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

func (c *tally) add(other *tally) {
	for what, n := range other.counts {
		c.count(what, n)
	}
}

func (c *tally) String() string {
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		lines = append(lines, fmt.Sprintf("%6d %s", c.counts[what], what))
	}
	return strings.Join(lines, "\n")
}

// countEvents counts what a history tells.
func (c *tally) countEvents(events []tenuretest.Event) {
	held := map[string]bool{} // elections whose seat is taken
	for _, e := range events {
		switch e.Kind {
		case tenuretest.SeatTaken:
			if held[e.Election] {
				c.count("hand-over", 1)
			}
			held[e.Election] = true
		case tenuretest.SeatFreed:
			held[e.Election] = false
		case tenuretest.ObservedGap:
			c.count("gap", 1)
		case tenuretest.GaveUp:
			c.count("gave up", 1)
		case tenuretest.Wrote:
			c.count("wrote", 1)
		case tenuretest.Ended:
			c.count("ended: "+e.Err.Error(), 1)
		}
	}
	c.count("events", len(events))
}
