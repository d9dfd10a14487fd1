package protocol

import (
	"time"

	"github.com/tenure-go/tenure/store"
)

// A vacancy is what stands in a seat whose leader was deposed. The victim's renewals
// may go on, and it may not know; so the seat is not free. It becomes so in one of
// three ways:
//
//   - the victim clears it, once its function has returned, as it would pass on
//     a seat that it holds;
//   - the victim's candidate key is gone, and so its session, or the victim has left;
//   - somebody has known of the vacancy for the victim's TTL, and the drift that two
//     hosts' clocks may have in it. What proved the victim's term was read before the
//     vacancy was written, and so no proof of it is relied on any longer.
//
// Nothing of the victim is needed for the last.

// vacancy is somebody else's.
type vacancy struct {
	rev    store.Revision // its Modified
	victim string         // the session of who was deposed; empty: nobody knows
	ttl    time.Duration  // of that session
	since  int64          // Mono: since when we know of it
	gone   bool           // a look has shown that the victim is
}

// open reports whether nobody has the seat, or somebody who was deposed.
func (e *election) open() bool { return e.seat.holder == free || e.seat.holder == vacant }

// outlived is from when on an open seat may be taken, on the monotonic clock.
func (e *election) outlived(drift float64) int64 {
	if e.seat.holder != vacant || e.vacancy.gone {
		return 0
	}
	return e.vacancy.since + int64(float64(e.vacancy.ttl)*(1+drift)) + 1
}

// mayTake reports whether the seat may be taken by whose turn it is.
func (s *Session) mayTake(now Instant, e *election) bool {
	return e.open() && !e.paused && now.Mono >= e.outlived(s.cfg.Drift)
}

// deposed: a vacancy names us. Nothing up to it is ever held here again, and we stand
// back for as long as it takes to outlive it: others go first.
func (s *Session) deposed(now Instant, e *election, vacancy store.Revision) {
	if vacancy <= e.ended {
		return
	}
	e.ended = vacancy
	e.aside = max(e.aside, now.Mono+int64(s.cfg.TTL))
}
