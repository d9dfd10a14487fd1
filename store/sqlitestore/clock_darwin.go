package sqlitestore

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/store"
)

type bootClock string

// newClock returns CLOCK_MONOTONIC, which on this system counts sleep. It
// starts over with every boot, so its name is that of the boot.
func newClock() (clock, error) {
	boot, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return nil, fmt.Errorf("%w: sqlite: no identity of this boot: %w", store.ErrUnsupported, err)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return nil, fmt.Errorf("%w: sqlite: no monotonic clock: %w", store.ErrUnsupported, err)
	}
	return bootClock(boot), nil
}

func (c bootClock) id() string { return string(c) }

func (c bootClock) now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // newClock has tried it
	return time.Duration(ts.Nano())
}
