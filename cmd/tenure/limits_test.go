//go:build unix

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// expectSays fails unless standard error has each of these.
func (p *proc) expectSays(parts ...string) {
	p.t.Helper()
	p.wait()
	for _, part := range parts {
		if !strings.Contains(p.stderr.String(), part) {
			p.t.Errorf("%q does not say %q on standard error, but:\n%s", p.cmd.Args[1:], part, p.stderr.String())
		}
	}
}

func TestLimitsOfARunAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--grace", "-1s"}, "--grace is -1s; give one from 0s to 24h"},
		{[]string{"--grace", "25h"}, "--grace is 25h0m0s; give one from 0s to 24h"},
		{[]string{"--wait-timeout", "-1s"}, "--wait-timeout is -1s; give one that is not negative"},
		{[]string{"--max-hold", "999ms"}, "--max-hold is 999ms; give 1s at least"},
		{[]string{"--max-hold", "-1s"}, "--max-hold is -1s; give 1s at least"},
		{[]string{"--health-cmd", "true", "--health-grace", "-1s"}, "--health-grace is -1s"},
		{[]string{"--health-grace", "1s"}, "--health-grace is of no use without --health-cmd"},
		{[]string{"--health-cmd", " "}, "--health-cmd is empty"},
		{[]string{"--pre-stop", ""}, "--pre-stop is empty"},
	} {
		args := slices.Concat([]string{"run", "n"}, c.args, []string{"--", "true"})
		w.do(args...).expect(exitRunFailed).expectSays(c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("files: %q", files)
	}
}

// Who waits no longer leaves nothing behind, and keeps nobody from the seat.
func TestWaitTimeoutWhileAnotherLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.lead("first", append([]string{"n"}, forever...)...)
	before := w.keys()
	p := w.start(append([]string{"run", "n", "--id", "late", "--wait-timeout", "1s"}, forever...)...)
	p.expect(exitRunTimeout).says("").expectSays("n: not elected within 1s")
	if after := w.keys(); !slices.Equal(before, after) {
		t.Errorf("the store held %q, and holds %q", before, after)
	}
	next := w.member("next", append([]string{"n"}, forever...)...)
	first.signal(syscall.SIGTERM)
	next.stdout.await(next, "works")
	first.expect(128 + 15)
	next.signal(syscall.SIGTERM)
	next.expect(128 + 15)
	w.expectEmpty()
}

// A term ends a wait, and its end begins another.
func TestWaitTimeoutBoundsEachWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const limit = 2 * time.Second
	p := w.lead("a", append([]string{"n", "--wait-timeout", limit.String()}, forever...)...)
	p.stdout.await(p, "works")
	time.Sleep(limit + limit/4) // a limit that goes on while it leads is over by now
	p.stdout.awaitTimes(p, "works", 1)
	w.expectLeader("n")
	b := w.member("b", append([]string{"n"}, forever...)...)
	began := time.Now()
	w.do("transfer", "n", "--to", "b", "--yes").expect(0)
	p.expect(exitRunTimeout).expectSays("n: not elected within 2s")
	if took := time.Since(began); took < limit {
		t.Errorf("it waited %v", took)
	}
	b.signal(syscall.SIGTERM)
	b.expect(128 + 15)
	w.expectEmpty()
}

// expectLeader fails unless somebody leads.
func (w *world) expectLeader(election string) {
	w.t.Helper()
	if p := w.do("leader", election); p.wait() != 0 {
		w.t.Errorf("nobody leads: %s", p.stderr.String())
	}
}

func (w *world) awaitFile(name string) {
	w.t.Helper()
	eventually(w.t, name, func() bool {
		_, err := os.Stat(w.path(name))
		return err == nil
	})
}

// A store that is away counts as waiting: from before it was ever reached, and after.
func TestWaitTimeoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		joined bool
	}{{"from the start", false}, {"later", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, proxy := newWorldBehindProxy(t)
			before := w.lead("before", append([]string{"n", "--ttl", "2s", "--store", w.direct}, forever...)...)
			args := append([]string{"run", "n", "--id", "a", "--ttl", "2s", "--wait-timeout", "4s"}, forever...)
			if !c.joined {
				proxy.Cut()
			}
			p := w.start(args...)
			if c.joined {
				p.stderr.await(p, "waits to lead")
				proxy.Cut()
			}
			p.expect(exitRunTimeout).says("").expectSays("n: not elected within 4s")
			proxy.Heal()
			before.signal(syscall.SIGTERM)
			before.expect(128 + 15)
			w.store = w.direct
			eventually(t, "an empty store, after the TTL", func() bool { return len(w.keys()) == 0 })
			w.expectNoProcess()
		})
	}
}

// behindProxy is a world whose store may be cut off.
type behindProxy struct {
	*world
	direct string // the store past the proxy
}

func newWorldBehindProxy(t *testing.T) (behindProxy, *etcdtest.Proxy) {
	t.Helper()
	c, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	proxy, err := etcdtest.NewProxy(c.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	_, host, _ := strings.Cut(proxy.Endpoint, "://")
	w := newWorldOver(t, t.TempDir(), "etcd://"+host)
	return behindProxy{w, "etcd://" + hosts}, proxy
}

func TestGraceIsForACommandThatIgnoresTerm(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{0, 700 * time.Millisecond} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.lead("a", append([]string{"n", "--grace", grace.String()}, stubborn...)...)
			p.stdout.await(p, "works")
			began := time.Now()
			p.signal(syscall.SIGTERM)
			p.expect(128 + 9)
			if took := time.Since(began); took < grace || took > grace+stopGrace/2 {
				t.Errorf("it took %v", took)
			}
			w.expectEmpty()
		})
	}
}

func TestGraceOfAnInterrupt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", "n", "--grace", "300ms", "--", "sh", "-c", `trap 'echo no' INT; echo works; while :; do sleep 0.01; done`)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGINT)
	p.stdout.await(p, "no")
	p.expect(128 + 9)
	w.expectEmpty()
}

// The seat is passed on only after CMD's end, and CMD's exit code does not count.
func TestMaxHoldHandsOverAndEndsTheRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, onTerm string }{
		{"the command succeeds", "echo first ended >>order; exit 0"},
		{"the command fails", "echo first ended >>order; exit 7"},
		{"the command does not stop", ":"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.lead("first", "n", "--max-hold", "1s", "--grace", "1s", "--", "sh", "-c",
				fmt.Sprintf(`trap '%s' TERM; echo works; while :; do sleep 0.01; done`, c.onTerm))
			first.stdout.await(first, "works")
			next := w.member("next", "n", "--", "sh", "-c", "echo next began >>order; cat order")
			first.expect(exitRunTimeout).expectSays("has led for 1s, the most it may")
			want := "next began\n"
			if c.onTerm != ":" {
				want = "first ended\n" + want
			}
			next.expect(0).says(want)
			w.expectEmpty()
		})
	}
}

// With --restart members take turns, each as the last in line after its own.
func TestMaxHoldWithRestartTakesTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := []string{"--max-hold", "1s", "--restart", "on-failure", "--", "sh", "-c",
		`trap 'exit 0' TERM; echo $TENURE_MEMBER >>turns; while :; do sleep 0.01; done`}
	a := w.lead("a", append([]string{"n"}, cmd...)...)
	b := w.member("b", append([]string{"n"}, cmd...)...)
	c := w.member("c", append([]string{"n"}, cmd...)...)
	turns := func() []string {
		text, _ := os.ReadFile(w.path("turns")) // there is none before the first
		return strings.Fields(string(text))
	}
	begun := len(turns()) + 1 // from here on all three were in line before the turn began
	eventually(t, "six turns", func() bool { return len(turns()) >= begun+6 })
	for _, p := range []*proc{a, b, c} {
		p.signal(syscall.SIGTERM)
		p.wait()
		if pauses := count(p, "campaigning again in"); pauses > 0 {
			t.Errorf("it has paused %d times, as after a failure", pauses)
		}
	}
	for round := range slices.Chunk(turns()[begun:begun+6], 3) {
		if slices.Sort(round); !slices.Equal(round, []string{"a", "b", "c"}) {
			t.Errorf("not everybody had a turn: %q", turns())
		}
	}
	w.expectEmpty()
}

// Without another that waits the same member leads again, in another term.
func TestMaxHoldOfTheOnlyMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--max-hold", "1s", "--restart", "always", "--", "sh", "-c", `echo token $TENURE_TOKEN; exec sleep 1000`)
	a.stdout.awaitTimes(a, "token ", 2)
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	tokens := strings.Fields(strings.ReplaceAll(a.stdout.String(), "token ", ""))
	if tokens[0] == tokens[1] {
		t.Errorf("tokens: %q", tokens)
	}
	w.expectEmpty()
}

// A command that ends by itself in time ends with its own code.
func TestMaxHoldOfAShortCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("run", "n", "--max-hold", "1m", "--", "sh", "-c", "exit 5").expect(5)
	w.expectEmpty()
}
