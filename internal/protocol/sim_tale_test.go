package protocol_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// tale is what happened in a schedule: for a person as lines, and for the checker
// that users have as a history. A nil one, as in the many schedules of which
// nothing is to be told, costs nothing.
type tale struct {
	w       *world
	lines   []string
	history *tenuretest.History
	seats   []seat // by election: as last told
}

type seat struct {
	member string
	token  protocol.Token
}

func newTale() *tale { return &tale{history: tenuretest.NewHistory()} }

func (t *tale) start(w *world) {
	if t != nil {
		t.w, t.seats = w, make([]seat, len(w.elections))
	}
}

func (t *tale) String() string { return strings.Join(t.lines, "\n") }

func (t *tale) logf(format string, args ...any) {
	if t == nil {
		return
	}
	at := time.Duration(t.w.now - int64(time.Hour)).Seconds()
	t.lines = append(t.lines, fmt.Sprintf("%9.3fs  ", at)+fmt.Sprintf(format, args...))
}

func (t *tale) record(kind tenuretest.Kind, member string, i int, e tenuretest.Event) {
	e.At, e.Kind, e.Member, e.Election = time.Unix(0, t.w.now), kind, member, t.w.elections[i]
	t.history.Record(e)
}

func (t *tale) wants(m *member, i int) {
	if t == nil {
		return
	}
	kind := tenuretest.Unwanted
	if m.wants[i] {
		kind = tenuretest.Wanted
		t.logf("%s campaigns for %s, priority %d", m.name, t.w.elections[i], m.priority[i])
	} else {
		t.logf("%s leaves %s", m.name, t.w.elections[i])
	}
	t.record(kind, m.name, i, tenuretest.Event{})
}

func (t *tale) began(m *member, i int, token protocol.Token) {
	if t == nil {
		return
	}
	t.logf("%s begins %s at %d", m.name, t.w.elections[i], token)
	t.record(tenuretest.Elected, m.name, i, tenuretest.Event{Token: token})
	t.record(tenuretest.WorkBegan, m.name, i, tenuretest.Event{Token: token})
}

func (t *tale) ended(m *member, i int, token protocol.Token, cause error) {
	if t == nil {
		return
	}
	t.logf("%s ends %s at %d: %v", m.name, t.w.elections[i], token, cause)
	t.record(tenuretest.Ended, m.name, i, tenuretest.Event{Token: token, Err: cause})
}

func (t *tale) returned(m *member, i int, token protocol.Token) {
	if t == nil {
		return
	}
	t.logf("%s: function of %s at %d returns", m.name, t.w.elections[i], token)
	t.record(tenuretest.WorkReturned, m.name, i, tenuretest.Event{Token: token})
}

var errCrashed = fmt.Errorf("%w: the process crashed", protocol.ErrLost)

func (t *tale) crashed(m *member) {
	if t == nil {
		return
	}
	for i := range m.terms {
		token := m.terms[i].token
		if token == 0 {
			continue
		}
		if !m.terms[i].ended {
			t.ended(m, i, token, errCrashed)
		}
		t.returned(m, i, token)
	}
}

// held samples who holds what.
func (t *tale) held(m *member, i int, held bool) {
	if t == nil {
		return
	}
	kind := tenuretest.NotHeld
	if held {
		kind = tenuretest.Held
	}
	t.record(kind, m.name, i, tenuretest.Event{Token: m.terms[i].token})
}

func (t *tale) seated(i int, e *store.Entry) {
	if t == nil {
		return
	}
	name := "nobody"
	if s, err := protocol.DecodeSeat(e.Value); err == nil {
		name = s.Member
		if s.Vacancy != nil {
			t.vacated(i, e.Modified)
			return
		}
	}
	t.logf("seat of %s: %s at %d", t.w.elections[i], name, e.Modified)
	t.seats[i] = seat{name, e.Modified}
	t.record(tenuretest.SeatTaken, name, i, tenuretest.Event{Token: e.Modified, Revision: e.Modified})
}

// vacated tells that a leader was deposed.
func (t *tale) vacated(i int, rev store.Revision) {
	t.logf("seat of %s: vacant at %d", t.w.elections[i], rev)
	if t.seats[i].token != 0 {
		t.record(tenuretest.SeatFreed, t.seats[i].member, i, tenuretest.Event{
			Token: t.seats[i].token, Revision: rev, Err: protocol.ErrDeposed,
		})
	}
	t.seats[i] = seat{}
}

func (t *tale) freed(i int, rev store.Revision, expired bool) {
	if t == nil {
		return
	}
	t.logf("seat of %s: free at %d", t.w.elections[i], rev)
	e := tenuretest.Event{Token: t.seats[i].token, Revision: rev}
	if expired {
		e.Err = store.ErrLeaseNotFound
	}
	if e.Token == 0 {
		return // it was vacant
	}
	t.record(tenuretest.SeatFreed, t.seats[i].member, i, e)
}

func (t *tale) wrote(i int, by string, token protocol.Token, rev store.Revision) {
	if t == nil {
		return
	}
	t.logf("a write to %s under token %d at %d", t.w.elections[i], token, rev)
	t.record(tenuretest.Wrote, by, i, tenuretest.Event{Token: token, Revision: rev})
}

func (t *tale) fault(kind opKind, m *member, during time.Duration) {
	if t == nil {
		return
	}
	t.logf("fault: %s (%s)", kind, m.name)
	at := time.Unix(0, t.w.now)
	t.history.Record(tenuretest.Event{At: at, Kind: tenuretest.FaultBegan, Member: m.name, Text: kind.String()})
	t.history.Record(tenuretest.Event{At: at.Add(during), Kind: tenuretest.FaultEnded, Member: m.name, Text: kind.String()})
}

func (t *tale) calm() {
	if t == nil {
		return
	}
	t.logf("faults stop")
	t.history.Record(tenuretest.Event{At: time.Unix(0, t.w.now), Kind: tenuretest.FaultsOver})
}

// end notes that time has passed without anything to tell.
func (t *tale) end() {
	if t != nil {
		t.history.Record(tenuretest.Event{At: time.Unix(0, t.w.now), Kind: tenuretest.Note, Text: "everybody leaves"})
	}
}
