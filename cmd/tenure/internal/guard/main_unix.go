//go:build unix

package guard

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The descriptors of a guard process.
const (
	commandFD = 3
	reportFD  = 4
)

// Main is the guard process. The hidden subcommand that Start's arguments name
// calls it and exits with its result, before it builds anything else: the guard
// should start fast and stay small.
func Main() int {
	// CMD dies with the thread that forked it, so this one must stay.
	runtime.LockOSThread()
	s, err := newSupervisor()
	if err == nil {
		err = s.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tenure: guard:", err)
		return 2
	}
	return 0
}

func newSupervisor() (*supervisor, error) {
	for _, fd := range []int{commandFD, reportFD} {
		if err := checkPipe(fd); err != nil {
			return nil, err
		}
		unix.CloseOnExec(fd)
	}
	if err := unix.SetNonblock(commandFD, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", commandFD, err)
	}
	children, err := watchSignals()
	if err != nil {
		return nil, err
	}
	alarm, err := newAlarm()
	if err != nil {
		return nil, err
	}
	adoptOrphans()
	return &supervisor{commands: lines{fd: commandFD}, children: children, alarm: alarm}, nil
}

func checkPipe(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return errors.New("this command is for tenure's own use")
	}
	return nil
}

// watchSignals makes every signal one that this process outlives: what a signal
// means is for the parent to decide. They are caught, not ignored, because a
// child inherits what is ignored, and catching resets what this process was
// itself started with. The descriptor returned can be read when a child may have
// changed state.
func watchSignals() (int, error) {
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		return 0, fmt.Errorf("pipe: %w", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return 0, fmt.Errorf("pipe: %w", err)
		}
	}
	others := make(chan os.Signal, 1) // nobody reads it: signals beyond the first are dropped
	signal.Notify(others)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGCHLD)
	go func() {
		for range changed {
			_, _ = unix.Write(fds[1], []byte{0}) // a full pipe wakes as well
		}
	}()
	return fds[0], nil
}
