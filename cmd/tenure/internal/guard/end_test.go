//go:build linux

package guard

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// slack is how late a process may be scheduled on a busy machine.
const slack = 250 * time.Millisecond

func TestStopIsTermThenKill(t *testing.T) {
	t.Run("a command that obeys", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		runPuppet(t, s, g)
		g.Stop(time.Hour)
		expect(t, g, Exit{Signal: syscall.SIGTERM})
	})
	t.Run("a command that does not", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		p.ask("ignore %d", syscall.SIGTERM)
		asked := time.Now()
		g.Stop(200 * time.Millisecond)
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByGrace})
		if took := time.Since(asked); took < 200*time.Millisecond {
			t.Errorf("killed after %v", took)
		}
	})
	t.Run("a stopped command", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		stop(t, p.pid)
		g.Stop(time.Hour)
		expect(t, g, Exit{Signal: syscall.SIGTERM})
	})
	t.Run("never later than the deadline", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		p.ask("ignore %d", syscall.SIGTERM)
		if err := g.Extend(in(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		g.Stop(time.Hour)
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByDeadline})
	})
	t.Run("a second, shorter grace", func(t *testing.T) {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		p.ask("ignore %d", syscall.SIGTERM)
		g.mu.Lock()
		for _, grace := range []time.Duration{time.Hour, 0, time.Hour} { // the guard alone
			if err := g.send(command{Op: opStop, Grace: grace}); err != nil {
				t.Error(err)
			}
		}
		g.mu.Unlock()
		expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByGrace})
	})
}

// The request to run may take several writes. What comes meanwhile must not end
// up in the middle of it, nor get lost.
func TestCommandsWaitForTheStart(t *testing.T) {
	newStage(t)
	g := startGuard(t)
	stop(t, g.proc.Pid)
	result := make(chan error, 1)
	go func() {
		_, err := g.Run(Command{Args: []string{"sleep", "1000"}}, in(time.Hour))
		result <- err
	}()
	until(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.state == starting
	})
	if err := g.Extend(in(2 * time.Hour)); err != nil {
		t.Error(err)
	}
	g.Stop(time.Hour)
	kill(t, g.proc.Pid, syscall.SIGCONT)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	expect(t, g, Exit{Signal: syscall.SIGTERM})
}

func TestKillOverridesStop(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	p.ask("ignore %d", syscall.SIGTERM)
	child.ask("ignore %d", syscall.SIGTERM)
	g.Stop(time.Hour)
	g.Kill()
	expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByKill})
	child.ended()
}

func TestKillEndsAStoppedGroup(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	stop(t, p.pid)
	stop(t, child.pid)
	g.Kill()
	expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByKill})
	child.ended()
}

func TestDeadlineEndsTheGroup(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	files := [2]string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	p.ask("stamp %s", files[0])
	child.ask("stamp %s", files[1])
	d := in(300 * time.Millisecond)
	if err := g.Extend(d); err != nil {
		t.Fatal(err)
	}
	expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByDeadline})
	child.ended()
	for _, f := range files {
		late(t, f, d.Boot)
	}
}

// late checks that nothing was done after the deadline.
func late(t *testing.T, file string, deadline int64) {
	t.Helper()
	if over := time.Duration(lastStamp(t, file) - deadline); over > slack {
		t.Errorf("lived %v after its deadline", over)
	}
}

func TestExtensionsKeepItAlive(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	run(t, g, in(2*time.Second), os.Args[0], cmdArg)
	p := s.accept()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // renewals have a rhythm
		if err := g.Extend(in(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	p.order("exit 5")
	expect(t, g, Exit{Code: 5})
}

func TestPassedDeadlineStaysPassed(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	runPuppet(t, s, g)
	g.mu.Lock()
	g.deadline = in(-time.Second)
	g.mu.Unlock()
	if err := g.Extend(in(time.Hour)); !errors.Is(err, ErrDeadline) {
		t.Errorf("extend: %v", err)
	}
}

// A jump of the wall clock looks like a wall deadline much nearer than the one
// on the boot clock.
func TestWallClockCountsToo(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	runPuppet(t, s, g)
	g.mu.Lock()
	d := Deadline{Boot: in(time.Hour).Boot, Wall: time.Now().Add(200 * time.Millisecond).UnixNano()}
	if err := g.send(command{Op: opExtend, Until: &d}); err != nil { // the guard alone
		t.Error(err)
	}
	g.mu.Unlock()
	expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByDeadline})
}

func TestBackgroundJobsEndWithTheCommand(t *testing.T) {
	for _, obeys := range []bool{true, false} {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		child := p.spawn(s)
		if !obeys {
			child.ask("ignore %d", syscall.SIGTERM)
		}
		ended := time.Now()
		p.order("exit 4")
		expect(t, g, Exit{Code: 4})
		child.ended()
		if took := time.Since(ended); obeys == (took >= LeftoverGrace) {
			t.Errorf("obeys %t: took %v", obeys, took)
		}
	}
}

func TestDeadlineHoldsForBackgroundJobs(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	child.ask("ignore %d", syscall.SIGTERM)
	if err := g.Extend(in(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	p.order("exit 4")
	expect(t, g, Exit{Code: 4, Killed: ByDeadline})
	child.ended()
}

// A member whose own parent has left the group cannot be waited for, and that
// parent may leave a zombie.
func TestMemberWithAParentElsewhere(t *testing.T) {
	for _, byGuard := range []bool{true, false} {
		s := newStage(t)
		g := startGuard(t)
		p := runPuppet(t, s, g)
		middle := p.spawn(s)
		member := middle.spawn(s)
		middle.ask("leave")
		if byGuard {
			p.order("exit 6")
			expect(t, g, Exit{Code: 6})
		} else {
			kill(t, g.proc.Pid, syscall.SIGKILL)
			expect(t, g, Exit{Signal: syscall.SIGKILL, Killed: ByLoss})
		}
		member.ended()
		middle.order("exit 0")
		middle.ended()
	}
}

func TestOrphansAreReapedWhileTheCommandRuns(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	child := p.spawn(s)
	grandchild := child.spawn(s)
	child.order("exit 0")
	child.ended()
	grandchild.order("exit 0")
	until(t, func() bool { return procState(grandchild.pid) == "" })
	p.order("exit 0")
	expect(t, g, Exit{})
}

// A process with a session of its own is not covered, and says so here.
func TestDaemonOutlivesTheGroup(t *testing.T) {
	s := newStage(t)
	g := startGuard(t)
	p := runPuppet(t, s, g)
	p.order("spawn-session")
	daemon := s.accept()
	p.order("exit 0")
	expect(t, g, Exit{})
	g.Close()
	if got := daemon.ask("ignore %d", syscall.SIGUSR1); got != "ok" {
		t.Errorf("daemon says %q", got)
	}
	if parent := parentOf(t, daemon.pid); parent == os.Getpid() {
		t.Error("the daemon has become a child of this process, which will not reap it")
	}
	daemon.order("exit 0")
	daemon.ended()
}
