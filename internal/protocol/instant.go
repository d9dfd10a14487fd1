package protocol

import "time"

// Instant is a moment on both clocks of this host, in nanoseconds from an
// origin of each clock's own. Two clocks, because the monotonic one stops while
// the machine sleeps and the wall clock can be set.
type Instant struct {
	Mono, Wall int64
}

// Add returns the instant d later on both clocks.
func (i Instant) Add(d time.Duration) Instant {
	return Instant{i.Mono + int64(d), i.Wall + int64(d)}
}

// Before reports whether the deadline d is still ahead at i: on both clocks.
func (i Instant) Before(d Instant) bool {
	return i.Mono < d.Mono && i.Wall < d.Wall
}

// earlier returns the earlier of two deadlines on each clock.
func earlier(a, b Instant) Instant {
	return Instant{min(a.Mono, b.Mono), min(a.Wall, b.Wall)}
}

// later returns the later of two deadlines on each clock.
func later(a, b Instant) Instant {
	return Instant{max(a.Mono, b.Mono), max(a.Wall, b.Wall)}
}

// Trust returns how long a lease or a piece of evidence of the given TTL may be
// relied on, counted from the moment its request was sent: the TTL, less what
// two hosts' clocks may drift apart in it, less the margin to act in.
func Trust(ttl time.Duration, drift float64, margin time.Duration) time.Duration {
	return ttl - time.Duration(float64(ttl)*drift) - margin
}
