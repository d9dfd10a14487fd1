package main

import (
	"io"
	"os"
	"syscall"
	"testing"
)

// onTerminalAlone is onTerminal with the terminal in all three streams, so that CMD gets
// it. What types there is the only one that has it open: closing that hangs up.
func (w *world) onTerminalAlone(t *testing.T, args ...string) (p *proc, keys *os.File) {
	t.Helper()
	tty, keys := newTerminal(t)
	p = w.command(args...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(&p.stderr, keys) }()
	p.begin()
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	return p, keys
}

func TestTerminalClosed(t *testing.T) {
	t.Parallel()
	const hup = 128 + int(syscall.SIGHUP)
	t.Run("while it waits", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		leader := w.lead("leader", append([]string{"n"}, forever...)...)
		before := w.keys()
		p, keys := w.onTerminalAlone(t, append([]string{"run", "n", "--id", "a"}, forever...)...)
		w.awaitCandidate("a")
		hangUp(t, keys)
		p.expect(hup)
		if after := w.keys(); len(after) != len(before) {
			t.Errorf("the store held %q, and holds %q", before, after)
		}
		leader.signal(syscall.SIGTERM)
		leader.wait()
	})
	t.Run("while a command runs that ends with it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p, keys := w.onTerminalAlone(t, "run", "n", "--", "sh", "-c", "(sleep 1000 & sleep 1000) & touch works; sleep 1000")
		w.awaitFile("works")
		next := w.member("next", "n", "--", "echo", "works")
		hangUp(t, keys)
		p.expect(hup)
		next.expect(0).says("works\n")
		w.expectEmpty()
	})
	t.Run("while a command runs that outlasts it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p, keys := w.onTerminalAlone(t, "run", "n", "--pre-stop", "touch pre-stop", "--", "sh", "-c",
			`trap 'touch hung-up' HUP; trap 'exit 6' TERM; touch works; while :; do sleep 0.01; done`)
		w.awaitFile("works")
		hangUp(t, keys)
		w.awaitFile("hung-up")
		w.expectLeader("n")
		p.signal(syscall.SIGTERM) // nobody reads what it says
		p.expect(6)
		w.awaitFile("pre-stop")
		w.expectEmpty()
	})
}

func hangUp(t *testing.T, keys *os.File) {
	t.Helper()
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
}
