//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// full fails unless the figures are those of n measurements, each of which is in the
// histogram.
func (f *figuresJSON) full(t *testing.T, what string, n int) {
	t.Helper()
	if f == nil {
		t.Errorf("%s: no figures", what)
		return
	}
	sum, inside := 0, true
	for i, b := range f.Histogram {
		sum += b.Count
		inside = inside && b.From < b.To && (i == 0 || b.From == f.Histogram[i-1].To)
	}
	if f.N != n || sum != n || !inside || f.P50 < f.Min || f.P90 < f.P50 || f.P99 < f.P90 || f.Max < f.P99 {
		t.Errorf("%s: want %d, got %+v", what, n, *f)
	}
	if first, last := f.Histogram[0], f.Histogram[len(f.Histogram)-1]; f.Min < first.From || f.Min >= first.To || f.Max < last.From || f.Max >= last.To {
		t.Errorf("%s: the histogram does not reach from the least to the most: %+v", what, *f)
	}
}

// benched fails unless a bench of so many hand-overs and fail-overs has its figures.
func benched(t *testing.T, p *proc, handOvers, failOvers int) {
	t.Helper()
	if code := p.endWithin(t, trialTime); code != 0 {
		t.Fatalf("exit code %d; stderr:\n%s", code, p.stderr.String())
	}
	b := decode[benchmarkJSON](t, p.stdout.String())
	b.HandOver.full(t, "hand-over", handOvers)
	b.FailOver.full(t, "fail-over", failOvers)
	if b.BeyondTTL == nil || b.BeyondTTL.N != failOvers {
		t.Errorf("beyond the TTL: %+v", b.BeyondTTL)
	} else if b.BeyondTTL.Min < 0 {
		// The store counts the TTL from when it has heard of the renewal, and so never
		// gives a seat away sooner.
		t.Errorf("another was elected %v s before the TTL had passed", -b.BeyondTTL.Min)
	}
}

func TestBenchOverSQLite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inUse()
	p := w.start("bench", "-n", "12", "--fail-overs", "3", "--json", "--quiet")
	benched(t, p, 12, 3)
	if p.stderr.String() != "" {
		t.Errorf("--quiet, and it says %s", p.stderr.String())
	}
	w.expectAsBefore(w.sqliteLeases)
}

func TestBenchOverEtcd(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/bench")
	w.inUse()
	benched(t, w.start("bench", "-n", "12", "--fail-overs", "2", "--members", "2", "--json"), 12, 2)
	w.expectAsBefore(func() int { return etcdLeases(t, c) })
}

func TestBenchDrawsHistograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start("bench", "-n", "10", "--fail-overs", "0", "--ttl", "500ms")
	if code := p.endWithin(t, trialTime); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	text := p.stdout.String()
	for _, part := range []string{
		"sqlite store " + w.store + ", 3 members, TTL 500ms\nThe members are of this process, ", "MEDIAN", "hand-over: function returned to next called ",
		"fail-over: leader killed to next called        -", "\nhand-over: function returned to next called\n", " to ", " #",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("does not say %q:\n%s", part, text)
		}
	}
	longest := 0
	for line := range strings.Lines(text) {
		if bar := strings.Count(line, "#"); bar > 0 {
			longest = max(longest, len(strings.TrimSuffix(line, "\n")))
		}
	}
	if longest < 70 || longest > 80 {
		t.Errorf("the longest bar reaches column %d of 80:\n%s", longest, text)
	}
}

// The leader that is to be killed is another process, and may be under way.
func TestBenchThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for phase, sig := range map[string]syscall.Signal{
		"hand-overs: 0 of": syscall.SIGINT, "fail-overs: 0 of": syscall.SIGTERM,
	} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inUse()
			args := []string{"bench", "-n", "2", "--ttl", "500ms"}
			if strings.HasPrefix(phase, "fail") {
				args[2] = "0"
			}
			p := w.start(args...)
			p.awaitLong(t, phase)
			if strings.HasPrefix(phase, "fail") {
				eventually(t, "its leader runs", func() bool { return len(marked(w.mark)) == 2 })
			}
			p.signal(sig)
			p.expect(exitFailed).says("")
			w.expectAsBefore(w.sqliteLeases)
		})
	}
}

// Who has started it may have been killed, and then nobody else ends it.
func TestTheLeaderOfABenchEndsWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inUse()
	p := w.start("bench", "-n", "0", "--fail-overs", "100", "--ttl", "10s")
	p.awaitLong(t, "fail-overs: 0 of")
	eventually(t, "its leader runs", func() bool { return len(marked(w.mark)) == 2 })
	p.signal(syscall.SIGKILL)
	w.expectNoProcess()
}
