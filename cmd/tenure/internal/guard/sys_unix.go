//go:build unix

package guard

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func bootNow() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clockBoot, &ts); err != nil {
		panic(fmt.Sprintf("guard: boot clock: %v", err)) // without it nothing here can be promised
	}
	return ts.Nano()
}

// pollable leaves out the negative ones of fds.
func pollable(fds []int) []unix.PollFd {
	polled := make([]unix.PollFd, 0, len(fds))
	for _, fd := range fds {
		if fd >= 0 {
			polled = append(polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	return polled
}

// poll waits for input, for at most timeout milliseconds (negative: for ever).
func poll(fds []unix.PollFd, timeout int) error {
	if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	return nil
}

// groupPoll is how often a group is asked for members that cannot be waited for.
const groupPoll = 10 * time.Millisecond

// wait4 is wait4(2) without interruptions.
func wait4(pid int, status *syscall.WaitStatus, options int) (int, error) {
	for {
		got, err := syscall.Wait4(pid, status, options, nil)
		if !errors.Is(err, syscall.EINTR) {
			return got, err
		}
	}
}

// waitOutside kills the members of a group that are not children of this
// process, and waits for their end.
func waitOutside(pgid int) {
	for !groupDead(pgid) {
		_ = syscall.Kill(-pgid, syscall.SIGKILL)
		time.Sleep(groupPoll)
	}
}
