package tenuretest

import (
	"slices"
	"sync"
	"time"
)

// History is what happened to some elections. Its methods may be called from
// many goroutines.
type History struct {
	mu     sync.Mutex
	events []Event
}

// NewHistory returns an empty history.
func NewHistory() *History { return &History{} }

// Record adds an event. A zero At stands for now. Events of the same moment
// happened in the order in which they were recorded.
func (h *History) Record(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.record(e)
}

func (h *History) record(e Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	h.events = append(h.events, e)
}

// Sample asks held, a term's method of that name, and records the answer as Held
// or NotHeld. Of the event only Member, Election and Token count.
//
// Answers that are recorded by Record may be overtaken by others on their way,
// and then seem to overlap. Nothing overtakes a Sample: others wait for it.
func (h *History) Sample(e Event, held func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.At = time.Now() // before asking: what is held was held a moment ago
	e.Kind = NotHeld
	if held() {
		e.Kind = Held
	}
	h.record(e)
}

// Events returns all that was recorded, in the order in which it happened.
func (h *History) Events() []Event {
	h.mu.Lock()
	events := slices.Clone(h.events)
	h.mu.Unlock()
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}

// Expect says what else than safety a history is checked for.
type Expect struct {
	// Progress bounds how long an election that somebody wants to lead may be
	// without a leader after FaultsOver. A function that does not return when it
	// is told to holds its election up, so the bound must cover it. Zero: not
	// checked.
	Progress time.Duration
	// Finished: everything was closed, so that every term must have ended.
	Finished bool
	// Interfered: others have ended leases or written Tenure's keys, so that two
	// terms may be held at once until the older one sees it, and a seat may pass
	// on before its holder's function has returned. All else must still hold.
	Interfered bool
}

// Check returns nil if the history keeps every rule, and else a *Violation: of
// all that it does not keep, what happened first.
func (h *History) Check(x Expect) error {
	r := read(h.Events())
	var first *finding
	for _, check := range []func(*reading, Expect) *finding{
		checkOneHolder,
		checkTokensRise,
		checkFencedWrites,
		checkOneEnd,
		checkDrainFirst,
		checkObservers,
		checkProgress,
	} {
		if f := check(r, x); f != nil && (first == nil || f.at < first.at) {
			first = f
		}
	}
	if first == nil {
		return nil
	}
	return r.violation(first)
}
