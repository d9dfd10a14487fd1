package tenure_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store/faultstore"
)

// move tells which move of the protocol a call is, from what it writes.
func move(c faultstore.Call) string {
	if c.Op != faultstore.OpCommit {
		return ""
	}
	seat, deletesSeat, leaves := false, false, false
	for _, op := range c.Tx.Then {
		switch {
		case strings.HasPrefix(op.Key, "members/"):
			return "register"
		case strings.HasPrefix(op.Key, "leaders/"):
			seat, deletesSeat = true, op.Delete
		case strings.HasPrefix(op.Key, "candidates/"):
			leaves = leaves || op.Delete || strings.Contains(string(op.Value), "withdrawn")
		}
	}
	switch {
	case deletesSeat:
		return "release"
	case seat && len(c.Tx.Then) == 3:
		return "take"
	case seat:
		return "hand over"
	case leaves:
		return "withdraw"
	default:
		return "enrol"
	}
}

// 1.7, 8 and P3: a reply is lost, or the request takes effect after another one
// has been sent for it. Whichever move it hits, nothing is stranded: the right
// member leads, and in the end nothing is left in the store.
func TestNothingIsStrandedByALostReply(t *testing.T) {
	faults := map[string]faultstore.Fault{
		"refused":                         {Kind: faultstore.Fail},
		"done, reply lost":                {Kind: faultstore.LoseReply},
		"done a millisecond later":        {Kind: faultstore.Late, Delay: time.Millisecond},
		"done a second later":             {Kind: faultstore.Late, Delay: time.Second},
		"done a second later, no reply":   {Kind: faultstore.Late, Delay: time.Second, Hang: true},
		"done after a round, no reply":    {Kind: faultstore.Late, Delay: 4 * time.Second, Hang: true},
		"done after many rounds":          {Kind: faultstore.Late, Delay: 3 * ttl},
		"done in time, the reply is slow": {Kind: faultstore.Delay, Delay: 3 * time.Second},
	}
	for _, hit := range []string{"enrol", "take", "hand over", "release", "withdraw"} {
		for name, fault := range faults {
			for _, count := range []int{1, 3} {
				t.Run(fmt.Sprint(hit, " ", name, " ", count), func(t *testing.T) {
					bubble(t, func(t *testing.T, w *world) { stranded(t, w, hit, fault, count) })
				})
			}
		}
	}
}

// stranded goes through every move, one of which fails.
func stranded(t *testing.T, w *world, hit string, fault faultstore.Fault, count int) {
	a, b, c := w.join("a"), w.join("b"), w.join("c")
	fault.Count, fault.Name = count, "fault"
	fault.Match = func(c faultstore.Call) bool { return move(c) == hit }
	for _, n := range []*node{a, b, c} {
		n.st.Inject(fault)
	}
	qa := a.queue("x", 0)
	w.pass(2 * ttl)
	first := qa.leads()
	qb := b.queue("x", 0)
	w.pass(2 * ttl)
	qc := c.queue("x", 1)
	w.pass(ttl)
	qc.cancel()
	await(w, "end of the wait", qc.done)
	w.pass(2 * ttl)
	if got := fmt.Sprint(w.candidates("x")); got != "[a b]" {
		t.Errorf("candidates %s, want [a b]", got)
	}
	w.must(first.Resign(t.Context()))
	w.pass(2 * ttl)
	second := qb.leads()
	if w.leader("x") != "b" || second.Token() <= first.Token() {
		t.Errorf("%q leads at %d after %d", w.leader("x"), second.Token(), first.Token())
	}
	w.must(second.Resign(t.Context()))
	w.pass(5 * ttl)
	w.mustBeClean()
	for _, n := range []*node{a, b, c} {
		q := n.queue("x", 0) // whoever has left may come back
		w.pass(ttl)
		l := q.leads()
		w.must(l.Resign(t.Context()))
		w.pass(ttl)
	}
	if a.st.Hits("fault")+b.st.Hits("fault")+c.st.Hits("fault") == 0 {
		t.Error("the fault hit nothing")
	}
	for _, n := range []*node{a, b, c} {
		w.must(n.Close())
	}
	w.pass(5 * ttl)
	equal(t, "keys", w.keys(""), nil)
}

// candidates returns who waits or leads.
func (w *world) candidates(election string) (members []string) {
	w.t.Helper()
	for _, c := range w.status(election).Candidates {
		if c.State != "withdrawn" {
			members = append(members, c.Member)
		}
	}
	return members
}
