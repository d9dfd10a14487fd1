//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// stubborn is a CMD that works whatever it is told, and shows it.
var stubborn = []string{"--", "sh", "-c", `trap '' TERM; echo works; while :; do echo $TENURE_MEMBER >>lines; sleep 0.005; done`}

// A leader that was deposed works no more when another does, and that soon does:
// whatever has become of the first.
func TestDeposeOfALeaderThatDoesNotStop(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	for _, c := range []struct {
		name   string
		ttl    time.Duration
		strike func(w *world, a *proc)
		within time.Duration
		says   string // the first run, when it can
	}{
		// What kills the command is neither the TTL nor the end of a grace.
		{"its command ignores TERM", time.Minute, func(*world, *proc) {}, stopGrace / 2, "command killed; waiting to lead again"},
		{"it is stopped", ttl, func(_ *world, a *proc) { stopUnlocked(a) }, 2 * ttl, "waiting to lead again"},
		{"it is draining for a transfer", ttl, func(w *world, a *proc) {
			w.do("transfer", "n", "--to", "b", "--yes", "--timeout", "1s").expect(1)
			a.stderr.await(a, "given up")
		}, 2 * ttl, "command killed; waiting to lead again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			args := append([]string{"n", "--ttl", c.ttl.String()}, stubborn...)
			a := w.lead("a", args...)
			a.stdout.await(a, "works")
			b := w.member("b", args...)
			c.strike(w, a)
			w.do("depose", "n", "--yes").expect(0)
			began := time.Now()
			b.stdout.await(b, "works")
			if took := time.Since(began); took > c.within {
				t.Errorf("it took %v, want %v at most", took, c.within)
			}
			eventually(t, "work of b", func() bool { return strings.Count(w.read("lines"), "b\n") > 3 })
			if first := strings.Index(w.read("lines"), "b"); strings.Contains(w.read("lines")[first:], "a") {
				t.Error("both work")
			}
			a.signal(syscall.SIGCONT)
			a.stderr.await(a, c.says)
			w.awaitCandidate("a")
		})
	}
}

// stopUnlocked stops a process while it has no lock on the store: that would keep
// everybody from being elected.
func stopUnlocked(p *proc) {
	p.t.Helper()
	eventually(p.t, "a stop without a lock", func() bool {
		p.signal(syscall.SIGSTOP)
		if holdsLock(p.cmd.Process.Pid) {
			p.signal(syscall.SIGCONT)
			return false
		}
		return true
	})
}

// A run that is told to end while its leadership is wanted elsewhere ends as its
// command does.
func TestSignalDuringATransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--restart", "always", "--", "sh", "-c",
		`trap 'echo told' TERM; trap 'echo interrupted; exit 8' INT; echo works; while :; do sleep 0.01; done`)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	transfer := w.start("transfer", "n", "--to", "b", "--yes")
	a.stdout.await(a, "told")
	a.signal(syscall.SIGINT)
	a.stdout.await(a, "interrupted")
	a.expect(8)
	if got := a.stderr.String(); strings.Contains(got, "waiting to lead again") {
		t.Errorf("it says that it goes on:\n%s", got)
	}
	transfer.expect(0)
	b.stdout.await(b, "works")
}

// The exit code of a command that was told to stop for others is not the run's,
// whatever it is.
func TestExitCodeAfterADrainIsNotTheRuns(t *testing.T) {
	t.Parallel()
	for _, restart := range []string{"no", "on-failure", "always"} {
		t.Run(restart, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.lead("a", "n", "--restart", restart, "--", "sh", "-c",
				`trap 'exit 7' TERM; echo works; while [ ! -e done ]; do sleep 0.01; done; exit 5`)
			for n := 1; n <= 3; n++ {
				a.stdout.awaitTimes(a, "works", n)
				w.do("drain", "a", "--yes").expect(0)
				a.stderr.awaitTimes(a, "command ended with exit code 7; waiting to lead again", n)
				w.do("undrain", "a").expect(0)
			}
			a.stdout.awaitTimes(a, "works", 4)
			if restart == "no" { // and its own end is
				w.write("done", "")
				a.expect(5)
			}
		})
	}
}

// What ends a term counts if it comes before the command's end, and not after.
func TestCommandEndsAndTheTermDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		cause error
		again bool
	}{
		{"it lasts", nil, false},
		{"drained", fmt.Errorf("%w by ops", tenure.ErrDrained), true},
		{"transferred", tenure.ErrTransferred, true},
		{"lost", tenure.ErrSessionExpired, true},
		{"deposed", tenure.ErrDeposed, true},
		{"ended by a signal", context.Canceled, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newTestRunner(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.cause != nil {
				cancel(c.cause)
			}
			term := &endedTerm{ctx: ctx, held: c.cause == nil}
			if err := r.ended(guard.Exit{Code: 3}, term); err != nil {
				t.Fatal(err)
			}
			if again := r.exit == nil; again != c.again {
				t.Errorf("campaigns again: %v, want %v", again, c.again)
			}
			if !term.resigned {
				t.Error("what ends the term from now on would still count")
			}
		})
	}
}

func TestWhatBecameOfACommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		exit guard.Exit
		want string
	}{
		{guard.Exit{Code: 3}, "ended with exit code 3"},
		{guard.Exit{Signal: syscall.SIGTERM}, "ended with exit code 143"},
		{guard.Exit{Signal: syscall.SIGKILL, Killed: guard.ByGrace}, "killed"},
		{guard.Exit{Signal: syscall.SIGKILL, Killed: guard.ByDeadline}, "killed"},
		{guard.Exit{Killed: "left over"}, "ended with exit code 0"},
	} {
		if got := how(c.exit); got != c.want {
			t.Errorf("%+v: %q, want %q", c.exit, got, c.want)
		}
	}
}

func TestStandingBackIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", append([]string{"n", "--ttl", shortTTL.String()}, forever...)...)
	for n := 1; n <= tenure.DefaultFlapLimit+1; n++ {
		a.stdout.awaitTimes(a, "works", n)
		w.do("depose", "n", "--yes").expect(0)
	}
	a.stderr.await(a, fmt.Sprintf("lost %d times of late", tenure.DefaultFlapLimit+1))
}
