package tenuretest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// never is the place of an event that is not there.
const never = -1

// reading is a history, sorted by what it tells of. An int is the place of an
// event in events: it orders what happened at the same moment, too.
type reading struct {
	events []Event
	terms  []*term // in the order of their first events
	byID   map[termID]*term
	seats  map[string][]seat // of each election, by revision
	writes map[writes]run
}

type termID struct {
	election, member string
	token            tenure.Token
}

// term is all that is told of one term.
type term struct {
	termID
	first       int // of its events but those of the store
	last        int
	elected     int
	ended       int
	cause       error
	heldFirst   int
	heldLast    int
	notHeld     int
	work        []work
	gaveUp      bool
	forced      bool
	seatTaken   int
	resurrected int // held although it was not, or had ended, before
	electedDup  int // a second beginning or end
	endedDup    int
}

// writes are those of one term, or what it was told of them.
type writes struct {
	termID
	kind Kind
}

// run is from the first to the last of several events.
type run struct{ first, last int }

// work is one call of a function; returned may be never.
type work struct{ began, returned int }

// seat is what the store says of an election from a revision on. Token zero:
// nobody's.
type seat struct {
	at     int
	rev    store.Revision
	member string
	token  tenure.Token
}

func (t *term) String() string { return fmt.Sprintf("%s (token %d)", t.member, t.token) }

// read sorts events, which are in order.
func read(events []Event) *reading {
	r := &reading{events: events, byID: map[termID]*term{}, seats: map[string][]seat{}, writes: map[writes]run{}}
	for i, e := range events {
		switch e.Kind {
		case Wrote, Confirmed:
			id := writesOf(e)
			w, more := r.writes[id]
			if !more {
				w.first = i
			}
			w.last = i
			r.writes[id] = w
		case SeatTaken:
			r.seats[e.Election] = append(r.seats[e.Election], seat{i, e.Revision, e.Member, e.Token})
		case SeatFreed:
			r.seats[e.Election] = append(r.seats[e.Election], seat{i, e.Revision, "", 0})
		}
		r.term(i, e)
	}
	for _, seats := range r.seats {
		slices.SortStableFunc(seats, func(a, b seat) int { return cmp.Compare(a.rev, b.rev) })
	}
	return r
}

func writesOf(e Event) writes { return writes{termID{e.Election, e.Member, e.Token}, e.Kind} }

// term takes in an event if it is about a term.
func (r *reading) term(i int, e Event) {
	switch e.Kind {
	case Elected, Ended, Held, NotHeld, WorkBegan, WorkReturned, GaveUp, SeatTaken, SeatFreed:
	default:
		return
	}
	id := termID{e.Election, e.Member, e.Token}
	t := r.byID[id]
	if t == nil {
		t = &term{
			termID: id, first: never, last: never, elected: never, ended: never, heldFirst: never, heldLast: never,
			notHeld: never, seatTaken: never, resurrected: never, electedDup: never, endedDup: never,
		}
		r.byID[id] = t
		r.terms = append(r.terms, t)
	}
	t.take(i, e)
}

func (t *term) take(i int, e Event) {
	switch e.Kind {
	case SeatTaken:
		set(&t.seatTaken, i)
		return
	case SeatFreed:
		t.forced = t.forced || e.Err != nil
		return
	case Elected:
		if !set(&t.elected, i) {
			set(&t.electedDup, i)
		}
	case Ended:
		if set(&t.ended, i) {
			t.cause = e.Err
		} else {
			set(&t.endedDup, i)
		}
	case Held:
		if t.notHeld != never || t.ended != never {
			set(&t.resurrected, i)
		}
		set(&t.heldFirst, i)
		t.heldLast = i
	case NotHeld:
		set(&t.notHeld, i)
	case WorkBegan:
		t.work = append(t.work, work{i, never})
	case WorkReturned:
		if w := slices.IndexFunc(t.work, func(w work) bool { return w.returned == never }); w >= 0 {
			t.work[w].returned = i
		}
	case GaveUp:
		t.gaveUp = true
	}
	set(&t.first, i)
	t.last = i
}

// set sets a place that is not set yet, and says whether it was not.
func set(place *int, i int) bool {
	if *place != never {
		return false
	}
	*place = i
	return true
}

// since is how long after the beginning of the history an event happened.
func (r *reading) since(i int) time.Duration { return r.sinceTime(r.events[i].At) }

func (r *reading) sinceTime(t time.Time) time.Duration { return t.Sub(r.events[0].At) }

// seatAt is what the store said of an election at a revision.
func (r *reading) seatAt(election string, rev store.Revision) (seat, bool) {
	seats := r.seats[election]
	i, found := slices.BinarySearchFunc(seats, rev, func(s seat, rev store.Revision) int { return cmp.Compare(s.rev, rev) })
	if found {
		return seats[i], true
	}
	if i == 0 {
		return seat{}, false
	}
	return seats[i-1], true
}

// finding is what one rule has to say.
type finding struct {
	rule     Rule
	at       int // the event that cannot be
	election string
	also     []int // other events that show it
	text     string
}
