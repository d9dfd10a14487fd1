package tenure

import (
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Bounds is what the protocol promises with given Options, in numbers. Its
// durations are measured on the clock of the member concerned, and assume that
// all members of an election have the same Options.
//
// Crash and Clean are what the protocol waits for. The store's own times come
// on top, of which this library knows nothing:
//
//   - after a crash: how long the last renewal took to reach the store, how late
//     the store ends a lease whose time has passed (and the whole TTL again where
//     it restarts leases after a failover of its own), then one watch event, one
//     read and one commit;
//   - after a clean end: one commit and one watch event. Before them one read,
//     which is over by then if the function took as long to drain, where nobody
//     was known to wait, where the term was shorter than a Round or 100 ms, or where
//     the member leads more than 8 elections: of so many it watches the candidates.
//
// Where a Round stands in for the watch event, it is one renewal and one read.
type Bounds struct {
	// Round is the time between two renewals of a session, each with one read
	// that proves its terms:
	//
	//	TTL / 3
	//
	// One that gets no answer costs nothing, as long as the next does within
	// Trust - 2 x Round, which is TTL/12 at least. So a store may be out of reach
	// for a Round, less what two renewals with their reads take, at any moment.
	//
	// Each other request (to enrol, to take a seat, to hand it over) is given a
	// Round to be answered in: a store that is slower elects nobody.
	Round time.Duration
	// Trust is how long an answered renewal is relied on, counted from before it
	// was sent:
	//
	//	TTL - TTL x Drift - Margin
	//
	// A holder that cannot reach the store stops so long after the last renewal
	// that was answered, at the latest. A read that proves a term is relied on
	// for as long.
	Trust time.Duration
	// Patience is how long a round may take, every time, without a loss:
	//
	//	Trust - Round
	//
	// A RoundInfo.Took that comes near it is a warning. It is also, over a store
	// that was quick to answer, the shortest time from the moment it goes silent
	// to the end of the terms; the longest is Trust.
	Patience time.Duration
	// Crash is the longest time from a holder's crash, or from its last renewal
	// where it was cut off, to the next term:
	//
	//	TTL + TTL x Drift + Round
	//
	// The TTL passes on the store's clock. The Round is spent only if the watch
	// does not tell the successor of the vacancy,
	// or if all of the first three in line, who watch, have died too. Each candidate before the
	// successor that has died too adds a Grace.
	Crash time.Duration
	// Clean is the longest time from the return of the function, after a clean
	// end, to the next term:
	//
	//	Round
	//
	// It is spent only if the watch does not tell the successor of the offer. A
	// seat that is handed to a candidate which has just crashed is free again
	// at most Crash after that crash.
	Clean time.Duration
	// Grace is how much later than the one before it each candidate takes a
	// vacant seat, so that they do not all try at once:
	//
	//	TTL / 50, at least 10 ms, at most 200 ms
	Grace time.Duration
	// Drift is by which fraction the clock of the store may run faster than the
	// holder's before guarantee 1 ends:
	//
	//	TTL / Trust - 1
	//
	// It exceeds Options.Drift, because the Margin absorbs drift too; but up to
	// Options.Drift a holder that was cut off has the whole Margin left to act
	// in, and here nothing of it.
	Drift float64
}

// Bounds says what these options promise, with the defaults for what is not
// set. It knows no store: where one grants a longer TTL than asked for
// (SessionInfo.TTL), ask for the bounds of that TTL, with the Margin set to what
// the member has.
//
// Errors: ErrInvalid, for all that Join would refuse over any store.
func (o Options) Bounds() (Bounds, error) {
	o, err := o.withDefaults(store.Capabilities{})
	if err != nil {
		return Bounds{}, err
	}
	trust, round := protocol.Trust(o.TTL, o.Drift, o.Margin), roundOf(o.TTL)
	return Bounds{
		Round:    round,
		Trust:    trust,
		Patience: trust - round,
		Crash:    o.TTL + time.Duration(float64(o.TTL)*o.Drift) + round,
		Clean:    round,
		Grace:    graceOf(o.TTL),
		Drift:    float64(o.TTL)/float64(trust) - 1,
	}, nil
}

// roundOf returns the time between two rounds of a session.
func roundOf(ttl time.Duration) time.Duration { return ttl / 3 }

// graceOf returns the time between two places in line: longer than a commit
// takes, most often, and short beside the TTL.
func graceOf(ttl time.Duration) time.Duration {
	return min(max(ttl/50, 10*time.Millisecond), 200*time.Millisecond)
}
