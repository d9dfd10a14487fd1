//go:build unix && !linux && !netbsd

package guard

import "golang.org/x/sys/unix"

// clockBoot goes on while a Mac sleeps. Go's own clock does not.
const clockBoot = unix.CLOCK_MONOTONIC
