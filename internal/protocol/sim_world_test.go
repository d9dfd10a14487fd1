package protocol_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// What is the same in every schedule.
const (
	simTTL   = 3 * time.Second // of most
	simDrift = 0.01

	simLongest = 2 * simTTL // of all
)

// setting is what a schedule begins with. All of it comes from the seed.
type setting struct {
	abuse     bool // somebody breaks what the guarantees assume
	members   int
	elections int
	margin    time.Duration
	near      int           // so many in line watch the seats
	lag       time.Duration // by which the store ends leases late
	rate      float64       // of the store's clock
	hosts     []host
	mutation  mutation
	crossing  bool // what crosses what is counted
}

// host is the machine of one member.
type host struct {
	ttl    time.Duration // of its sessions
	rate   float64       // of its clocks, where 1 is true time
	sleeps bool          // it may be suspended; otherwise its wall clock may be set
}

// world runs several sessions over one store, one step at a time: every reply,
// watch event and late effect happens when the schedule says so.
type world struct {
	setting
	kv      kv
	now     int64 // true time, in nanoseconds
	members []*member
	late    []request // given up by who sent them; they may still take effect

	elections []string
	seats     []string // their keys
	begun     []protocol.Token
	wrote     []protocol.Token // the highest token that has written under its guard
	deposed   map[protocol.Token]bool
	readings  map[store.Revision]protocol.Seat

	calmed bool // the faults are over

	coverage *coverage
	tale     *tale // nil: nobody listens
	found    *violation
}

func newWorld(s setting, c *coverage, tale *tale) *world {
	w := &world{setting: s, coverage: c, tale: tale, now: int64(time.Hour), deposed: map[protocol.Token]bool{}, readings: map[store.Revision]protocol.Seat{}}
	w.kv.restarting, w.kv.versions = s.mutation.tokensRestart, map[string]store.Revision{}
	for i := range s.elections {
		name := string(rune('x' + i))
		w.elections = append(w.elections, name)
		w.seats = append(w.seats, protocol.SeatKey(name))
	}
	tale.start(w)
	w.begun = make([]protocol.Token, s.elections)
	w.wrote = make([]protocol.Token, s.elections)
	for i := range s.members {
		m := &member{
			w: w, name: fmt.Sprintf("m%d", i), host: s.hosts[i],
			terms: make([]term, s.elections), wants: make([]bool, s.elections), priority: make([]int, s.elections),
			yields: make([]time.Duration, s.elections), barred: make([]bool, s.elections),
		}
		w.members = append(w.members, m)
		m.join()
	}
	return w
}

// The store.

// storeNow is the time on the store's clock.
func (w *world) storeNow() int64 { return int64(float64(w.now) * w.rate) }

// grant and renew count a lease's time from now on.
func (w *world) grant(ttl time.Duration) store.LeaseID {
	id := w.kv.grant(ttl)
	w.prolong(id)
	return id
}

func (w *world) renew(id store.LeaseID) error {
	if !w.kv.alive(id) {
		return store.ErrLeaseNotFound
	}
	w.prolong(id)
	return nil
}

func (w *world) prolong(id store.LeaseID) {
	l := &w.kv.leases[id-1]
	ttl := l.ttl
	if w.mutation.earlyLeases {
		ttl = ttl * 2 / 3
	}
	l.end = w.storeNow() + int64(ttl+w.lag)
}

// commit applies a transaction if it may, and puts its events before the
// watches.
func (w *world) commit(by string, move protocol.Move, tx store.Tx) (store.Result, error) {
	if cond, refused := w.kv.refuses(tx); refused {
		w.coverage.refused(move, cond.Key)
		return store.Result{Revision: w.kv.rev}, nil
	}
	if w.mutation.splitCommits && move != "" {
		w.kv.rev++
		w.late = append(w.late, request{action: protocol.Commit{Tx: store.Tx{Then: tx.Then}}})
		return store.Result{Committed: true, Revision: w.kv.rev}, nil
	}
	events, err := w.kv.write(tx.Then)
	if err != nil {
		w.coverage.refused(move, "lease")
		return store.Result{}, err
	}
	w.crosses(move, tx)
	w.coverage.took(move, tx)
	w.publish(events, false)
	w.judgeWrites(by, events)
	if len(events) > 0 && !events[0].Deleted {
		return store.Result{Committed: true, Revision: events[0].Entry.Modified}, nil
	}
	return store.Result{Committed: true, Revision: w.kv.rev}, nil
}

func (w *world) expire(id store.LeaseID) {
	w.tale.logf("lease %d ends", id)
	w.happenedAll(hapSessionEnd)
	w.publish(w.kv.expire(id), true)
}

// publish puts events before the watches, and notes which terms are over.
func (w *world) publish(events []store.Event, expired bool) {
	for _, ev := range events {
		for i, seat := range w.seats {
			if ev.Entry.Key == seat {
				w.moved(i, ev, expired)
			}
		}
		for _, m := range w.members {
			if m.s == nil {
				continue
			}
			for _, wt := range []*watch{&m.watch, &m.orders} {
				if strings.HasPrefix(ev.Entry.Key, wt.prefix) {
					wt.queue = append(wt.queue, ev)
				}
			}
			for i := range m.lines {
				if l := &m.lines[i]; l.token != 0 && strings.HasPrefix(ev.Entry.Key, l.prefix) {
					l.queue = append(l.queue, ev)
				}
			}
		}
	}
}

func (w *world) moved(election int, ev store.Event, expired bool) {
	if ev.Deleted {
		w.tale.freed(election, ev.Entry.Modified, expired)
	} else {
		w.tale.seated(election, &ev.Entry)
		if token := w.deposedBy(&ev.Entry); token != 0 {
			w.deposed[token] = true
		} else {
			w.judgeSeated(election, w.read(&ev.Entry).Member)
		}
	}
	for _, m := range w.members {
		t := &m.terms[election]
		if t.token != 0 && t.lostAt == 0 && (ev.Deleted || ev.Entry.Modified != t.token) {
			t.lostAt = w.now
		}
	}
}

// read is what a seat says; the zero Seat: nobody can tell. Each is read often.
func (w *world) read(seat *store.Entry) protocol.Seat {
	if s, ok := w.readings[seat.Modified]; ok {
		return s
	}
	s, err := protocol.DecodeSeat(seat.Value)
	if err != nil {
		s = protocol.Seat{}
	}
	if !w.mutation.tokensRestart {
		w.readings[seat.Modified] = s
	}
	return s
}

// deposedBy returns the token of the term that a vacancy has ended; of any other
// seat, 0.
func (w *world) deposedBy(seat *store.Entry) protocol.Token {
	if s := w.read(seat); s.Vacancy != nil {
		return s.Vacancy.Token
	}
	return 0
}

// crosses counts what a commit crosses.
func (w *world) crosses(move protocol.Move, tx store.Tx) {
	what := map[protocol.Move]happening{
		protocol.MoveHandOver: hapHandOver, protocol.MoveDepose: hapDepose, protocol.MoveWithdraw: hapWithdraw,
	}
	if h, ok := what[move]; ok {
		w.happened(w.electionOf(tx.Then[0].Key), h)
	}
}

func (w *world) electionOf(key string) int {
	return slices.IndexFunc(w.elections, func(name string) bool {
		return key == protocol.SeatKey(name) || strings.HasPrefix(key, protocol.CandidatesOf(name))
	})
}

// restart is that of the store: leases go back to their full time, as in etcd,
// and what was under way has lost its caller.
func (w *world) restart() {
	for i, l := range w.kv.leases {
		if l.end != 0 {
			w.prolong(store.LeaseID(i + 1))
		}
	}
	for _, m := range w.members {
		for _, req := range m.requests {
			m.giveUp(req)
		}
		m.requests = m.requests[:0]
	}
}

// takeEffect lets a request that was given up reach the store after all.
func (w *world) takeEffect(i int) {
	req := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	switch a := req.action.(type) {
	case protocol.Round:
		err := w.renew(req.lease)
		w.tale.logf("late renewal of lease %d: %v", req.lease, err)
	case protocol.Commit:
		if len(a.Tx.If) == 0 { // of a store that splits commits
			if events, err := w.kv.write(a.Tx.Then); err == nil {
				w.publish(events, false)
			}
			return
		}
		res, err := w.commit(req.by, a.Move, w.mutation.tx(a))
		w.tale.logf("late %s: %v %v", a.Move, res.Committed, err)
		if res.Committed {
			w.coverage.lateEffects[a.Move]++
		}
	case userWrite:
		res, err := w.commit(req.by, "", a.tx)
		w.tale.logf("late write: %v %v", res.Committed, err)
	}
}

// Time.

// pass lets time go by. Leases end, requests run out of time, and members that
// run tick.
func (w *world) pass(d time.Duration) {
	began := w.now
	w.now += int64(d)
	for i, l := range w.kv.leases {
		if l.end != 0 && l.end <= w.storeNow() {
			w.expire(store.LeaseID(i + 1))
		}
	}
	for _, m := range w.members {
		m.sleep(began)
		if m.running() {
			m.timeOut()
			m.step(protocol.Tick{})
		}
	}
	w.check()
}

// run lets time pass with everything served, from one thing that is due to the
// next.
func (w *world) run(d time.Duration) {
	for end := w.now + int64(d); ; {
		w.settle()
		left := time.Duration(end - w.now)
		if left <= 0 {
			return
		}
		w.pass(min(left, max(w.next(), time.Millisecond)))
	}
}

// next is when something is due at the latest.
func (w *world) next() time.Duration {
	next := simTTL
	for _, m := range w.members {
		if m.s != nil {
			next = min(next, time.Duration(float64(m.s.Next(m.instant()))/m.host.rate)+time.Microsecond)
		}
	}
	for _, l := range w.kv.leases {
		if l.end != 0 {
			next = min(next, time.Duration(float64(l.end-w.storeNow())/w.rate)+time.Microsecond)
		}
	}
	return next
}

// settle serves everything, without faults, until nothing is left to do now.
func (w *world) settle() {
	for range 1000 {
		busy := false
		for _, m := range w.members {
			if w.calmed {
				m.recover()
			}
			busy = m.flow() || busy
		}
		if !busy {
			return
		}
	}
	w.fail(ruleProgress, "the members do not come to rest")
}

// What must hold.

// rule names what a schedule must not break.
type rule string

const (
	ruleOneHolder  rule = "one holder"
	ruleHeld       rule = "who holds has the seat"
	ruleGone       rule = "no term begins that was read to be gone"
	ruleTokens     rule = "tokens rise"
	ruleTerms      rule = "a term begins once and ends once, with a cause"
	ruleWrites     rule = "no write of an older token after a newer one"
	ruleOrders     rule = "nobody is seated who must not be"
	ruleDrain      rule = "drain before release"
	ruleStepDown   rule = "a term that was taken away is not held for long"
	ruleProgress   rule = "progress after the faults"
	ruleInLine     rule = "who waits is in line"
	ruleWatch      rule = "the leader and the first in line watch the seat"
	ruleNothing    rule = "nothing is left behind"
	ruleReplayable rule = "a seed replays"
)

// violation is what a check found wrong.
type violation struct {
	rule rule
	text string
}

// fail ends a schedule, unless it is told: then what follows is told, too.
func (w *world) fail(r rule, format string, args ...any) {
	v := violation{r, fmt.Sprintf(format, args...)}
	if w.tale == nil {
		panic(v)
	}
	if w.found == nil {
		w.found = &v
		w.tale.logf("VIOLATION: %s: %s", v.rule, v.text)
	}
}

// check judges who holds what now. A seat that is held is the holder's, so no
// other can have it; where assumptions are broken, for a bounded time only.
func (w *world) check() {
	for i, election := range w.elections {
		var holder *member
		for _, m := range w.members {
			t := &m.terms[i]
			if t.token == 0 {
				continue
			}
			held := m.held(i)
			w.tale.held(m, i, held)
			if !held {
				continue
			}
			if w.abuse {
				if gone := w.now - t.lostAt; t.lostAt != 0 && gone > int64(m.trust())*3/2 {
					w.fail(ruleStepDown, "%s still holds %s at %d, %v after that was taken away", m.name, election, t.token, time.Duration(gone))
				}
				continue
			}
			if holder != nil {
				w.fail(ruleOneHolder, "%s and %s both hold %s, at %d and %d", holder.name, m.name, election, holder.terms[i].token, t.token)
			}
			holder = m
			if e := w.kv.get(w.seats[i]); w.mutation == (mutation{}) && (e == nil || e.Modified != t.token && w.deposedBy(e) != t.token) {
				w.fail(ruleHeld, "%s holds %s at %d, and the seat is not at it", m.name, election, t.token)
			}
		}
	}
}

func (w *world) judgeWrites(by string, events []store.Event) {
	for _, ev := range events {
		name, ok := strings.CutPrefix(ev.Entry.Key, protocol.DataPrefix)
		if !ok {
			continue
		}
		i := slices.Index(w.elections, name)
		token := tokenOf(ev.Entry.Value)
		w.tale.wrote(i, by, token, ev.Entry.Modified)
		if token < w.wrote[i] {
			w.fail(ruleWrites, "a write to %s under token %d took effect after one under %d", name, token, w.wrote[i])
		}
		w.wrote[i] = token
	}
}

// judgeSeated judges who has got a seat.
func (w *world) judgeSeated(i int, member string) {
	if w.abuse {
		return
	}
	for _, key := range []string{protocol.PauseKey(w.elections[i]), protocol.DrainKey(member)} {
		if w.kv.get(key) != nil {
			w.fail(ruleOrders, "%s has got the seat of %s, and there is %s", member, w.elections[i], key)
		}
	}
}

// judgeBegin judges a term that begins.
func (w *world) judgeBegin(m *member, i int, token protocol.Token) {
	election := w.elections[i]
	if t := m.terms[i]; t.token != 0 {
		w.fail(ruleTerms, "%s begins %s at %d, and its term %d has not drained", m.name, election, token, t.token)
	}
	if token <= m.gone[i] {
		w.fail(ruleGone, "%s begins %s at %d, and has read at %d that the seat is not its own", m.name, election, token, m.gone[i])
	}
	if w.abuse {
		return // a member may learn late that its seat was taken away before it began
	}
	if token <= w.begun[i] {
		w.fail(ruleTokens, "%s begins %s at %d after %d", m.name, election, token, w.begun[i])
	}
	w.begun[i] = token
	for _, other := range w.members {
		if t := &other.terms[i]; t.token != 0 && t.clean && !w.deposed[t.token] && t.lease == other.lease && other.s != nil && w.kv.alive(t.lease) {
			w.fail(ruleDrain, "%s begins %s at %d while the function of %s, which ended term %d cleanly, still runs", m.name, election, token, other.name, t.token)
		}
	}
}

// mustLead fails when nobody leads an election that somebody wants to lead, when
// a member that waits is not in line, or when anything is left of one that does
// not want to.
func (w *world) mustLead() {
	for i, election := range w.elections {
		wanted, held := false, false
		for _, m := range w.members {
			wanted = wanted || m.wants[i]
			held = held || m.held(i)
		}
		if wanted != held {
			w.fail(ruleProgress, "%s: somebody wants to lead: %v; somebody does: %v", election, wanted, held)
		}
		for _, m := range w.members {
			var c protocol.Candidate
			if e := w.kv.get(protocol.CandidateKey(election, m.session)); e != nil {
				c, _ = protocol.DecodeCandidate(e.Value) // if not, it says nothing
			}
			inLine := c.State == protocol.Waiting && c.Priority == m.priority[i]
			switch state := c.State; {
			case w.abuse: // candidate keys were somebody else's to delete
			case m.wants[i] && !m.held(i) && !inLine:
				w.fail(ruleInLine, "%s waits for %s with priority %d, and its candidate key says %q with %d", m.name, election, m.priority[i], state, c.Priority)
			case !m.wants[i] && state != "" && state != protocol.Withdrawn:
				w.fail(ruleNothing, "%s has left %s, and its candidate key says %q", m.name, election, state)
			}
		}
	}
}

// mustWatch fails when the leader of an election, or the first in line, does not
// watch its seat. It is called after rounds in which nothing has gone wrong.
func (w *world) mustWatch() {
	if w.abuse {
		return // candidate keys were somebody else's to delete
	}
	for i, election := range w.elections {
		var first *member
		var best protocol.Candidate
		var since store.Revision
		for _, m := range w.members {
			if m.held(i) && !m.watchesSeats() {
				w.fail(ruleWatch, "%s leads %s, and does not watch its seat", m.name, election)
			}
			e := w.kv.get(protocol.CandidateKey(election, m.session))
			if e == nil {
				continue
			}
			c, err := protocol.DecodeCandidate(e.Value)
			if err != nil || c.State != protocol.Waiting {
				continue
			}
			if first == nil || c.Priority > best.Priority || c.Priority == best.Priority && e.Modified < since {
				first, best, since = m, c, e.Modified
			}
		}
		if first != nil && !first.watchesSeats() {
			w.fail(ruleWatch, "%s is the first in line for %s, and does not watch its seat", first.name, election)
		}
	}
}

// mustBeEmpty fails when a seat is taken although nobody wants one.
func (w *world) mustBeEmpty() {
	for i, seat := range w.seats {
		e := w.kv.get(seat)
		if e == nil {
			continue
		}
		s, err := protocol.DecodeSeat(e.Value)
		if e.Lease == store.NoLease && (err != nil || w.gone(s.Session)) {
			continue // nobody is left to clear it; who comes next outlives it
		}
		w.fail(ruleNothing, "nobody wants to lead %s, and its seat is taken", w.elections[i])
	}
	for _, e := range w.kv.entries {
		litter := strings.HasPrefix(e.Key, protocol.AnnouncePrefix) || strings.HasPrefix(e.Key, protocol.TransferPrefix) ||
			strings.HasPrefix(e.Key, "sessions/")
		if litter && !w.abuse { // else it ends with the session
			w.fail(ruleNothing, "nobody leads, and there is %s", e.Key)
		}
	}
}

// gone reports whether nobody runs a session.
func (w *world) gone(session string) bool {
	return !slices.ContainsFunc(w.members, func(m *member) bool { return m.s != nil && m.session == session })
}

var errLost = errors.Join(store.ErrUnavailable, errors.New("reply lost"))
