//go:build unix && !linux

package guard

import "time"

// tick is how late a jump of the wall clock, or the end of a sleep of the
// machine, may be noticed.
const tick = 250 * time.Millisecond

// alarm waits for input until a deadline.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

// wait returns when one of fds can be read (a negative one is left out), d may
// have passed (nil: none), or the pause is over (0: none). It may return early.
func (a *alarm) wait(fds []int, d *Deadline, pause time.Duration) error {
	timeout := time.Duration(-1)
	if d != nil {
		timeout = min(tick, max(0, d.remaining()+time.Millisecond))
	}
	if pause > 0 && (timeout < 0 || pause < timeout) {
		timeout = pause
	}
	ms := -1
	if timeout >= 0 {
		ms = int(timeout.Milliseconds())
	}
	return poll(pollable(fds), ms)
}
