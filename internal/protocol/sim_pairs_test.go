package protocol_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// happening is one of the things that may cross each other in one election.
type happening int

const (
	hapHandOver happening = iota
	hapResign
	hapTransfer
	hapDepose
	hapWithdraw
	hapDrain
	hapPolicy
	hapSessionEnd
	hapLostReply

	happenings
)

var hapNames = [happenings]string{"hand over", "resign", "transfer", "depose", "withdraw", "drain", "policy flip", "session end", "lost reply"}

// pairs counts, of every two happenings, how often the second came while the first
// was under way.
type pairs [happenings][happenings]int

// happened counts what an election was in the middle of when something came.
//
// That costs as much as all else, and so only some schedules do it.
func (w *world) happened(i int, what happening) {
	if !w.crossing {
		return
	}
	for first, underWay := range w.underWay(i) {
		if underWay {
			w.coverage.pairs[first][what]++
		}
	}
}

func (w *world) happenedAll(what happening) {
	for i := range w.elections {
		w.happened(i, what)
	}
}

// underWay says what an election is in the middle of: what has begun, and has not had
// its whole effect yet.
func (w *world) underWay(i int) (is [happenings]bool) {
	election := w.elections[i]
	sent := func(req request, late bool) {
		a, ok := req.action.(protocol.Commit)
		if !ok || a.Election != election {
			return
		}
		is[hapLostReply] = is[hapLostReply] || late
		switch a.Move {
		case protocol.MoveHandOver:
			is[hapHandOver] = true
		case protocol.MoveWithdraw:
			is[hapWithdraw] = true
		case protocol.MoveDepose:
			is[hapDepose] = true
		}
	}
	for _, req := range w.late {
		sent(req, true)
	}
	if e := w.kv.get(w.seats[i]); e != nil {
		is[hapDepose] = is[hapDepose] || w.deposedBy(e) != 0
	}
	is[hapTransfer] = w.kv.get(protocol.TransferKey(election)) != nil
	for _, m := range w.members {
		for _, req := range m.requests {
			sent(req, false)
		}
		t := &m.terms[i]
		given := t.token != 0 && t.ended && t.clean
		is[hapTransfer] = is[hapTransfer] || given && errors.Is(t.cause, protocol.ErrTransferred)
		is[hapResign] = is[hapResign] || given && errors.Is(t.cause, errResigned)
		if state := w.stateOf(i, m); state != "" {
			is[hapDrain] = is[hapDrain] || state != protocol.Draining && w.kv.get(protocol.DrainKey(m.name)) != nil
			is[hapPolicy] = is[hapPolicy] || state != protocol.Ineligible && m.barred[i]
			is[hapSessionEnd] = is[hapSessionEnd] || m.s == nil // crashed, and its lease lives on
		}
		is[hapSessionEnd] = is[hapSessionEnd] || m.s != nil && !w.kv.alive(m.lease)
	}
	return is
}

// stateOf is what a member's candidate key says; empty: there is none.
func (w *world) stateOf(i int, m *member) protocol.CandidateState {
	e := w.kv.get(protocol.CandidateKey(w.elections[i], m.session))
	if e == nil {
		return ""
	}
	c, _ := protocol.DecodeCandidate(e.Value) // if not, it says nothing
	return c.State
}

// missing names the pairs that never crossed, in either order.
func (p *pairs) missing() (missing []string) {
	for a := range happenings {
		for b := range a {
			if p[a][b]+p[b][a] == 0 {
				missing = append(missing, fmt.Sprintf("%s and %s never crossed", hapNames[b], hapNames[a]))
			}
		}
	}
	return missing
}

func (p *pairs) add(o *pairs) {
	for a := range p {
		for b := range p[a] {
			p[a][b] += o[a][b]
		}
	}
}

// String is the table: down what was under way, across what came.
func (p *pairs) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", "under way")
	for _, name := range hapNames {
		fmt.Fprintf(&b, " %11s", name)
	}
	for a, row := range p {
		fmt.Fprintf(&b, "\n%-12s", hapNames[a])
		for _, n := range row {
			fmt.Fprintf(&b, " %11d", n)
		}
	}
	return b.String()
}

// What operators and others do.

// depose forces an election. The client may be paused between its read and its write.
func (w *world) depose(i int, paused bool) {
	seat := w.kv.get(w.seats[i])
	if seat == nil {
		return
	}
	if w.deposedBy(seat) != 0 {
		return // which a client takes for done
	}
	a := protocol.Commit{
		Election: w.elections[i], Move: protocol.MoveDepose,
		Tx: protocol.Depose(w.elections[i], seat, simLongest, protocol.Order{By: "eve", Why: "hung"}),
	}
	if paused {
		w.neverKnown(request{by: "eve", action: a})
		return
	}
	res, err := w.commit("eve", a.Move, w.mutation.tx(a))
	w.tale.logf("eve deposes in %s: %v %v", a.Election, res.Committed, err)
}

// order asks the leader to hand over to a member that is in line, or aside.
func (w *world) order(i int, to *member) {
	election := w.elections[i]
	seat, candidate := w.kv.get(w.seats[i]), w.kv.get(protocol.CandidateKey(election, to.session))
	if seat == nil || seat.Lease == store.NoLease || candidate == nil {
		return
	}
	w.happened(i, hapTransfer)
	tx := protocol.Transfer(election, seat, candidate.Key, candidate.Modified, to.name, protocol.Order{By: "eve"})
	res, err := w.commit("eve", "", tx)
	w.tale.logf("eve orders %s to go to %s: %v %v", election, to.name, res.Committed, err)
}

// toggle writes or deletes a key of operators.
func (w *world) toggle(key string) (on bool) {
	on = w.kv.get(key) == nil
	op := store.Delete(key)
	if on {
		op = store.Put(key, protocol.Encode(protocol.NewControl(protocol.Order{By: "eve"})), store.NoLease)
	}
	w.tale.logf("eve: %s: %v", key, on)
	w.third(op)
	return on
}
