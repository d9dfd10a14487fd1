//go:build linux

package guard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	var state string
	var ppid int
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// runInParent has a separate parent run a puppet.
func runInParent(t *testing.T, s *stage, ms int) (parent, cmd *puppet, guardPid int, deadline int64) {
	t.Helper()
	parent, _ = startParent(t, s, nil)
	if _, err := fmt.Sscanf(parent.ask("start"), "guard %d", &guardPid); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(parent.ask("run %d %s %s", ms, os.Args[0], cmdArg), "running %d %d", &pid, &deadline); err != nil {
		t.Fatal(err)
	}
	return parent, s.accept(), guardPid, deadline
}

func TestParentKilled(t *testing.T) {
	s := newStage(t)
	parent, cmd, _, _ := runInParent(t, s, 3600_000)
	child := cmd.spawn(s)
	kill(t, parent.pid, syscall.SIGKILL)
	cmd.ended()
	child.ended()
}

func TestParentKilledOnStandby(t *testing.T) {
	s := newStage(t)
	parent, proc := startParent(t, s, nil)
	var guardPid int
	if _, err := fmt.Sscanf(parent.ask("start"), "guard %d", &guardPid); err != nil {
		t.Fatal(err)
	}
	_ = proc.Process.Kill()
	_ = proc.Wait()
	until(t, func() bool { return procState(guardPid) == "" || procState(guardPid) == "Z" })
}

func TestParentStoppedPastTheDeadline(t *testing.T) {
	s := newStage(t)
	parent, cmd, _, deadline := runInParent(t, s, 1500)
	child := cmd.spawn(s)
	files := [2]string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	cmd.ask("stamp %s", files[0])
	child.ask("stamp %s", files[1])
	stop(t, parent.pid)
	cmd.ended()
	child.ended()
	if now := bootNow(); now < deadline {
		t.Errorf("killed %v before the deadline", time.Duration(deadline-now))
	}
	for _, f := range files {
		late(t, f, deadline)
	}
	kill(t, parent.pid, syscall.SIGCONT)
	if got := parent.read(); got != `exit {"Code":0,"Signal":9,"Killed":"deadline passed","Detail":""}` {
		t.Errorf("parent says %q", got)
	}
}

func TestGuardKilled(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	grandchild := child.spawn(s)
	kill(t, g.proc.Pid, syscall.SIGKILL)
	expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByLoss})
	for _, q := range []*puppet{p, child, grandchild} {
		q.ended()
		if state := procState(q.pid); state != "" {
			t.Errorf("process %d in state %s after Wait", q.pid, state)
		}
	}
	if err := g.Extend(in(time.Hour)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("extend: %v", err)
	}
}

// With the parent stopped, CMD dies all the same, and its number and the rest of
// its group wait for the parent.
func TestGuardKilledWhileParentStopped(t *testing.T) {
	s := newStage(t)
	parent, cmd, guardPid, _ := runInParent(t, s, 3600_000)
	child := cmd.spawn(s)
	stop(t, parent.pid)
	kill(t, guardPid, syscall.SIGKILL)
	cmd.ended()
	for _, q := range []*puppet{cmd, child} {
		until(t, func() bool { return parentOf(t, q.pid) == parent.pid })
	}
	until(t, func() bool { return procState(cmd.pid) == "Z" })
	kill(t, parent.pid, syscall.SIGCONT)
	child.ended()
	if got := parent.read(); !strings.Contains(got, `"Killed":"guard process lost","Detail":"signal: killed"`) {
		t.Errorf("parent says %q", got)
	}
}

func TestGuardKilledOnStandby(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	kill(t, g.proc.Pid, syscall.SIGKILL)
	<-g.Done()
	if _, err := g.Run(Command{Args: []string{"true"}}, in(time.Hour)); !errors.Is(err, ErrLost) {
		t.Errorf("run: %v", err)
	}
}

func TestGuardStopped(t *testing.T) {
	t.Run("kill", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		child := p.spawn(s)
		stop(t, g.proc.Pid)
		g.Kill()
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByKill})
		child.ended()
	})
	t.Run("deadline", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		file := filepath.Join(t.TempDir(), "stamp")
		p.ask("stamp %s", file)
		stop(t, g.proc.Pid)
		d := in(300 * time.Millisecond)
		if err := g.Extend(d); err != nil {
			t.Fatal(err)
		}
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByDeadline})
		late(t, file, d.Boot)
	})
	t.Run("grace", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		runPuppet(t, s, g)
		stop(t, g.proc.Pid)
		g.Stop(100 * time.Millisecond)
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByGrace})
	})
	t.Run("on standby", func(t *testing.T) {
		newStage(t)
		g := startGuard(t)
		stop(t, g.proc.Pid)
		if _, err := g.Run(Command{Args: []string{"true"}}, in(200*time.Millisecond)); !errors.Is(err, ErrDeadline) {
			t.Errorf("run: %v", err)
		}
		expect(t, g, Exit{Killed: ByDeadline})
	})
}

// Both stopped past the deadline: whichever goes on first ends CMD at once.
func TestGuardContinuedAfterTheDeadline(t *testing.T) {
	s := newStage(t)
	parent, cmd, guardPid, deadline := runInParent(t, s, 1000)
	stop(t, parent.pid)
	stop(t, guardPid)
	until(t, func() bool { return bootNow() > deadline })
	kill(t, guardPid, syscall.SIGCONT)
	cmd.ended()
	kill(t, parent.pid, syscall.SIGCONT)
	parent.read()
}

// What was written in time counts, however late it is read.
func TestContinuedGuardReadsBeforeItJudges(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	first := in(1500 * time.Millisecond)
	run(t, g, first, os.Args[0], cmdArg)
	p := s.accept()
	stop(t, g.proc.Pid)
	if err := g.Extend(in(time.Hour)); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return bootNow() > first.Boot })
	kill(t, g.proc.Pid, syscall.SIGCONT)
	if got := p.ask("ignore %d", syscall.SIGUSR1); got != "ok" {
		t.Errorf("command says %q", got)
	}
	p.order("exit 3")
	expect(t, g, Exit{Code: 3})
}

func TestExtendDoesNotBlockOnAStoppedGuard(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	runPuppet(t, s, g)
	stop(t, g.proc.Pid)
	var err error
	for range 10_000 {
		began := time.Now()
		if err = g.Extend(in(time.Hour)); err != nil {
			break
		}
		if took := time.Since(began); took > slack {
			t.Fatalf("blocked for %v", took)
		}
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
}

func TestMalformedCommandEndsEverything(t *testing.T) {
	for _, line := range []string{"{nonsense\n", `{"op":"dance"}` + "\n", `{"op":"extend"}` + "\n", `{"op":"stop","zeal":1}` + "\n"} {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		if _, err := g.commands.WriteString(line); err != nil {
			t.Fatal(err)
		}
		p.ended()
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByLoss})
	}
}

func TestGuardRunByHand(t *testing.T) {
	newStage(t)
	out, err := exec.Command(os.Args[0], guardArg).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "own use") {
		t.Errorf("%v: %s", err, out)
	}
}

// A guard has nothing to do until something happens.
func TestGuardSleeps(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	runPuppet(t, s, g)
	kill(t, g.proc.Pid, syscall.SIGTERM)
	until(t, func() bool {
		before := switches(t, g.proc.Pid)
		time.Sleep(300 * time.Millisecond) // to count what happens meanwhile
		return switches(t, g.proc.Pid)-before < 10
	})
}

// switches is how often the threads of a process were woken up.
func switches(t *testing.T, pid int) (sum int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatal("no tasks", err)
	}
	for _, path := range tasks {
		status, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		var n int
		_, _ = fmt.Sscan(rest, &n)
		sum += n
	}
	return sum
}

// Signals to the guard's own group are none of its business.
func TestGuardOutlivesSignals(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE,
		syscall.SIGUSR1, syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGTTOU,
	} {
		kill(t, g.proc.Pid, sig)
	}
	p.order("exit 3")
	expect(t, g, Exit{Code: 3})
}
