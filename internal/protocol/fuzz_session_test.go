package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// FuzzSession has a session meet values in the store that nobody has written: in the seat,
// in its own candidate key, in that of a rival, in the orders of operators, before and
// while it campaigns. It must not stumble, ask for what no store does, or lead where the
// seat does not say so; and it must come to its end.
func FuzzSession(f *testing.F) {
	for i, seat := range records {
		f.Add([]byte(seat), []byte(records[(i+2)%len(records)]), []byte(records[(i+4)%len(records)]), []byte{byte(i), 0x10, 0x21, 0x32, 0x43, byte(7 * i), 0x05, 0x16})
	}
	// A rival who says that his session is that of the leader.
	f.Add([]byte{}, []byte(`{"v":1,"session":"0000000000000001","member":"b","ttl":10000000000,"state":"waiting"}`), []byte{}, []byte{0x12, 0x08, 0x0d, 0x0d})
	f.Add([]byte{}, []byte(`{"v":1,"session":"\u0000","member":"b","ttl":10000000000,"state":"waiting"}`), []byte{}, []byte{0x12, 0x08, 0x0d, 0x0d})
	f.Fuzz(func(t *testing.T, seat, candidate, order, script []byte) {
		w := newFuzzWorld(t)
		values := [][]byte{seat, candidate, order}
		for _, step := range script[:min(len(script), 64)] {
			w.act(step, values[int(step>>4)%len(values)])
		}
		w.leave()
	})
}

const (
	fuzzed  = "n"
	fuzzTTL = 10 * time.Second
)

// fuzzWorld is one session and its store. Requests are answered at once.
type fuzzWorld struct {
	t       *testing.T
	kv      kv
	now     protocol.Instant
	own     store.LeaseID
	rival   store.LeaseID
	s       *protocol.Session
	watches []string // prefixes
	line    protocol.Token
	token   protocol.Token // of the term that lasts; 0: none
	done    bool           // the candidacy is
	over    bool           // the session is
	todo    []protocol.Event
}

func newFuzzWorld(t *testing.T) *fuzzWorld {
	w := &fuzzWorld{t: t, now: protocol.Instant{Mono: 1, Wall: 1}}
	w.own, w.rival = w.kv.grant(fuzzTTL), w.kv.grant(fuzzTTL)
	w.s = protocol.NewSession(protocol.Config{
		Member: "a", Session: protocol.SessionID(w.own), Lease: w.own, TTL: fuzzTTL, Granted: w.now,
		Drift: 0.01, Margin: time.Second, Round: fuzzTTL / 3, Grace: fuzzTTL / 50, Near: 1, Longest: time.Minute,
	})
	w.watches = []string{protocol.ControlPrefix, protocol.TermsOf(protocol.SessionID(w.own))}
	return w
}

// act does what one byte of the script says.
func (w *fuzzWorld) act(step byte, value []byte) {
	me, rival := protocol.CandidateKey(fuzzed, protocol.SessionID(w.own)), protocol.CandidateKey(fuzzed, protocol.SessionID(w.rival))
	lease := []store.LeaseID{w.rival, store.NoLease, w.own}[int(step>>6)%3]
	switch step & 0x0f {
	case 0:
		w.write(store.Put(protocol.SeatKey(fuzzed), value, lease))
	case 1:
		w.write(store.Put(me, value, w.own))
	case 2:
		w.write(store.Put(rival, value, w.rival))
	case 3:
		w.write(store.Put(protocol.TransferKey(fuzzed), value, store.NoLease))
	case 4:
		w.write(store.Put(protocol.PauseKey(fuzzed), value, store.NoLease))
	case 5:
		w.write(store.Put(protocol.DrainKey("a"), value, store.NoLease))
	case 6:
		w.write(store.Put(protocol.TermKey(protocol.SessionID(w.own), fuzzed), value, w.own))
	case 7:
		w.write(store.Delete(protocol.SeatKey(fuzzed)), store.Delete(protocol.PauseKey(fuzzed)), store.Delete(protocol.DrainKey("a")))
	case 8, 9:
		w.step(protocol.Campaign{Election: fuzzed, Priority: int(step >> 5), Yield: time.Duration(step>>6) * time.Second})
	case 10:
		w.step(protocol.Resign{Election: fuzzed, Token: w.token, To: "b"})
	case 11:
		w.step(protocol.Withdraw{Election: fuzzed})
	case 12:
		w.step(protocol.Campaign{Election: fuzzed, Amend: true, Aside: time.Duration(step>>5) * time.Second})
	default:
		w.pass(time.Duration(1+step>>4) * 300 * time.Millisecond)
	}
}

// pass lets time go by.
func (w *fuzzWorld) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.step(protocol.Tick{})
}

// leave ends the candidacy, for which there is a bound.
func (w *fuzzWorld) leave() {
	w.write(store.Delete(protocol.PauseKey(fuzzed)))
	w.done = false
	w.step(protocol.Campaign{Election: fuzzed}) // so that there is one to end
	for range 200 {
		if w.done || w.over {
			return
		}
		w.step(protocol.Withdraw{Election: fuzzed})
		w.step(protocol.Resign{Election: fuzzed, Token: w.token})
		w.pass(fuzzTTL / 10)
	}
	if !w.done && !w.over {
		w.t.Errorf("the candidacy does not end; in the store:\n%s", w.held())
	}
}

// held is what is in the store.
func (w *fuzzWorld) held() string {
	var b strings.Builder
	for _, e := range w.kv.entries {
		fmt.Fprintf(&b, "%s at %d: %q\n", e.Key, e.Modified, e.Value)
	}
	return b.String()
}

// write changes the store, and has the session's watches see it.
func (w *fuzzWorld) write(ops ...store.Op) {
	events, err := w.kv.write(ops)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, ev := range events {
		w.todo = append(w.todo, w.seen(ev)...)
	}
	w.run()
}

func (w *fuzzWorld) seen(ev store.Event) []protocol.Event {
	var all []protocol.Event
	if slices.ContainsFunc(w.watches, func(prefix string) bool { return strings.HasPrefix(ev.Entry.Key, prefix) }) {
		all = append(all, protocol.Watched{Event: ev})
	}
	if w.line != 0 && strings.HasPrefix(ev.Entry.Key, protocol.CandidatesOf(fuzzed)) {
		all = append(all, w.lined(false, ev))
	}
	return all
}

func (w *fuzzWorld) lined(listed bool, events ...store.Event) protocol.Event {
	return protocol.Lined{Election: fuzzed, Token: w.line, Batch: store.Batch{
		Listed: listed, Changes: store.Changes{Revision: w.kv.rev, Events: events},
	}}
}

func (w *fuzzWorld) step(ev protocol.Event) {
	w.todo = append(w.todo, ev)
	w.run()
}

// run steps the session until nothing is left to tell it.
func (w *fuzzWorld) run() {
	for n := 0; len(w.todo) > 0; n++ {
		if n > 10_000 {
			w.t.Fatalf("the session is never at rest; in the store:\n%s", w.held())
		}
		ev := w.todo[0]
		w.todo = w.todo[1:]
		for _, a := range slices.Clone(w.s.Step(w.now, ev)) {
			w.todo = append(w.todo, w.do(a)...)
		}
	}
}

// do carries an action out, and returns what the session is told.
func (w *fuzzWorld) do(a protocol.Action) []protocol.Event {
	switch a := a.(type) {
	case protocol.Round:
		return []protocol.Event{
			protocol.Renewed{Round: a.ID, Sent: w.now, TTL: fuzzTTL},
			protocol.Listed{Round: a.ID, Sent: w.now, Listing: w.kv.list(a.Query)},
		}
	case protocol.Look:
		return []protocol.Event{protocol.Looked{ID: a.ID, Election: a.Election, Sent: w.now, Listing: w.kv.list(a.Query)}}
	case protocol.Commit:
		return w.commit(a)
	case protocol.WatchSeats:
		w.watches[1] = protocol.TermsOf(protocol.SessionID(w.own))
		if a.On {
			w.watches[1] = protocol.LeadersPrefix
			return []protocol.Event{protocol.Seats{Listing: w.kv.list(store.Prefix(protocol.LeadersPrefix))}}
		}
	case protocol.WatchLine:
		w.line = 0
		if a.On {
			w.line = a.Token
			var events []store.Event
			for _, e := range w.kv.list(store.Prefix(protocol.CandidatesOf(fuzzed))).Entries {
				events = append(events, store.Event{Entry: e})
			}
			return []protocol.Event{w.lined(true, events...)}
		}
	case protocol.Begin:
		w.began(a)
	case protocol.End:
		w.token = 0
		return []protocol.Event{protocol.Drained{Election: a.Election, Token: a.Token}}
	case protocol.Done:
		w.done = true
	case protocol.Over:
		w.over, w.token = true, 0
	}
	return nil
}

func (w *fuzzWorld) commit(a protocol.Commit) []protocol.Event {
	if err := a.Tx.Validate(store.Capabilities{MaxOps: 128, MaxValue: 1 << 20}); err != nil {
		w.t.Errorf("%s asks for what no store does: %v", a.Move, err)
		return []protocol.Event{protocol.Committed{ID: a.ID, Election: a.Election, Sent: w.now, Err: err}}
	}
	reply := protocol.Committed{ID: a.ID, Election: a.Election, Sent: w.now}
	var told []protocol.Event
	if _, refused := w.kv.refuses(a.Tx); !refused {
		events, err := w.kv.write(a.Tx.Then)
		reply.Err, reply.Result.Committed = err, err == nil
		for _, ev := range events {
			told = append(told, w.seen(ev)...)
		}
	}
	reply.Result.Revision = w.kv.rev
	return append(told, reply)
}

// began wants the seat to be the session's at the moment when a term begins: all it has
// been told is the newest there is, but for what waits in todo.
func (w *fuzzWorld) began(a protocol.Begin) {
	w.token, w.done = a.Token, false
	seat := w.kv.get(protocol.SeatKey(fuzzed))
	if len(w.todo) > 0 || seat == nil {
		return
	}
	if record, err := protocol.DecodeSeat(seat.Value); err != nil || seat.Modified != a.Token || record.Session != protocol.SessionID(w.own) || record.Vacancy != nil {
		w.t.Errorf("leads with token %d, though the seat says %s at %d", a.Token, seat.Value, seat.Modified)
	}
}

// A leader whose successor could be given no seat asked for it again and again, for as
// long as its session lived, and led nothing.
func TestACandidateThatCouldBeGivenNoSeatIsPassedOver(t *testing.T) {
	t.Parallel()
	for what, rival := range map[string]string{
		"of the leader's own session": `{"v":1,"session":"0000000000000001","member":"b","ttl":10000000000,"state":"waiting"}`,
		"of no session":               `{"v":1,"session":"\u0000","member":"b","ttl":10000000000,"state":"waiting"}`,
		"of no member":                `{"v":1,"session":"0000000000000002","member":"\u0000","ttl":10000000000,"state":"waiting"}`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newFuzzWorld(t)
			w.step(protocol.Campaign{Election: fuzzed})
			if w.token == 0 {
				t.Fatal("does not lead")
			}
			w.act(2, []byte(rival))
			w.leave()
		})
	}
}

// A vacancy may name what is no session, whose candidate could not be asked after.
func TestAVacancyOfNoSessionIsOutlived(t *testing.T) {
	t.Parallel()
	w := newFuzzWorld(t)
	w.write(store.Put(protocol.SeatKey(fuzzed), []byte(`{"v":1,"session":"\u0000","member":"b","ttl":10,"vacancy":{"token":1}}`), store.NoLease))
	w.step(protocol.Campaign{Election: fuzzed})
	for range 70 { // seconds: the longest TTL there is, and the drift
		w.pass(time.Second)
	}
	if w.token == 0 {
		t.Errorf("does not lead; in the store:\n%s", w.held())
	}
	w.leave()
}
