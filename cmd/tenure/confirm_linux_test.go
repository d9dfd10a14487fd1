package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/internal/requirestore"
)

// newTerminal returns a terminal, and what types there and reads what it shows.
func newTerminal(t *testing.T) (tty, keys *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		requirestore.Skip(t, "terminal", fmt.Sprintf("no pseudo terminals here: %v", err))
	}
	keys = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = keys.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return tty, keys
}

// onTerminal starts a command on a terminal of its own, and returns what types there.
// Its standard output stays apart.
func (w *world) onTerminal(t *testing.T, args ...string) (*proc, *os.File) {
	t.Helper()
	tty, keys := newTerminal(t)
	p := w.command(args...)
	p.cmd.Stdin, p.cmd.Stderr = tty, tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(&p.stderr, keys) }()
	return p.begin(), keys
}

// shows waits until the terminal does: what was written there may be read from it only
// after the end of the process.
func (p *proc) shows(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q on the terminal", text), func() bool { return strings.Contains(p.stderr.String(), text) })
}

func types(t *testing.T, keys *os.File, text string) {
	t.Helper()
	if _, err := keys.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestOrdersAreConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"n", "--endpoint", "10.0.0.1:80"}, forever...)...)
	w.member("b", append([]string{"n"}, forever...)...)
	token := w.token("n")
	leads := fmt.Sprintf("a at 10.0.0.1:80 leads, token %d", token)
	before := w.keys()
	commands := []struct {
		args []string
		asks []string
	}{
		{[]string{"transfer", "n", "--to", "b"}, []string{"n: " + leads, "Transfer it to b? [y/N] "}},
		{[]string{"depose", "n"}, []string{"n: " + leads, "Depose it? [y/N] "}},
		{[]string{"pause", "n"}, []string{"n: " + leads + ", and goes on", "Pause it, so that nobody is elected? [y/N] "}},
		{[]string{"drain", "a"}, []string{"a leads n.", "Drain it? [y/N] "}},
		{[]string{"drain", "b"}, []string{"b leads nothing.", "Drain it? [y/N] "}},
		{[]string{"history", "n", "--clear"}, []string{"n: delete what is written of its terms? [y/N] "}},
	}
	for _, c := range commands {
		for _, answer := range []string{"\n", "n\n", "yesterday\n", "\x04"} { // ^D
			p, keys := w.onTerminal(t, c.args...)
			for _, text := range c.asks {
				p.shows(text)
			}
			types(t, keys, answer)
			p.expect(1).says("")
			p.shows("tenure: not confirmed; nothing was done")
		}
	}
	if after := w.keys(); fmt.Sprint(after) != fmt.Sprint(before) || w.token("n") != token {
		t.Errorf("the store held %q and token %d, and holds %q and %d", before, token, after, w.token("n"))
	}
	for i, c := range commands {
		p, keys := w.onTerminal(t, c.args...)
		p.shows("[y/N] ")
		types(t, keys, []string{"y\n", "YES\n"}[i%2])
		p.expect(0)
	}
}

// What was confirmed is what is done: somebody else may lead by the time of the answer.
func TestLeaderChangesWhileAsked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"depose", "n"}, {"transfer", "n", "--to", "c"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.lead("a", append([]string{"n"}, forever...)...)
			w.member("b", append([]string{"n"}, forever...)...)
			w.member("c", append([]string{"n"}, forever...)...)
			p, keys := w.onTerminal(t, args...)
			p.shows("[y/N] ")
			w.do("transfer", "n", "--to", "b", "--yes").expect(0)
			token := w.token("n")
			types(t, keys, "y\n")
			p.expect(1).says("")
			p.shows("the leader has changed")
			if got := w.token("n"); got != token {
				t.Errorf("token %d, want %d as before", got, token)
			}
		})
	}
}

// An answer must come from somebody who has seen the question.
func TestQuestionNobodySees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0) // a device, but no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p := w.command("depose", "n")
	p.cmd.Stdin = null
	expectOneError(t, p.begin().expect(exitUsage), "give --yes")
	tty, _ := newTerminal(t)
	p = w.command("depose", "n")
	p.cmd.Stdin = tty // but standard error is a pipe
	expectOneError(t, p.begin().expect(exitUsage), "give --yes")
}
