//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// report is one line that a worker prints: an event of the history, or one of those
// below.
type report struct {
	At       int64          `json:"at"` // see clock
	What     string         `json:"what"`
	Election string         `json:"election,omitempty"`
	Token    tenure.Token   `json:"token,omitempty"`
	Revision store.Revision `json:"revision,omitempty"`
	N        int            `json:"n,omitempty"` // of a write
	Text     string         `json:"text,omitempty"`
	Err      string         `json:"err,omitempty"`
	Lost     bool           `json:"lost,omitempty"` // the error is tenure.ErrLost

	// Of a node, and of what it is told.
	Life    int            `json:"life,omitempty"`
	Kind    string         `json:"kind,omitempty"`
	Node    string         `json:"node,omitempty"`
	Key     string         `json:"key,omitempty"`
	Value   string         `json:"value,omitempty"` // none: there is none any more
	Old     string         `json:"old,omitempty"`
	Role    string         `json:"role,omitempty"`
	OldRole string         `json:"old_role,omitempty"`
	Since   store.Revision `json:"since,omitempty"`
}

// What a worker reports that is no event of the history.
const (
	joined    = "joined"    // it has a session
	alive     = "alive"     // and is not stopped
	freed     = "freed"     // its own transaction has freed a seat, at Revision
	compacted = "compacted" // a watch of its own has come too late
	refused   = "refused"   // it was told that write N of a term has not taken effect, and never will
	problem   = "problem"   // something that must not be
)

// What a worker reports of its node.
const (
	up           = "up"            // it has started
	down         = "down"          // it is about to stop
	lost         = "lost"          // its session
	rejoined     = "rejoined"      // and has another
	attempted    = "attempted"     // it is about to put Value under Key, as the N-th call for that key
	acknowledged = "acknowledged"  // that has returned nil
	readBack     = "read back"     // and then this was there
	toldState    = "told of state" // by WatchPrefix
	toldNodes    = "told of nodes" // by WatchNodes
	watchEnded   = "watch ended"   // that which tells of Kind
	quiet        = "quiet"         // it publishes nothing any more, and its last calls have returned nil
)

// clock is the host's monotonic clock, in nanoseconds. All processes of a host share
// it; that of package time begins with each process.
func clock() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // there is one on all systems that this compiles for
	return ts.Nano()
}

// moment is a reading of clock as the time that a history has.
func moment(at int64) time.Time { return time.Unix(0, at) }

// printer prints reports. A report without a time is given that of its printing, so
// that such lines are in order.
type printer struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newPrinter(w io.Writer) *printer { return &printer{out: json.NewEncoder(w)} }

func (p *printer) print(r report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.At == 0 {
		r.At = clock()
	}
	_ = p.out.Encode(r) // without the campaign there is nobody to tell
}

// kinds are those of the history, by name.
var kinds = func() map[string]tenuretest.Kind {
	m := map[string]tenuretest.Kind{}
	for k := tenuretest.Note; k <= tenuretest.FaultsOver; k++ {
		m[k.String()] = k
	}
	return m
}()

// event is the report as one of the history; false: it is none.
func (r report) event(member string) (tenuretest.Event, bool) {
	kind, ok := kinds[r.What]
	e := tenuretest.Event{
		At: moment(r.At), Kind: kind, Member: member, Election: r.Election, Token: r.Token, Revision: r.Revision, Text: r.Text,
	}
	if r.Err != "" {
		e.Err = told{r.Err, r.Lost}
	}
	return e, ok
}

// told is an error of another process.
type told struct {
	text string
	lost bool
}

func (t told) Error() string { return t.text }

func (t told) Is(target error) bool { return t.lost && target == tenure.ErrLost }

// because adds an error to a report.
func (r report) because(err error) report {
	if err != nil {
		r.Err, r.Lost = err.Error(), errors.Is(err, tenure.ErrLost)
	}
	return r
}

// record is the value of a guarded write.
type record struct {
	Member   string       `json:"member"`
	Election string       `json:"election"`
	Token    tenure.Token `json:"token"`
	N        int          `json:"n"`
}
