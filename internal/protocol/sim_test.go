package protocol_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	schedulesFlag = flag.Int("schedules", 2000, "random schedules to run, honest ones and half as many that break the assumptions")
	seedFlag      = flag.Uint64("seed", 0, "run the schedule of this seed and print it")
	opsFlag       = flag.String("ops", "", "of the schedule of -seed, run only these steps: 3,17,20-25")
	abuseFlag     = flag.Bool("abuse", false, "the seed is of a schedule that breaks the assumptions")
	fromFlag      = flag.Uint64("from", 1, "the first seed")
)

// TestSchedules drives sessions through seeded schedules of faults and checks
// after every step what must hold always, and at the end, without faults, that
// whoever may lead does and that nothing is left behind. A violation is printed
// as the shortest schedule that still shows it.
func TestSchedules(t *testing.T) {
	t.Parallel()
	if *seedFlag != 0 {
		replay(t, makeSchedule(*seedFlag, *abuseFlag, mutation{}))
		return
	}
	t.Run("honest", func(t *testing.T) {
		t.Parallel()
		searchAll(t, *schedulesFlag, false)
	})
	t.Run("assumptions broken", func(t *testing.T) {
		t.Parallel()
		searchAll(t, *schedulesFlag/2, true)
	})
}

func searchAll(t *testing.T, n int, abuse bool) {
	c, s, found := search(*fromFlag, n, abuse, mutation{}, nil)
	if found != nil {
		t.Fatal(explain(s, found))
	}
	t.Logf("\n%s", c)
	if n < wholeCoverage {
		return
	}
	for _, text := range c.missing(abuse) {
		t.Error(text)
	}
}

// wholeCoverage is how many schedules it takes for every fault to have met every
// move and every guard.
const wholeCoverage = 50_000

// search runs n schedules on all cores and returns the first, by seed, of those
// that it found to break one of the rules; nil: any.
func search(from uint64, n int, abuse bool, mut mutation, rules []rule) (*coverage, schedule, *violation) {
	var (
		next  atomic.Uint64
		stop  atomic.Bool
		mu    sync.Mutex
		total = newCoverage()
		bad   schedule
		found *violation
		wg    sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			c := newCoverage()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				total.add(c)
			}()
			for i := next.Add(1) - 1; i < uint64(n) && !stop.Load(); i = next.Add(1) - 1 {
				s := makeSchedule(from+i, abuse, mut)
				v := s.run(c, nil)
				if v == nil || (rules != nil && !slices.Contains(rules, v.rule)) {
					continue
				}
				stop.Store(true)
				mu.Lock()
				if found == nil || s.seed < bad.seed {
					bad, found = s, v
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total, bad, found
}

// replay runs one schedule and prints it.
func replay(t *testing.T, s schedule) {
	if *opsFlag != "" {
		keep, err := parseOps(*opsFlag, len(s.ops))
		if err != nil {
			t.Fatal(err)
		}
		s.ops = keepOnly(s.ops, keep)
	}
	tale := newTale()
	found := s.run(newCoverage(), tale)
	t.Logf("\n%s", tale)
	if found != nil {
		t.Errorf("%s: %s", found.rule, found.text)
	}
}

// explain makes a schedule short and tells it.
func explain(s schedule, found *violation) string {
	keep, short := shrink(s, found.rule)
	tale := newTale()
	found = short.run(newCoverage(), tale)
	if found == nil {
		found = &violation{ruleReplayable, "the shortened schedule no longer shows it"}
	}
	abuse := ""
	if s.abuse {
		abuse = " -abuse"
	}
	return fmt.Sprintf("%s: %s\nreplay: go test ./internal/protocol -run Schedules -v -seed %d%s -ops %s\n%s",
		found.rule, found.text, s.seed, abuse, formatOps(keep), tale)
}

// shrink leaves steps out for as long as the same rule breaks.
func shrink(s schedule, r rule) (keep []int, short schedule) {
	keep = make([]int, len(s.ops))
	for i := range keep {
		keep[i] = i
	}
	breaks := func(keep []int) bool {
		try := s
		try.ops = keepOnly(s.ops, keep)
		v := try.run(newCoverage(), nil)
		return v != nil && v.rule == r
	}
	for size := len(keep) / 2; size > 0; {
		before := len(keep)
		for at := 0; at < len(keep); {
			if less := slices.Delete(slices.Clone(keep), at, min(at+size, len(keep))); breaks(less) {
				keep = less
			} else {
				at += size
			}
		}
		if len(keep) == before {
			size /= 2
		}
	}
	short = s
	short.ops = keepOnly(s.ops, keep)
	return keep, short
}

func keepOnly(ops []op, keep []int) []op {
	kept := make([]op, len(keep))
	for i, k := range keep {
		kept[i] = ops[k]
	}
	return kept
}

func formatOps(keep []int) string {
	var parts []string
	for i := 0; i < len(keep); {
		j := i
		for j+1 < len(keep) && keep[j+1] == keep[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(keep[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", keep[i], keep[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func parseOps(text string, n int) (keep []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, fmt.Errorf("-ops: %w", err)
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return nil, fmt.Errorf("-ops: %w", err)
		}
		if from < 0 || to >= n {
			return nil, fmt.Errorf("-ops: %q; the schedule has the steps 0 to %d", part, n-1)
		}
		for i := from; i <= to; i++ {
			keep = append(keep, i)
		}
	}
	return keep, nil
}
