package tenuretest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// Kind says what an Event tells.
type Kind int

const (
	// Note has no meaning to any rule; its Text is shown in the timeline.
	Note Kind = iota
	// Wanted: the member is a candidate from now on.
	Wanted
	// Unwanted: it is no longer.
	Unwanted
	// Elected: the member was told that its term has begun. It may be recorded
	// some time after the fact.
	Elected
	// Ended: the member was told that its term has ended; Err is the cause. It
	// may be recorded some time after the fact.
	Ended
	// Held: Term.Held was true. From the first to the last such answer a term was
	// held throughout. See History.Sample.
	Held
	// NotHeld: Term.Held was false.
	NotHeld
	// WorkBegan: the member's function was called in its term.
	WorkBegan
	// WorkReturned: that function has ended, with Err.
	WorkReturned
	// GaveUp: the member gives its seat up although its function still works, as
	// LeadOptions.ReleaseOverrun lets it.
	GaveUp
	// Wrote: a guarded write of the term took effect in the store, at Revision.
	Wrote
	// Confirmed: the member was told that its guarded write took effect, at
	// Revision.
	Confirmed
	// SeatTaken: in the store, the seat became the member's, with Token, at
	// Revision.
	SeatTaken
	// SeatFreed: in the store, the seat is nobody's since Revision. Member and
	// Token are whose it was. An Err says that the holder had no say in it: its lease
	// has ended, or it was deposed.
	SeatFreed
	// Observing: the observer Member begins. All that it is told later is at
	// least as new as the seat's history up to here.
	Observing
	// ObservedLeader: the observer Member was told that the one named by Text
	// leads with Token, at Revision.
	ObservedLeader
	// ObservedNone: the observer Member was told that nobody leads, at Revision.
	ObservedNone
	// ObservedGap: the observer Member was told of a Gap, at Revision.
	ObservedGap
	// FaultBegan: Text says what goes wrong, and Member with whom; empty for
	// everybody.
	FaultBegan
	// FaultEnded: it does no longer.
	FaultEnded
	// FaultsOver: from now on nothing goes wrong; see Expect.Progress.
	FaultsOver
)

var kindNames = [...]string{
	Note: "note", Wanted: "wanted", Unwanted: "unwanted", Elected: "elected", Ended: "ended", Held: "held",
	NotHeld: "not held", WorkBegan: "work began", WorkReturned: "work returned", GaveUp: "gave up",
	Wrote: "wrote", Confirmed: "confirmed", SeatTaken: "seat taken", SeatFreed: "seat freed",
	Observing: "observing", ObservedLeader: "observed leader", ObservedNone: "observed none",
	ObservedGap: "observed gap", FaultBegan: "fault began", FaultEnded: "fault ended", FaultsOver: "faults over",
}

// String returns the kind's name.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Event is one thing that happened. Which fields count, its Kind says.
type Event struct {
	At       time.Time
	Kind     Kind
	Member   string
	Election string
	Token    tenure.Token
	Revision store.Revision
	Err      error
	Text     string
}

// who is the column of the event in a timeline.
func (e Event) who() string {
	if e.Kind == SeatTaken || e.Kind == SeatFreed {
		return "store"
	}
	return cmp.Or(e.Member, "all")
}

// String says what happened, without when and to whom.
func (e Event) String() string {
	var s strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&s, format, args...) }
	switch e.Kind {
	case Wanted:
		put("wants %s", e.Election)
	case Unwanted:
		put("wants %s no longer", e.Election)
	case Elected:
		put("is elected in %s, token %d", e.Election, e.Token)
	case Ended:
		put("ends in %s, token %d", e.Election, e.Token)
	case Held:
		put("holds %s, token %d", e.Election, e.Token)
	case NotHeld:
		put("does not hold %s, token %d", e.Election, e.Token)
	case WorkBegan:
		put("begins to work in %s, token %d", e.Election, e.Token)
	case WorkReturned:
		put("has returned from %s, token %d", e.Election, e.Token)
	case GaveUp:
		put("gives %s up while it works, token %d", e.Election, e.Token)
	case SeatTaken:
		put("the seat of %s is %s's, token %d", e.Election, e.Member, e.Token)
	case SeatFreed:
		put("the seat of %s is no longer %s's, at revision %d", e.Election, e.Member, e.Revision)
	case Wrote:
		put("wrote in %s, token %d, at revision %d", e.Election, e.Token, e.Revision)
	case Confirmed:
		put("was told that it wrote in %s, token %d, at revision %d", e.Election, e.Token, e.Revision)
	case ObservedLeader:
		put("sees %s lead %s, token %d", e.Text, e.Election, e.Token)
	case ObservedNone:
		put("sees nobody lead %s, at revision %d", e.Election, e.Revision)
	case ObservedGap:
		put("sees a gap in %s, up to revision %d", e.Election, e.Revision)
	case Observing:
		put("observes %s", e.Election)
	case FaultBegan, FaultEnded, FaultsOver:
		put("%s", e.Kind)
		if e.Text != "" {
			put(": %s", e.Text)
		}
	default:
		put("%s", e.Text)
		if e.Election != "" {
			put(" (%s)", e.Election)
		}
	}
	if e.Err != nil {
		put(": %v", e.Err)
	}
	return s.String()
}
