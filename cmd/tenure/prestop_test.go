//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orderly is a CMD that notes when it begins and when it is told to stop.
const orderly = `trap 'echo cmd told >>order; exit 6' TERM; echo works; while :; do sleep 0.01; done`

func TestPreStopRunsBeforeTheCommandIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		end  func(w *world, p *proc)
		code int // -1: it goes on
	}{
		{"signal", nil, func(_ *world, p *proc) { p.signal(syscall.SIGTERM) }, 6},
		{"transfer", nil, func(w *world, _ *proc) {
			w.member("b", append([]string{"n"}, forever...)...)
			w.do("transfer", "n", "--to", "b", "--yes").expect(0)
		}, -1},
		{"drain", nil, func(w *world, _ *proc) { w.do("drain", "a", "--yes").expect(0) }, -1},
		{"max-hold", []string{"--max-hold", "1s"}, func(*world, *proc) {}, exitRunTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			args := append([]string{"n", "--endpoint", "10.0.0.1:80", "--pre-stop",
				`sleep 0.2; echo "pre-stop $TENURE_ELECTION $TENURE_MEMBER $TENURE_TOKEN $TENURE_ENDPOINT" >>order; echo unregistered`}, c.args...)
			a := w.lead("a", append(args, "--", "sh", "-c", orderly)...)
			a.stdout.await(a, "works")
			token := w.token("n")
			c.end(w, a)
			if c.code >= 0 {
				a.expect(c.code).says("works\n")
			} else {
				a.stderr.await(a, "ended with exit code 6; waiting to lead again")
			}
			a.stderr.await(a, "unregistered")
			if got, want := w.read("order"), fmt.Sprintf("pre-stop n a %d 10.0.0.1:80\ncmd told\n", token); got != want {
				t.Errorf("order: %q, want %q", got, want)
			}
		})
	}
}

func TestPreStopDoesNotRunForACommandThatIsGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(w *world, a *proc)
	}{
		{"it ends by itself", func(w *world, a *proc) {
			w.write("done", "")
			a.expect(3)
		}},
		{"the leadership is lost", func(w *world, a *proc) {
			w.do("depose", "n", "--yes").expect(0)
			a.stderr.await(a, "command killed; waiting to lead again")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.lead("a", "n", "--pre-stop", "touch pre-stop", "--", "sh", "-c", `echo works; while [ ! -e done ]; do sleep 0.01; done; exit 3`)
			a.stdout.await(a, "works")
			c.end(w, a)
			if strings.Contains(fmt.Sprint(w.files()), "pre-stop") {
				t.Error("it ran")
			}
		})
	}
}

func TestPreStopThatFailsIsToldAndTheCommandStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--pre-stop", "exit 4", "--", "sh", "-c", orderly)
	a.stdout.await(a, "works")
	a.signal(syscall.SIGTERM)
	a.expect(6).expectSays("pre-stop command: exit code 4")
	w.expectEmpty()
}

// A pre-stop command that hangs leaves CMD time for its own end, and both together have
// no more than the grace.
func TestPreStopThatHangsIsKilledWithinTheGrace(t *testing.T) {
	t.Parallel()
	const grace = 2 * time.Second
	for _, c := range []struct {
		name, cmd string
		code      int
	}{
		{"a command that stops", orderly, 6},
		{"a command that does not", `trap 'echo cmd told >>order' TERM; echo works; while :; do sleep 0.01; done`, 128 + 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.lead("a", "n", "--grace", grace.String(), "--pre-stop", `trap '' TERM; sleep 1000 & echo hangs; sleep 1000`, "--", "sh", "-c", c.cmd)
			a.stdout.await(a, "works")
			began := time.Now()
			a.signal(syscall.SIGTERM)
			a.expect(c.code).expectSays("pre-stop command: has not ended in time, and was killed")
			if took := time.Since(began); took < grace/2 || took > grace+stopGrace/2 {
				t.Errorf("it took %v", took)
			}
			if got := w.read("order"); got != "cmd told\n" {
				t.Errorf("order: %q", got)
			}
			w.expectEmpty()
		})
	}
}

func TestASecondSignalKillsThePreStopToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--grace", "1h", "--pre-stop", "echo hangs; sleep 1000", "--", "sh", "-c", orderly)
	a.stdout.await(a, "works")
	a.signal(syscall.SIGTERM)
	a.stderr.await(a, "hangs")
	a.signalAgain(syscall.SIGTERM)
	a.expect(128 + 9)
	w.expectEmpty()
}

// A pre-stop command works no more when another leads, whatever has become of the run.
func TestLossDuringThePreStopKillsIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		strike func(w *world, a *proc)
	}{
		{"deposed", func(w *world, _ *proc) { w.do("depose", "n", "--yes").expect(0) }},
		{"stopped", func(_ *world, a *proc) { stopUnlocked(a) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const ttl = "2s"
			a := w.lead("a", "n", "--ttl", ttl, "--grace", "1h", "--pre-stop",
				`echo hangs; while :; do echo a >>lines; sleep 0.005; done`, "--", "sh", "-c", orderly)
			a.stdout.await(a, "works")
			b := w.member("b", "n", "--ttl", ttl, "--", "sh", "-c",
				`echo works; while :; do echo b >>lines; sleep 0.005; done`)
			w.do("drain", "a", "--yes").expect(0)
			a.stderr.await(a, "hangs")
			c.strike(w, a)
			b.stdout.await(b, "works")
			eventually(t, "work of b", func() bool { return strings.Count(w.read("lines"), "b\n") > 20 })
			if _, after, _ := strings.Cut(w.read("lines"), "b"); strings.Contains(after, "a") {
				t.Error("the pre-stop command of one ran while another led")
			}
			a.signal(syscall.SIGCONT)
			a.stderr.await(a, "command killed; waiting to lead again")
		})
	}
}

// A renewal that goes on lets the pre-stop command outlast the deadline that it began with.
func TestPreStopMayOutlastTheTTL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--ttl", "1s", "--pre-stop", "sleep 2.5; echo done", "--", "sh", "-c", orderly)
	a.stdout.await(a, "works")
	a.signal(syscall.SIGTERM)
	a.expect(6).expectSays("done")
	w.expectEmpty()
}

// A run that is killed leaves no pre-stop command behind.
func TestPreStopEndsWithTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--ttl", "1m", "--grace", "1h", "--pre-stop", "trap '' TERM HUP; sleep 1000 & echo hangs; sleep 1000", "--", "sh", "-c", orderly)
	a.stdout.await(a, "works")
	a.signal(syscall.SIGTERM)
	a.stderr.await(a, "hangs")
	a.signal(syscall.SIGKILL)
	a.wait()
	w.expectNoProcess()
}
