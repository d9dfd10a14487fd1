//go:build unix

package guard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LeftoverGrace is how long background jobs may take to end after CMD's main
// process has.
const LeftoverGrace = 2 * time.Second

// supervisor is the guard process: one thread, one loop. Whatever wakes it, it
// first reads what the parent said, then what became of its children, and only
// then judges by the clocks. So an extension that was written in time counts,
// however late the guard wakes.
type supervisor struct {
	commands lines
	children int // descriptor; readable when a child may have changed state
	alarm    *alarm
	closed   bool // no more commands
	fault    error

	pgid     int // CMD's pid and group; 0 before, and once the group is empty
	ended    bool
	outside  bool // the group has a member that is no child of ours
	killing  bool
	deadline Deadline
	grace    int64 // boot time at which the group is killed, 0: not asked to stop
	graceFor Reason
	killed   Reason
}

func (s *supervisor) serve() error {
	s.tell(report{Op: opHello, Version: protocolVersion})
	for {
		if err := s.wait(); err != nil {
			s.fail(err)
			return s.fault
		}
		s.obey()
		s.reap()
		s.judge()
		if s.closed && s.pgid == 0 {
			return s.fault
		}
	}
}

func (s *supervisor) wait() error {
	fds := []int{s.children, commandFD}
	if s.closed {
		fds[1] = -1 // for ever readable
	}
	var pause time.Duration
	if s.outside {
		pause = groupPoll
	}
	err := s.alarm.wait(fds, s.next(), pause)
	var buf [64]byte
	for n := len(buf); n == len(buf); {
		n, _ = unix.Read(s.children, buf[:])
	}
	return err
}

// next is when the group must be looked at.
func (s *supervisor) next() *Deadline {
	if s.pgid == 0 || s.killing {
		return nil
	}
	d := s.deadline
	if s.grace != 0 {
		d.Boot = min(d.Boot, s.grace)
	}
	return &d
}

func (s *supervisor) judge() {
	switch {
	case s.pgid == 0 || s.killing:
	case s.deadline.passed():
		s.kill(ByDeadline)
	case s.grace != 0 && bootNow() >= s.grace:
		s.kill(s.graceFor)
	}
}

func (s *supervisor) obey() {
	if s.closed {
		return
	}
	err := s.commands.read(s.command)
	if err == nil {
		return
	}
	s.closed = true
	if !errors.Is(err, io.EOF) {
		s.fail(err)
		return
	}
	s.kill(byOrphaning)
}

// fail ends everything at once: a guard that does not understand is no guard.
func (s *supervisor) fail(err error) {
	s.fault = err
	s.kill(ByLoss)
	s.tell(report{Op: opFault, Error: err.Error()})
}

func (s *supervisor) command(line []byte) error {
	c, err := decodeCommand(line)
	if err != nil {
		return err
	}
	if c.Op == opRun {
		return s.run(c)
	}
	if s.pgid == 0 {
		return nil // the group has ended while the command was on its way
	}
	switch c.Op {
	case opExtend:
		s.deadline = *c.Until
	case opSignal:
		s.signal(syscall.Signal(c.Signal))
	case opStop:
		s.stop(c.Grace, ByGrace)
	}
	return nil
}

func (s *supervisor) run(c command) error {
	if s.pgid != 0 || s.ended {
		return errors.New("a guard runs one command")
	}
	s.start(c)
	return nil
}

func (s *supervisor) start(c command) {
	if c.Until.passed() {
		s.tell(report{Op: opFailed, Code: CodeNotStarted, Error: ErrDeadline.Error(), Killed: ByDeadline})
		return
	}
	s.deadline = *c.Until
	pid, code, err := start(c.Run.unpack(), c.Run.Foreground)
	if err != nil {
		s.tell(report{Op: opFailed, Code: code, Error: err.Error()})
		return
	}
	s.pgid = pid
	s.tell(report{Op: opStarted, Pid: pid})
	// From here on nothing is forked, so nothing inherits this: a word to a
	// terminal that is not ours must not stop the guard.
	signal.Ignore(syscall.SIGTTOU)
}

// stop asks the group to end, and lets it live for grace at most. An earlier
// end stays.
func (s *supervisor) stop(grace time.Duration, why Reason) {
	end := addClamped(bootNow(), grace)
	if s.grace == 0 || end < s.grace {
		s.grace, s.graceFor = end, why
	}
	s.signal(syscall.SIGTERM)
	s.signal(syscall.SIGCONT) // a stopped process does not see SIGTERM
}

func (s *supervisor) kill(why Reason) {
	if s.pgid == 0 || s.killing {
		return
	}
	s.killing, s.killed = true, why
	s.signal(syscall.SIGKILL)
}

// signal must be called with a group that has a member not yet reaped: any other
// may be somebody else's by now.
func (s *supervisor) signal(sig syscall.Signal) {
	_ = syscall.Kill(-s.pgid, sig) // the group may be all zombies
}

// reap collects every child that has ended, also those that left the group.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := wait4(-1, &status, syscall.WNOHANG|syscall.WUNTRACED)
		if pid <= 0 || err != nil {
			break
		}
		if pid == s.pgid {
			s.mainChanged(status)
		}
	}
	if s.pgid != 0 && s.ended {
		s.checkGroup()
	}
}

func (s *supervisor) mainChanged(status syscall.WaitStatus) {
	if status.Stopped() {
		if status.StopSignal() == syscall.SIGTSTP {
			s.signal(syscall.SIGCONT)
			go fmt.Fprintln(os.Stderr, "tenure: a leader cannot be suspended; continued")
		}
		return
	}
	s.ended = true
	s.tell(exited(status))
}

func exited(status syscall.WaitStatus) report {
	if status.Signaled() {
		return report{Op: opExited, Signal: int(status.Signal())}
	}
	return report{Op: opExited, Code: status.ExitStatus()}
}

// checkGroup finds out what is left of the group after its main process.
func (s *supervisor) checkGroup() {
	_, err := wait4(-s.pgid, nil, syscall.WNOHANG)
	s.outside = errors.Is(err, syscall.ECHILD)
	if s.outside && groupDead(s.pgid) {
		s.pgid, s.outside = 0, false
		s.tell(report{Op: opGone, Killed: s.verdict()})
		return
	}
	switch {
	case s.killing:
		s.signal(syscall.SIGKILL) // somebody may have joined since
	case s.grace == 0:
		s.stop(LeftoverGrace, byLeftovers)
	}
}

// verdict hides the end of background jobs, of which the command's own result
// says nothing.
func (s *supervisor) verdict() Reason {
	if s.killed == byLeftovers {
		return NotKilled
	}
	return s.killed
}

func (s *supervisor) tell(r report) {
	// A handful of short lines cannot fill the pipe. Without a reader the command
	// pipe is closed, too.
	_, _ = unix.Write(reportFD, encode(r))
}
