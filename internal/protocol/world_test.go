package protocol_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// world runs several sessions over one store in virtual time, one step at a
// time: every reply, watch event and late effect happens when the test says so.
type world struct {
	t       testing.TB
	kv      kv
	now     int64 // virtual, nanoseconds
	ttl     time.Duration
	members []*member
	leases  map[store.LeaseID]int64 // when each ends

	lastLease store.LeaseID
	late      []store.Tx // of lost requests that may still take effect
	tokens    map[string]store.Revision
	telling   bool // keep a log
	log       []string
	moves     map[protocol.Move]int
	broken    broken
}

// broken are mistakes that the checks must catch: negative controls.
type broken struct {
	sentAtReply bool // deadlines count from the reply
	earlyLeases bool // the store ends leases early
}

// violation is what a check found wrong.
type violation string

// member is one session and what a shell would know of it.
type member struct {
	w        *world
	name     string
	lease    store.LeaseID
	s        *protocol.Session
	requests []request          // on their way to the store
	replies  [][]protocol.Event // on their way back
	watched  []protocol.Event   // events of its watches, not yet delivered
	deaf     bool
	pausedTo int64
	deadline protocol.Instant
	terms    map[string]*term
	wants    map[string]bool
	troubles []protocol.Trouble
	over     bool
}

type request struct {
	action protocol.Action
	sent   protocol.Instant
}

type term struct {
	token store.Revision
	until protocol.Instant
	ended bool
	cause error
}

func newWorld(t testing.TB) *world {
	return &world{
		t: t, kv: kv{entries: map[string]store.Entry{}}, ttl: 3 * time.Second, now: int64(time.Hour),
		leases: map[store.LeaseID]int64{}, tokens: map[string]store.Revision{}, moves: map[protocol.Move]int{},
	}
}

func (w *world) instant() protocol.Instant { return protocol.Instant{Mono: w.now, Wall: w.now} }

func (w *world) logf(format string, args ...any) {
	if !w.telling {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%9.3fs  ", time.Duration(w.now).Seconds()-3600)+fmt.Sprintf(format, args...))
}

// fatalf ends a schedule with a violation.
func (w *world) fatalf(format string, args ...any) {
	tail := w.log[max(0, len(w.log)-80):]
	panic(violation(fmt.Sprintf(format, args...) + "\n" + strings.Join(tail, "\n")))
}

// join grants a lease, of which the world decides the end, and starts a session.
func (w *world) join(name string) *member {
	w.lastLease++
	w.leases[w.lastLease] = w.now + int64(w.ttl)
	m := &member{
		w: w, name: name, lease: w.lastLease,
		terms: map[string]*term{}, wants: map[string]bool{},
		s: protocol.NewSession(protocol.Config{
			Member: name, Session: protocol.SessionID(w.lastLease), Lease: w.lastLease,
			TTL: w.ttl, Granted: w.instant(), Drift: 0.01, Margin: w.ttl / 10,
			Round: w.ttl / 3, Grace: w.ttl / 50,
		}),
	}
	m.deadline = m.s.Deadline()
	w.members = append(w.members, m)
	l := w.kv.list(store.Prefix(protocol.LeadersPrefix))
	for _, e := range l.Entries {
		m.watched = append(m.watched, protocol.Watched{Event: store.Event{Entry: e}})
	}
	return m
}

func (m *member) step(ev protocol.Event) {
	if m.over {
		return
	}
	for _, a := range m.s.Step(m.w.instant(), ev) {
		m.do(a)
	}
	m.w.check()
}

func (m *member) do(a protocol.Action) {
	w := m.w
	switch a := a.(type) {
	case protocol.Round, protocol.Commit, protocol.Look:
		m.requests = append(m.requests, request{a, w.instant()})
	case protocol.Trusted:
		m.deadline = a.Until
	case protocol.Begin:
		w.logf("%s begins %s at %d", m.name, a.Election, a.Token)
		if old := m.terms[a.Election]; old != nil {
			w.fatalf("%s begins %s at %d before its term %d has drained", m.name, a.Election, a.Token, old.token)
		}
		if a.Token <= w.tokens[a.Election] {
			w.fatalf("%s begins %s at %d after %d", m.name, a.Election, a.Token, w.tokens[a.Election])
		}
		w.tokens[a.Election] = a.Token
		m.terms[a.Election] = &term{token: a.Token, until: a.Until}
	case protocol.Extend:
		if t := m.terms[a.Election]; t != nil && t.token == a.Token {
			t.until = a.Until
		}
	case protocol.End:
		w.logf("%s ends %s at %d: %v", m.name, a.Election, a.Token, a.Cause)
		t := m.terms[a.Election]
		if t == nil || t.ended || t.token != a.Token {
			w.fatalf("%s ends %s at %d, which is not its present term", m.name, a.Election, a.Token)
		}
		t.ended, t.cause = true, a.Cause
	case protocol.Done:
		w.logf("%s is done with %s: %v", m.name, a.Election, a.Err)
	case protocol.Trouble:
		m.troubles = append(m.troubles, a)
	case protocol.Over:
		w.logf("%s is over: %v", m.name, a.Cause)
		m.over, m.requests, m.replies, m.watched = true, nil, nil, nil
	}
}

func (m *member) held(election string) bool {
	t, now := m.terms[election], m.w.instant()
	return t != nil && !t.ended && now.Before(t.until) && now.Before(m.deadline)
}

// check fails the test when two members hold one election.
func (w *world) check() {
	holders := map[string]string{}
	for _, m := range w.members {
		for election := range m.terms {
			if !m.held(election) {
				continue
			}
			if other := holders[election]; other != "" {
				w.fatalf("%s and %s both hold %s", other, m.name, election)
			}
			holders[election] = m.name
		}
	}
}

// outcome is what becomes of a request.
type outcome int

const (
	answered    outcome = iota
	replyLost           // it takes effect, and the reply is lost
	requestLost         // no effect
	delayed             // the caller gives up; it takes effect later
)

var errLost = errors.Join(store.ErrUnavailable, errors.New("reply lost"))

// serve lets the i-th request of a member reach the store; its reply is then on
// its way.
func (m *member) serve(i int, o outcome) {
	req := m.requests[i]
	m.requests = append(m.requests[:i:i], m.requests[i+1:]...)
	switch a := req.action.(type) {
	case protocol.Round:
		m.round(a, req.sent, o)
	case protocol.Look:
		reply := protocol.Looked{ID: a.ID, Election: a.Election, Sent: req.sent, Err: errLost}
		if o == answered {
			reply.Listing, reply.Err = m.w.kv.list(a.Query), nil
		}
		m.reply(reply)
	case protocol.Commit:
		m.w.moves[a.Move]++
		reply := protocol.Committed{ID: a.ID, Election: a.Election, Sent: req.sent}
		switch o {
		case answered:
			reply.Result, reply.Err = m.w.commit(a.Tx)
			m.w.logf("%s %s: %v %d %v", m.name, a.Move, reply.Result.Committed, reply.Result.Revision, reply.Err)
		case replyLost:
			_, _ = m.w.commit(a.Tx)
			m.w.logf("%s %s, reply lost", m.name, a.Move)
			reply.Err = errLost
		case delayed:
			m.w.late = append(m.w.late, a.Tx)
			m.w.logf("%s %s, delayed", m.name, a.Move)
			reply.Err = errLost
		default:
			m.w.logf("%s %s, request lost", m.name, a.Move)
			reply.Err = errLost
		}
		m.reply(reply)
	}
}

func (m *member) reply(events ...protocol.Event) { m.replies = append(m.replies, events) }

func (m *member) round(a protocol.Round, sent protocol.Instant, o outcome) {
	renewed := protocol.Renewed{Round: a.ID, Sent: sent, TTL: m.w.ttl}
	switch end, ok := m.w.leases[m.lease]; {
	case o == requestLost || o == delayed:
		renewed.Err = errLost
	case !ok || end <= m.w.now:
		renewed.Err = store.ErrLeaseNotFound
	default:
		m.w.leases[m.lease] = m.w.now + int64(m.w.ttl)
		if m.w.broken.earlyLeases {
			m.w.leases[m.lease] = m.w.now + int64(m.w.ttl)*2/3
		}
		if o == replyLost {
			renewed.Err = errLost
		}
	}
	if renewed.Err != nil {
		m.reply(renewed)
		return
	}
	m.reply(renewed, protocol.Listed{Round: a.ID, Sent: sent, Listing: m.w.kv.list(a.Query)})
}

// answer gives a member the i-th reply that is on its way.
func (m *member) answer(i int) {
	events := m.replies[i]
	m.replies = append(m.replies[:i:i], m.replies[i+1:]...)
	for _, ev := range events {
		if m.w.broken.sentAtReply {
			ev = sentNow(ev, m.w.instant())
		}
		m.step(ev)
	}
}

func sentNow(ev protocol.Event, now protocol.Instant) protocol.Event {
	switch ev := ev.(type) {
	case protocol.Renewed:
		ev.Sent = now
		return ev
	case protocol.Listed:
		ev.Sent = now
		return ev
	case protocol.Looked:
		ev.Sent = now
		return ev
	case protocol.Committed:
		ev.Sent = now
		return ev
	}
	return ev
}

// commit applies a transaction and puts its events before the watches.
func (w *world) commit(tx store.Tx) (store.Result, error) {
	res, events, err := w.kv.commit(tx, func(id store.LeaseID) bool { return w.leases[id] > w.now })
	w.publish(events)
	return res, err
}

func (w *world) publish(events []store.Event) {
	for _, m := range w.members {
		for _, ev := range events {
			own := strings.HasPrefix(ev.Entry.Key, protocol.TermsOf(protocol.SessionID(m.lease)))
			if own || strings.HasPrefix(ev.Entry.Key, protocol.LeadersPrefix) {
				m.watched = append(m.watched, protocol.Watched{Event: ev})
			}
		}
	}
}

// deliver gives a member the next event of its watches.
func (m *member) deliver() {
	ev := m.watched[0]
	m.watched = m.watched[1:]
	m.step(ev)
}

// pass lets time go by; leases end, and members that are not paused tick.
func (w *world) pass(d time.Duration) {
	w.now += int64(d)
	for id := store.LeaseID(1); id <= w.lastLease; id++ { // in an order that replays
		if end, ok := w.leases[id]; ok && end <= w.now {
			w.expire(id)
		}
	}
	for _, m := range w.members {
		if w.now >= m.pausedTo {
			m.step(protocol.Tick{})
		}
	}
	w.check()
}

func (w *world) expire(id store.LeaseID) {
	delete(w.leases, id)
	w.logf("lease %d ends", id)
	w.publish(w.kv.expire(id))
}

// settle serves everything, without faults, until nothing is left to do now.
func (w *world) settle() {
	for range 10_000 {
		busy := false
		for _, m := range w.members {
			switch {
			case m.over:
			case len(m.requests) > 0:
				m.serve(0, answered)
				busy = true
			case len(m.replies) > 0:
				m.answer(0)
				busy = true
			case len(m.watched) > 0:
				m.deliver()
				busy = true
			}
		}
		if !busy {
			return
		}
	}
	w.fatalf("does not settle")
}

// run lets time pass in small steps with everything served.
func (w *world) run(d time.Duration) {
	for end := w.now + int64(d); w.now < end; {
		w.settle()
		w.pass(w.ttl / 100)
	}
	w.settle()
}

func (m *member) campaign(election string, priority int) {
	m.wants[election] = true
	m.step(protocol.Campaign{Election: election, Priority: priority})
}

func (m *member) withdraw(election string) {
	m.wants[election] = false
	m.step(protocol.Withdraw{Election: election})
}

var errResigned = errors.New("resigned")

func (m *member) resign(election string) {
	if t := m.terms[election]; t != nil && !t.ended {
		m.wants[election] = false
		m.step(protocol.Resign{Election: election, Token: t.token, Cause: errResigned})
	}
}

// drained says that the function of an ended term has returned. It asks for more
// when the user still wants to lead.
func (m *member) drained(election string) {
	if t := m.terms[election]; t != nil && t.ended {
		delete(m.terms, election)
		m.step(protocol.Drained{Election: election, Token: t.token, Again: m.wants[election]})
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
