// Package clock reads both clocks of this host, and keeps deadlines on both.
package clock

import (
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// Clock reads both clocks of this host as a protocol.Instant.
type Clock struct{ base time.Time }

// New returns a clock whose monotonic half counts from now.
func New() Clock { return Clock{base: time.Now()} }

// Now is the present on both clocks.
func (c Clock) Now() protocol.Instant { return c.Instant(time.Now()) }

// Instant is t on both clocks; t must have come from time.Now.
func (c Clock) Instant(t time.Time) protocol.Instant {
	return protocol.Instant{Mono: int64(t.Sub(c.base)), Wall: t.UnixNano()}
}

// Deadline is a protocol.Instant that one goroutine moves and many read. A
// reader may see the two halves of different moves; each half is a bound of its
// own, so the worst it sees is the earlier deadline.
type Deadline struct{ mono, wall atomic.Int64 }

// Set moves the deadline.
func (d *Deadline) Set(i protocol.Instant) {
	d.mono.Store(i.Mono)
	d.wall.Store(i.Wall)
}

// Ahead reports whether neither clock has reached the deadline.
func (d *Deadline) Ahead(now protocol.Instant) bool {
	return now.Mono < d.mono.Load() && now.Wall < d.wall.Load()
}

// Left is the time until the first of the clocks reaches the deadline.
func (d *Deadline) Left(now protocol.Instant) time.Duration {
	return time.Duration(min(d.mono.Load()-now.Mono, d.wall.Load()-now.Wall))
}
