//go:build linux

package guard

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pty is a terminal with a parent as its session's leader.
type pty struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("SKIPPED: no pseudo terminals here: %v", err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	p := &pty{t: t, master: master, slave: slave}
	go func() { _, _ = io.Copy(p, master) }()
	return p
}

func (p *pty) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *pty) shows(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.seen.String(), text)
}

func (p *pty) types(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) foreground() int {
	p.t.Helper()
	pgid, err := unix.IoctlGetInt(int(p.master.Fd()), unix.TIOCGPGRP)
	if err != nil {
		p.t.Fatal(err)
	}
	return pgid
}

func (p *pty) echoes() bool {
	p.t.Helper()
	settings, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// parent starts a parent on the terminal.
func (p *pty) parent(s *stage, set func(*exec.Cmd)) *puppet {
	p.t.Helper()
	parent, _ := startParent(p.t, s, func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = p.slave, p.slave, p.slave
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if set != nil {
			set(c)
		}
	})
	parent.ask("catch")
	parent.ask("start")
	return parent
}

func TestControlCReachesTheCommandOnly(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	cmd := s.accept()
	cmd.ask("catch %d", syscall.SIGINT)
	if got := tty.foreground(); got != cmd.pgid {
		t.Errorf("foreground group %d, command's %d", got, cmd.pgid)
	}
	tty.types("\x03")
	if got := cmd.read(); got != "caught 2" {
		t.Errorf("command says %q", got)
	}
	cmd.order("exit 130")
	if got := parent.read(); got != `exit {"Code":130,"Signal":0,"Killed":"","Detail":""}` {
		t.Errorf("parent says %q", got)
	}
	if got := tty.foreground(); got != parent.pgid {
		t.Errorf("foreground group %d, parent's %d", got, parent.pgid)
	}
	tty.types("\x03")
	if got := parent.read(); got != "caught 2" {
		t.Errorf("parent says %q", got)
	}
}

func TestTerminalSettingsAreRestored(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	cmd := s.accept()
	cmd.ask("noecho")
	if tty.echoes() {
		t.Fatal("the command could not change the terminal")
	}
	kill(t, cmd.pid, syscall.SIGKILL)
	parent.read()
	if !tty.echoes() {
		t.Error("the terminal is as the command left it")
	}
}

// The guard's death must not cost the terminal either.
func TestTerminalComesBackWithoutTheGuard(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	cmd := s.accept()
	kill(t, parentOf(t, cmd.pid), syscall.SIGKILL)
	parent.read()
	if got := tty.foreground(); got != parent.pgid {
		t.Errorf("foreground group %d, parent's %d", got, parent.pgid)
	}
}

func TestTerminalComesBackFromACommandThatCannotStart(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("run 3600000 /dev/null")
	if got := tty.foreground(); got != parent.pgid {
		t.Errorf("foreground group %d, parent's %d", got, parent.pgid)
	}
}

func TestControlZDoesNotSuspendALeader(t *testing.T) {
	for _, tostop := range []bool{false, true} {
		s := newStage(t)
		tty := newPTY(t)
		if tostop { // the guard is a background process, which may not write then
			settings, err := unix.IoctlGetTermios(int(tty.slave.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			settings.Lflag |= unix.TOSTOP
			if err := unix.IoctlSetTermios(int(tty.slave.Fd()), unix.TCSETS, settings); err != nil {
				t.Fatal(err)
			}
		}
		parent := tty.parent(s, nil)
		parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
		cmd := s.accept()
		tty.types("\x1a")
		until(t, func() bool { return tty.shows("a leader cannot be suspended") })
		if got := cmd.ask("ignore %d", syscall.SIGUSR1); got != "ok" {
			t.Errorf("command says %q", got)
		}
		cmd.order("exit 0")
		if got := parent.read(); got != `exit {"Code":0,"Signal":0,"Killed":"","Detail":""}` {
			t.Errorf("parent says %q", got)
		}
	}
}

// A pager at the end of a pipe needs the terminal more.
func TestTerminalStaysWithAPipeline(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	parent := tty.parent(s, func(c *exec.Cmd) { c.Stdout = w })
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	s.accept()
	if got := tty.foreground(); got != parent.pgid {
		t.Errorf("foreground group %d, parent's %d", got, parent.pgid)
	}
}

// What is given another input than the parent's does not get its terminal either.
func TestNoInput(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("start-without-input")
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	cmd := s.accept()
	if got := tty.foreground(); got != parent.pgid {
		t.Errorf("foreground group %d, parent's %d", got, parent.pgid)
	}
	if got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", cmd.pid)); got != os.DevNull {
		t.Errorf("standard input is %q (%v)", got, err)
	}
	tty.types("\x03")
	if got := parent.read(); got != "caught 2" {
		t.Errorf("parent says %q", got)
	}
}

// A shell brings its background job to the front: the parent passes that on.
func TestForegroundIsPassedOn(t *testing.T) {
	s := newStage(t)
	tty := newPTY(t)
	parent := tty.parent(s, nil)
	parent.ask("run 3600000 %s %s", os.Args[0], cmdArg)
	cmd := s.accept()
	parent.ask("front")
	stop(t, cmd.pid)
	kill(t, parent.pid, syscall.SIGCONT)
	until(t, func() bool { return tty.foreground() == cmd.pgid })
	if got := cmd.ask("ignore %d", syscall.SIGUSR1); got != "ok" {
		t.Errorf("command says %q", got)
	}
}
