package measure

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure"
)

// Patient is how many of the slowest rounds the Patience must hold: a store is slower
// at times than while it is measured.
const Patient = 10

// LeastOutage is for how long any store may be away: a disk that writes back what has
// gathered, or a network that finds another way, takes about as long.
const LeastOutage = time.Second

// Outage is for how long a store should be expected to be away: for its own fail-over,
// of which its shortest TTL tells, or for the LeastOutage.
func Outage(shortest time.Duration) time.Duration { return max(shortest, LeastOutage) }

// Need is one of the conditions of a TTL: Options.Bounds of it, or the TTL itself, are
// at least so long.
type Need struct {
	What  string // "TTL", "Patience", "Round"
	Least time.Duration
	Sum   string // how that comes about, with the numbers put in
	Why   string
}

// met reports whether a TTL fulfils the need.
func (n Need) met(ttl time.Duration, b tenure.Bounds) bool {
	switch n.What {
	case "Patience":
		return b.Patience >= n.Least
	case "Round":
		return b.Round >= n.Least
	}
	return ttl >= n.Least
}

// Advice is a TTL, and why.
type Advice struct {
	TTL   time.Duration // the shortest of whole seconds that meets all needs
	Needs []Need
}

// Advise finds the TTL for a store that grants no shorter one than given, whose slowest
// round took so long, and that may be away for the outage.
func Advise(shortest, slowest, outage time.Duration) (Advice, error) {
	slowest = upwards(slowest)
	a := Advice{Needs: []Need{
		{"TTL", shortest, "", "the store gives no shorter one"},
		{
			"Patience", Patient * slowest, fmt.Sprintf("%d x %v", Patient, slowest),
			"a round may take so long, every time, without a loss",
		},
		{
			"Round", outage + 2*slowest, fmt.Sprintf("%v + 2 x %v", outage, slowest),
			"the store may be away for a Round, less two rounds of requests",
		},
	}}
	for a.TTL = time.Second; a.TTL <= tenure.MaxTTL; a.TTL += time.Second {
		b, err := tenure.Options{TTL: a.TTL}.Bounds()
		if err != nil {
			return a, err
		}
		met := true
		for _, n := range a.Needs {
			met = met && n.met(a.TTL, b)
		}
		if met {
			return a, nil
		}
	}
	return a, errors.New("the store is too slow, or too often away, for any TTL")
}

// upwards is a time in two digits, so that the sums can be read.
func upwards(d time.Duration) time.Duration {
	unit := int64(1)
	for int64(d) >= 100*unit {
		unit *= 10
	}
	return time.Duration((int64(d) + unit - 1) / unit * unit)
}

// Away is how long the store may be away, at any moment, when its rounds take so long.
func Away(b tenure.Bounds, slowest time.Duration) time.Duration { return max(b.Round-2*slowest, 0) }
