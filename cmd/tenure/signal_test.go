//go:build unix

package main

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

var endings = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT}

func TestWaitingMemberEndsOnSignals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leader := w.lead("leader", append([]string{"n"}, forever...)...)
	before := w.keys()
	for _, sig := range endings {
		p := w.member(fmt.Sprint("waits for ", sig), append([]string{"n"}, forever...)...)
		p.signal(sig)
		p.expect(128 + int(sig)).says("")
	}
	if after := w.keys(); !slices.Equal(before, after) {
		t.Errorf("the store held %q, and holds %q", before, after)
	}
	leader.signal(syscall.SIGTERM)
	leader.expect(128 + 15)
	w.expectEmpty()
}

func TestSignalsEndAWaitForTheMemberID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("twin", append([]string{"n"}, forever...)...)
	p := w.start("run", "n", "--id", "twin", "--", "true")
	p.stderr.await(p, "waiting up to")
	p.signal(syscall.SIGTERM)
	p.expect(128 + 15)
}

// traps echoes the signals it gets, and ends by itself after TERM or INT.
const traps = `
for s in HUP USR1 USR2 QUIT WINCH; do trap "echo got $s" $s; done
trap 'echo got TERM; exit 7' TERM
trap 'echo got INT; exit 8' INT
echo works
while :; do sleep 0.01; done`

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", "n", "--", "sh", "-c", traps)
	p.stdout.await(p, "works")
	for sig, name := range map[syscall.Signal]string{
		syscall.SIGHUP: "HUP", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2", syscall.SIGQUIT: "QUIT", syscall.SIGWINCH: "WINCH",
	} {
		p.signal(sig)
		p.stdout.await(p, "got "+name+"\n")
	}
	p.signal(syscall.SIGTERM)
	p.expect(7)
	p.stdout.await(p, "got TERM\n")
	w.expectEmpty()
}

func TestInterruptEndsTheCommandAndTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", "n", "--restart", "always", "--", "sh", "-c", traps)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGINT)
	p.expect(8)
	p.stdout.await(p, "got INT\n")
	w.expectEmpty()
}

// The next member begins only when the command has ended, and then at once.
func TestTermStopsThenHandsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.lead("first", "n", "--", "sh", "-c",
		`trap 'sleep 0.3; echo first ended >>order; exit 0' TERM; echo works; while :; do sleep 0.01; done`)
	first.stdout.await(first, "works")
	next := w.member("next", "n", "--", "sh", "-c", "echo next began >>order; cat order")
	first.signal(syscall.SIGTERM)
	first.expect(0)
	next.expect(0).says("first ended\nnext began\n")
	w.expectEmpty()
}

// timeout(1) signals the process, and then its group.
func TestASignalThatIsSentTwiceIsOneToARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", "n", "--", "sh", "-c", `trap 'sleep 0.3; exit 6' TERM; echo works; while :; do sleep 0.01; done`)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGTERM)
	p.expect(6)
	w.expectEmpty()
}

func TestSecondTermKillsACommandThatIgnoresTheFirst(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.lead("a", "n", "--", "sh", "-c",
				`trap 'echo no' TERM; trap 'echo no' INT; echo works; while :; do sleep 0.01; done`)
			next := w.member("next", "n", "--", "echo", "works")
			p.stdout.await(p, "works")
			p.signal(sig)
			p.stdout.await(p, "no\n")
			asked := time.Now()
			p.signalAgain(sig)
			p.expect(128 + 9)
			if took := time.Since(asked); took >= stopGrace {
				t.Errorf("it took %v, as if asked once", took)
			}
			next.expect(0)
			w.expectEmpty()
		})
	}
}

// A leader that was stopped for longer than its TTL has lost its command, and
// comes back as a candidate.
func TestStoppedRunJoinsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", append([]string{"n", "--ttl", shortTTL.String()}, forever...)...)
	next := w.member("next", append([]string{"n", "--ttl", shortTTL.String()}, forever...)...)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGSTOP)
	time.Sleep(2 * shortTTL) // the end of the TTL is the point; no event marks it if the store is locked
	p.signal(syscall.SIGCONT)
	next.stdout.await(next, "works")
	p.stderr.await(p, "waiting to lead again")
	w.awaitCandidate("a")
	next.signal(syscall.SIGTERM)
	p.stdout.awaitTimes(p, "works", 2)
}

// HUP ends a run that waits and is CMD's business when that runs. In between, it
// waits for what comes.
func TestSignalWhileTheCommandStarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		begins bool
		code   int
	}{
		{"that then runs", true, exitRunFailed},
		{"that then does not", false, 128 + int(syscall.SIGHUP)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &signals{cancel: func() {}}
			s.hold()
			s.take(syscall.SIGHUP)
			if got := s.code(); got != exitRunFailed {
				t.Fatalf("it has ended the run with code %d", got)
			}
			var g *guard.Guard
			if c.begins {
				g = &guard.Guard{} // which has no command, and lets signals fall
			}
			s.forwardTo(g)
			if got := s.code(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}
