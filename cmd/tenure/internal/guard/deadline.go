package guard

import (
	"math"
	"time"
)

// Deadline is the moment at which CMD must be gone, in nanoseconds on two
// clocks. Whichever passes first counts.
type Deadline struct {
	Boot int64 `json:"boot"` // the clock that goes on while the machine sleeps (CLOCK_BOOTTIME)
	Wall int64 `json:"wall"` // Unix time
}

// DeadlineAt converts until, which should carry Go's monotonic reading.
func DeadlineAt(until time.Time) Deadline {
	// The boot clock comes first: a pause between the two readings then makes
	// the deadline earlier, never later.
	boot := bootNow()
	return Deadline{Boot: addClamped(boot, time.Until(until)), Wall: wallNano(until)}
}

// passed reports whether d lies behind on either clock.
func (d Deadline) passed() bool { return d.remaining() <= 0 }

// remaining is the time to go on the clock that has less of it; zero: none. That of a
// deadline so long ago that the difference has no number is none, too.
func (d Deadline) remaining() time.Duration {
	boot, wall := bootNow(), time.Now().UnixNano()
	return time.Duration(min(max(d.Boot, boot)-boot, max(d.Wall, wall)-wall))
}

// wallNano is t.UnixNano with a far future left far.
func wallNano(t time.Time) int64 {
	if t.Unix() >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

func addClamped(a int64, d time.Duration) int64 {
	if d > 0 && a > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return a + int64(d)
}
