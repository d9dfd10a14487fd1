package time

import (
	"sync/atomic"
	"syscall"
)

// With this file, and a call of skew in Now, a program's wall clock shows as many
// seconds more as the file named in TENURE_SKEW says, soon after it was written. The
// monotonic clock stays as it is, as on a host whose clock is set.

var skewSeconds atomic.Int64

// skew only loads: the runtime calls Now where nothing else is allowed.
func skew() int64 { return skewSeconds.Load() }

func init() {
	if file, ok := syscall.Getenv("TENURE_SKEW"); ok {
		go followSkew(file)
	}
}

func followSkew(file string) {
	for ; ; Sleep(10 * Millisecond) {
		fd, err := open(file)
		if err != nil {
			continue // not written yet
		}
		var buf [20]byte
		n, _ := read(fd, buf[:])
		closefd(fd)
		if seconds, err := atoi(string(buf[:max(n, 0)])); err == nil {
			skewSeconds.Store(int64(seconds))
		}
	}
}
