package protocol_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

var (
	schedules = flag.Int("schedules", 2000, "random schedules to run")
	tell      = flag.Uint64("seed", 0, "run this one schedule and print it")
)

// TestRandomSchedules drives sessions through seeded schedules of faults and
// checks, after every step, that no election has two holders and that tokens
// rise; and at the end, without faults, that whoever may lead does.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	if *tell != 0 {
		w, found := schedule(t, *tell, broken{})
		t.Logf("%s", strings.Join(w.log, "\n"))
		if found != "" {
			t.Error(found)
		}
		return
	}
	moves := map[protocol.Move]int{}
	for i := range uint64(*schedules) {
		w, found := schedule(t, i+1, broken{})
		if found != "" {
			t.Fatal(found)
		}
		for move, n := range w.moves {
			moves[move] += n
		}
	}
	for _, move := range []protocol.Move{
		protocol.MoveEnrol, protocol.MoveTake, protocol.MoveHandOver, protocol.MoveRelease, protocol.MoveWithdraw,
	} {
		if moves[move] == 0 {
			t.Errorf("no schedule took the move %q", move)
		}
	}
}

// TestNegativeControls shows that the checks catch what they are there for.
func TestNegativeControls(t *testing.T) {
	t.Parallel()
	controls := map[string]struct {
		broken broken
		from   uint64 // a little before the first seed that shows it
	}{
		"deadline counted from the reply": {broken{sentAtReply: true}, 3700},
		"store ends leases early":         {broken{earlyLeases: true}, 100},
	}
	for name, c := range controls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range uint64(20_000) {
				if _, found := schedule(t, c.from+i, c.broken); found != "" {
					first, _, _ := strings.Cut(found, "\n")
					t.Logf("seed %d: %s", c.from+i, first)
					return
				}
			}
			t.Error("not caught")
		})
	}
}

// schedule runs one schedule, and once more with a log if it is to be told.
func schedule(t *testing.T, seed uint64, b broken) (w *world, found string) {
	if w, found = replay(t, seed, b, *tell == seed); found != "" && *tell != seed {
		w, found = replay(t, seed, b, true)
		if found == "" {
			t.Fatalf("seed %d does not replay", seed)
		}
	}
	return w, found
}

func replay(t *testing.T, seed uint64, b broken, telling bool) (w *world, found string) {
	w = newWorld(t)
	w.telling = telling
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			found = string(v)
		default:
			panic(v)
		}
	}()
	w.broken = b
	w.logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	elections := []string{"x", "y"}[:1+r.IntN(2)]
	for i := range 2 + r.IntN(3) {
		m := w.join(fmt.Sprintf("m%d", i))
		m.campaign(pick(r, elections), r.IntN(2))
	}
	faults := r.Float64() / 3
	for range 100 + r.IntN(200) {
		w.act(r, elections, faults)
	}
	w.logf("faults stop")
	for _, m := range w.members {
		m.deaf, m.pausedTo = false, 0
	}
	w.late = nil
	w.comeBack(elections)
	for range 20 { // 10 TTL, with functions that drain as they are asked to
		w.run(w.ttl / 2)
		for _, m := range w.members {
			for _, election := range elections {
				m.drained(election)
			}
		}
		w.comeBack(elections)
	}
	w.mustLead(elections)
	return w, ""
}

// comeBack gives every member whose session is over a new one.
func (w *world) comeBack(elections []string) {
	for i, m := range w.members {
		if !m.over {
			continue
		}
		fresh := w.join(m.name + "'")
		w.members[i], w.members = fresh, w.members[:len(w.members)-1]
		for _, election := range elections {
			if m.wants[election] {
				fresh.campaign(election, 0)
			}
		}
	}
}

// mustLead fails when nobody leads an election that somebody wants to lead, or
// when anything is left of those who do not.
func (w *world) mustLead(elections []string) {
	for _, election := range elections {
		wanted, held := false, false
		for _, m := range w.members {
			wanted = wanted || m.wants[election]
			held = held || m.held(election)
		}
		if wanted != held {
			w.fatalf("%s: somebody wants to lead: %v; somebody does: %v", election, wanted, held)
		}
		for _, m := range w.members {
			e, ok := w.kv.entries[protocol.CandidateKey(election, protocol.SessionID(m.lease))]
			if !ok || m.wants[election] {
				continue
			}
			if c, err := protocol.DecodeCandidate(e.Value); err != nil || c.State != protocol.Withdrawn {
				w.fatalf("%s has left %s, and its candidate key says %q (%v)", m.name, election, c.State, err)
			}
		}
	}
}

// act does one random thing.
func (w *world) act(r *rand.Rand, elections []string, faults float64) {
	m, election := pick(r, w.members), pick(r, elections)
	paused := w.now < m.pausedTo
	switch p := r.Float64(); {
	case p < 0.45:
		if len(m.requests) > 0 {
			o := answered
			if r.Float64() < faults {
				o = outcome(1 + r.IntN(3))
			}
			m.serve(r.IntN(len(m.requests)), o)
		}
		if !paused && len(m.replies) > 0 && r.IntN(4) > 0 {
			m.answer(r.IntN(len(m.replies)))
		}
	case p < 0.65:
		if !paused && !m.deaf && len(m.watched) > 0 {
			m.deliver()
		}
	case p < 0.75:
		w.pass(time.Duration(r.Int64N(int64(w.ttl / 8))))
	case p < 0.80:
		if len(w.late) > 0 {
			i := r.IntN(len(w.late))
			tx := w.late[i]
			w.late = append(w.late[:i:i], w.late[i+1:]...)
			res, err := w.commit(tx)
			w.logf("late effect: %v %v", res.Committed, err)
		}
	case p < 0.84:
		if m.terms[election] == nil {
			m.campaign(election, r.IntN(2))
		}
	case p < 0.87:
		m.withdraw(election)
		m.resign(election)
	case p < 0.90:
		m.resign(election)
	case p < 0.96:
		m.drained(election)
	case p < 0.97:
		m.deaf = !m.deaf
	case p < 0.98:
		m.pausedTo = w.now + r.Int64N(int64(2*w.ttl))
	default:
		if m.over {
			w.comeBack(elections)
		}
	}
}
