package guard

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// alarm waits for input until a deadline. Timers on the two clocks themselves
// wake it also after the machine has slept and when the wall clock is set
// forward, with no ticking in between.
type alarm struct {
	boot, wall int // timer descriptors
}

func newAlarm() (*alarm, error) {
	boot, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("boot timer: %w", err)
	}
	wall, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("wall timer: %w", err)
	}
	return &alarm{boot: boot, wall: wall}, nil
}

// wait returns when one of fds can be read (a negative one is left out), d may
// have passed (nil: none), or the pause is over (0: none). It may return early.
func (a *alarm) wait(fds []int, d *Deadline, pause time.Duration) error {
	if err := a.set(d); err != nil {
		return err
	}
	polled := pollable(append([]int{a.boot, a.wall}, fds...))
	timeout := -1
	if pause > 0 {
		timeout = int(pause.Milliseconds())
	}
	return poll(polled, timeout)
}

// set also makes a timer that has gone off unreadable again.
func (a *alarm) set(d *Deadline) error {
	var boot, wall unix.ItimerSpec // zero: disarmed
	if d != nil {
		boot.Value = unix.NsecToTimespec(max(1, d.Boot))
		wall.Value = unix.NsecToTimespec(max(1, d.Wall))
	}
	if err := unix.TimerfdSettime(a.boot, unix.TFD_TIMER_ABSTIME, &boot, nil); err != nil {
		return fmt.Errorf("boot timer: %w", err)
	}
	if err := unix.TimerfdSettime(a.wall, unix.TFD_TIMER_ABSTIME, &wall, nil); err != nil {
		return fmt.Errorf("wall timer: %w", err)
	}
	return nil
}
