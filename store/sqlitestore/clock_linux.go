package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/store"
)

type bootClock string

// newClock returns CLOCK_BOOTTIME. It starts over with every boot and may be
// shifted in a time namespace, so its name is made of both.
func newClock() (clock, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("%w: sqlite: no identity of this boot; is /proc mounted? %w", store.ErrUnsupported, err)
	}
	ns, err := os.Readlink("/proc/self/ns/time")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // kernels before 5.6 have none
		return nil, fmt.Errorf("%w: sqlite: no identity of the time namespace: %w", store.ErrUnsupported, err)
	}
	c := bootClock(strings.TrimSpace(string(boot)) + " " + ns)
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return nil, fmt.Errorf("%w: sqlite: no boot time clock: %w", store.ErrUnsupported, err)
	}
	return c, nil
}

func (c bootClock) id() string { return string(c) }

func (c bootClock) now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // newClock has tried it
	return time.Duration(ts.Nano())
}
