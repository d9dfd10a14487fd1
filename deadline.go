package tenure

import (
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// clock reads both clocks of this host as a protocol.Instant.
type clock struct{ base time.Time }

func (c clock) now() protocol.Instant { return c.instant(time.Now()) }

func (c clock) instant(t time.Time) protocol.Instant {
	return protocol.Instant{Mono: int64(t.Sub(c.base)), Wall: t.UnixNano()}
}

// deadline is a protocol.Instant that one goroutine moves and many read. A
// reader may see the two halves of different moves; each half is a bound of its
// own, so the worst it sees is the earlier deadline.
type deadline struct{ mono, wall atomic.Int64 }

func (d *deadline) set(i protocol.Instant) {
	d.mono.Store(i.Mono)
	d.wall.Store(i.Wall)
}

func (d *deadline) ahead(now protocol.Instant) bool {
	return now.Mono < d.mono.Load() && now.Wall < d.wall.Load()
}

func (d *deadline) left(now protocol.Instant) time.Duration {
	return time.Duration(min(d.mono.Load()-now.Mono, d.wall.Load()-now.Wall))
}

// lateness is by how much something came after it was due, by either clock.
func lateness(now, due protocol.Instant) time.Duration {
	return time.Duration(max(now.Mono-due.Mono, now.Wall-due.Wall, 0))
}
