//go:build linux

package guard

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var ctxForever = context.Background()

func startGuard(t *testing.T) *Guard {
	t.Helper()
	g, err := Start(t.Context(), os.Args[0], guardArg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func in(d time.Duration) Deadline { return DeadlineAt(time.Now().Add(d)) }

func run(t *testing.T, g *Guard, d Deadline, args ...string) int {
	t.Helper()
	pid, err := g.Run(Command{Args: args}, d)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// runPuppet runs a puppet with a deadline far away.
func runPuppet(t *testing.T, s *stage, g *Guard) *puppet {
	t.Helper()
	run(t, g, in(time.Hour), os.Args[0], cmdArg)
	return s.accept()
}

func expect(t *testing.T, g *Guard, want Exit) {
	t.Helper()
	select {
	case <-g.Done():
	case <-time.After(patience):
		t.Fatal("no end")
	}
	got := g.Wait()
	if (got.Killed == ByLoss) != (got.Detail != "") {
		t.Errorf("detail %q of %q", got.Detail, got.Killed)
	}
	if got.Detail = ""; got != want {
		t.Errorf("exit %+v, want %+v", got, want)
	}
}

func TestExitCodePassesThrough(t *testing.T) {
	for _, code := range []int{0, 3, 255} {
		newStage(t)
		g := startGuard(t)
		run(t, g, in(time.Hour), "sh", "-c", "exit "+strconv.Itoa(code))
		expect(t, g, Exit{Code: code})
	}
}

func TestSignalledCommandHasShellCode(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	run(t, g, in(time.Hour), "sh", "-c", "kill -USR1 $$")
	expect(t, g, Exit{Signal: syscall.SIGUSR1})
	if code := g.Wait().ShellCode(); code != 128+int(syscall.SIGUSR1) {
		t.Errorf("shell code %d", code)
	}
}

func TestCommandThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("not a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("not a program"), 0o700); err != nil { //nolint:gosec // must be executable
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cmd  Command
		want error
		code int
	}{
		{"not in PATH", Command{Args: []string{"no-such-command-here"}}, ErrNotFound, 127},
		{"no such file", Command{Args: []string{dir + "/none"}}, ErrNotFound, 127},
		{"file as directory", Command{Args: []string{plain + "/none"}}, ErrNotFound, 127},
		{"not executable", Command{Args: []string{plain}}, ErrNotExecutable, 126},
		{"directory", Command{Args: []string{dir}}, ErrNotExecutable, 126},
		{"bad format", Command{Args: []string{garbage}}, ErrNotExecutable, 126},
		{"no such working directory", Command{Args: []string{"true"}, Dir: dir + "/none"}, nil, 125},
	} {
		t.Run(tt.name, func(t *testing.T) {
			newStage(t)
			g := startGuard(t)
			_, err := g.Run(tt.cmd, in(time.Hour))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.want == nil && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotExecutable)) {
				t.Errorf("error %v blames the command", err)
			}
			expect(t, g, Exit{Code: tt.code})
		})
	}
}

func TestPassedDeadlineStartsNothing(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	if _, err := g.Run(Command{Args: []string{"true"}}, in(0)); !errors.Is(err, ErrDeadline) {
		t.Errorf("error %v", err)
	}
}

func TestGuardItselfRefusesPassedDeadline(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	d := in(-time.Second)
	if _, err := g.commands.Write(encode(command{Op: opRun, Run: pack(Command{Args: []string{"true"}}, false), Until: &d})); err != nil {
		t.Fatal(err)
	}
	if r := <-g.answers; r.Op != opFailed || r.Killed != ByDeadline {
		t.Errorf("answer %+v", r)
	}
}

func TestOneCommandPerGuard(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	runPuppet(t, s, g)
	if _, err := g.Run(Command{Args: []string{"true"}}, in(time.Hour)); err == nil {
		t.Error("a second command was taken")
	}
}

func TestArgumentsEnvironmentAndDirectoryPassThrough(t *testing.T) {
	newStage(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	odd := "\xff\xfe not UTF-8 \"\n"
	g := startGuard(t)
	big := strings.Repeat("x", 100_000) // with others more than a pipe holds
	env := []string{"ODD=" + odd, "OUT=" + out}
	for i := range 10 {
		env = append(env, "BIG"+strconv.Itoa(i)+"="+big)
	}
	_, err := g.Run(Command{
		Args: []string{"/bin/sh", "-c", `printf '%s|' "$1" "$ODD" "$PWD" ${#BIG9} "$HOME" >"$OUT"`, "sh", odd},
		Env:  env, Dir: dir,
	}, in(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, g, Exit{})
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := odd + "|" + odd + "|" + dir + "|100000||"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// startParent starts a parent whose stdio the test chooses.
func startParent(t *testing.T, s *stage, set func(*exec.Cmd)) (*puppet, *exec.Cmd) {
	t.Helper()
	c := exec.Command("/proc/self/exe", parentArg)
	c.Stderr = os.Stderr
	if set != nil {
		set(c)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
	return s.accept(), c
}

func TestStdioPassesThrough(t *testing.T) {
	s := newStage(t)
	input := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	var stdout bytes.Buffer
	p, c := startParent(t, s, func(c *exec.Cmd) {
		c.Stdin, c.Stdout = bytes.NewReader(input), &stdout
	})
	p.ask("start")
	p.ask("run 3600000 cat")
	if got := p.read(); got != `exit {"Code":0,"Signal":0,"Killed":"","Detail":""}` {
		t.Error(got)
	}
	_ = p.c.Close() // its end
	_ = c.Wait()
	if !bytes.Equal(stdout.Bytes(), input) {
		t.Errorf("%d bytes came out, %d went in", stdout.Len(), len(input))
	}
}

func TestNoDescriptorsLeakIntoCommand(t *testing.T) {
	newStage(t)
	out := filepath.Join(t.TempDir(), "out")
	g := startGuard(t)
	run(t, g, in(time.Hour), "sh", "-c", "ls /proc/$$/fd >"+out)
	expect(t, g, Exit{})
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// 10 and up are the shell's own; ls may list them between 1 and 2.
	fds := slices.DeleteFunc(strings.Fields(string(got)), func(fd string) bool { return len(fd) > 1 })
	if !slices.Equal(fds, []string{"0", "1", "2"}) {
		t.Errorf("descriptors %q", got)
	}
}

// A parent that was started under nohup, or with a signal blocked, hands neither
// on.
func TestCommandHasDefaultSignals(t *testing.T) {
	s := newStage(t)
	out := filepath.Join(t.TempDir(), "out")
	p, _ := startParent(t, s, func(c *exec.Cmd) {
		c.Path = "/bin/sh"
		c.Args = []string{"sh", "-c", `trap '' HUP TERM INT PIPE TTOU; exec "$0" ` + parentArg, os.Args[0]}
	})
	p.ask("block %d", syscall.SIGUSR1)
	p.ask("start")
	p.ask("run 3600000 cp /proc/self/status %s", out)
	p.read()
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// Signals 32 and 33 are the C library's own: whoever started this test may
	// have left them ignored, and the runtime does not touch them.
	const libcs = 1<<31 | 1<<32
	for _, set := range []string{"SigBlk", "SigIgn"} {
		_, rest, _ := strings.Cut(string(got), set+":\t")
		mask, err := strconv.ParseUint(strings.TrimSpace(rest[:min(len(rest), 16)]), 16, 64)
		if err != nil || mask&^libcs != 0 {
			t.Errorf("%s is %x (%v) in\n%s", set, mask, err, got)
		}
	}
}

func TestCommandAndGuardHaveGroupsOfTheirOwn(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	guardGroup, err := syscall.Getpgid(g.proc.Pid)
	if err != nil || guardGroup != g.proc.Pid {
		t.Errorf("group of the guard %d, its pid %d, %v", guardGroup, g.proc.Pid, err)
	}
	if p.pgid != p.pid {
		t.Errorf("group of the command %d, its pid %d", p.pgid, p.pid)
	}
}

func TestSignalReachesTheGroup(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	p.ask("catch %d", syscall.SIGUSR2)
	child.ask("catch %d", syscall.SIGUSR2)
	if err := g.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*puppet{p, child} {
		if got := q.read(); got != "caught 12" {
			t.Errorf("got %q", got)
		}
	}
}

func TestAfterTheEndThereIsNothingToTell(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	run(t, g, in(time.Hour), "true")
	expect(t, g, Exit{})
	if err := g.Extend(in(time.Hour)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("extend: %v", err)
	}
	if err := g.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal: %v", err)
	}
	g.Stop(time.Second)
	g.Kill()
	expect(t, g, Exit{})
}

func TestStandbyLeavesNothingBehind(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	g.Close()
	if state := procState(g.proc.Pid); state != "" {
		t.Errorf("guard in state %s", state)
	}
	if _, err := g.Run(Command{Args: []string{"true"}}, in(time.Hour)); !errors.Is(err, ErrLost) {
		t.Errorf("run after close: %v", err)
	}
}

func TestStartOfSomethingElse(t *testing.T) {
	newStage(t)
	if _, err := Start(t.Context(), os.Args[0], silentArg); !errors.Is(err, ErrLost) {
		t.Errorf("error %v", err)
	}
}
