package protocol_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// member is a process: its host's clocks, one session after another, and what a
// shell and a user would know.
type member struct {
	w    *world
	name string
	host host

	lag      int64 // by which its monotonic clock is behind, from sleep
	jump     int64 // by which its wall clock was set
	sleepsTo int64
	pausedTo int64
	cut      bool // from the store

	s        *protocol.Session // nil: none, since a crash or a loss
	lease    store.LeaseID
	session  string
	deadline protocol.Instant
	requests []request                 // on their way to the store
	replies  []reply                   // on their way back
	watch    watch                     // of its own terms, or of all seats
	orders   watch                     // of what operators want
	lines    []line                    // by election
	noLines  bool                      // they are stalled
	shown    map[string]store.Revision // candidates, for a mutation
	gone     []store.Revision          // by election: as of when the session has read that the seat is not its own

	terms    []term // by election
	wants    []bool
	priority []int
	yields   []time.Duration
	barred   []bool
}

type request struct {
	by      string
	action  protocol.Action // or userWrite, or userRead
	sent    protocol.Instant
	timeout time.Duration
	lease   store.LeaseID
	listing bool // the second half of a round
}

type reply struct {
	event protocol.Event
	query store.Query // of a listing
	then  *request    // what the shell sends next
}

// What a user sends under a term's guard.
type (
	userWrite struct {
		protocol.Action
		election int
		token    protocol.Token
		tx       store.Tx
	}
	userRead struct {
		protocol.Action
		election int
		token    protocol.Token
	}
)

// watch follows a prefix.
type watch struct {
	prefix  string
	queue   []store.Event
	known   map[string]store.Revision
	stalled bool
	broken  bool // it lists before it goes on
	fresh   bool // and has not done so yet
}

// term is what the user has of one: from its begin until its function returned.
type term struct {
	token    protocol.Token // 0: none
	lease    store.LeaseID
	until    protocol.Instant
	ended    bool
	clean    bool
	cause    error
	released bool  // by a mutation, while the function runs
	lostAt   int64 // true time at which the seat was given away
}

// Clocks.

// sleep holds the monotonic clock up for as long as the host has slept since.
func (m *member) sleep(since int64) {
	if slept := min(m.w.now, m.sleepsTo) - since; slept > 0 {
		m.lag += int64(float64(slept) * m.host.rate)
	}
}

func (m *member) instant() protocol.Instant {
	local := int64(float64(m.w.now) * m.host.rate)
	return protocol.Instant{Mono: local - m.lag, Wall: local + m.jump}
}

func (m *member) trust() time.Duration { return protocol.Trust(m.host.ttl, simDrift, m.w.margin) }

func (m *member) running() bool { return m.s != nil && m.w.now >= m.pausedTo }

// Life.

// join starts a session; an older one of the same process may still be alive in
// the store.
func (m *member) join() {
	w := m.w
	m.lease = w.grant(m.host.ttl)
	m.session = protocol.SessionID(m.lease)
	m.s = protocol.NewSession(protocol.Config{
		Member: m.name, Session: m.session, Lease: m.lease, TTL: m.host.ttl, Granted: m.instant(),
		Drift: simDrift, Margin: w.margin, Round: m.host.ttl / 3, Grace: m.host.ttl / 50, Near: w.near, Longest: simLongest,
	})
	m.deadline = m.s.Deadline()
	m.watch, m.noLines = newWatch(protocol.TermsOf(m.session)), false
	m.orders = newWatch(protocol.ControlPrefix)
	m.lines = make([]line, len(w.elections))
	m.shown = map[string]store.Revision{}
	m.gone = make([]store.Revision, len(w.elections))
	w.tale.logf("%s joins with lease %d", m.name, m.lease)
	for i := range m.wants {
		if m.wants[i] && m.terms[i].token == 0 {
			m.campaign(i)
		}
	}
}

// crash ends the process: nothing of it is left but what is in the store and on
// the way there.
func (m *member) crash() {
	m.w.tale.crashed(m)
	m.w.happenedAll(hapSessionEnd)
	m.drop()
	for i := range m.terms {
		m.terms[i] = term{}
	}
}

func (m *member) drop() {
	for _, req := range m.requests {
		m.w.neverKnown(req)
	}
	m.s, m.requests, m.replies, m.watch, m.orders, m.lines = nil, m.requests[:0], m.replies[:0], watch{}, watch{}, nil
}

// The session.

func (m *member) step(ev protocol.Event) {
	if m.s == nil {
		return
	}
	for _, a := range m.s.Step(m.instant(), ev) {
		m.do(a)
	}
	m.w.check()
}

func (m *member) do(a protocol.Action) {
	w := m.w
	switch a := a.(type) {
	case protocol.Round:
		m.send(a, a.Timeout)
	case protocol.Commit:
		m.send(a, a.Timeout)
	case protocol.Look:
		m.send(a, a.Timeout)
	case protocol.WatchSeats:
		stalled := m.watch.stalled
		m.watch = newWatch(protocol.TermsOf(m.session))
		if a.On {
			m.watch = newWatch(protocol.LeadersPrefix)
		}
		m.watch.stalled = stalled
	case protocol.WatchLine:
		l := &m.lines[w.index(a.Election)]
		*l = line{}
		if a.On {
			*l = line{token: a.Token, watch: newWatch(protocol.CandidatesOf(a.Election))}
		}
	case protocol.Trusted:
		m.deadline = a.Until
	case protocol.Begin:
		i := w.index(a.Election)
		w.tale.began(m, i, a.Token)
		w.judgeBegin(m, i, a.Token)
		m.terms[i] = term{token: a.Token, lease: m.lease, until: a.Until}
		if e := w.kv.get(w.seats[i]); e == nil || e.Modified != a.Token {
			m.terms[i].lostAt = w.now
		}
		w.coverage.begins++
	case protocol.Extend:
		if t := &m.terms[w.index(a.Election)]; t.token == a.Token {
			t.until = a.Until
		}
	case protocol.End:
		i := w.index(a.Election)
		w.tale.ended(m, i, a.Token, a.Cause)
		t := &m.terms[i]
		if t.token != a.Token || t.ended || a.Cause == nil {
			w.fail(ruleTerms, "%s ends %s at %d for %v; its present term is %d, ended: %v", m.name, a.Election, a.Token, a.Cause, t.token, t.ended)
		}
		t.ended, t.cause, t.clean = true, a.Cause, !errors.Is(a.Cause, protocol.ErrLost)
		w.coverage.ended(a.Cause)
	case protocol.Over:
		w.tale.logf("%s: session over: %v", m.name, a.Cause)
		m.drop()
	}
}

func (m *member) send(a protocol.Action, timeout time.Duration) {
	m.requests = append(m.requests, request{by: m.name, action: a, sent: m.instant(), timeout: timeout, lease: m.lease})
}

// held is what Term.Held reports.
func (m *member) held(i int) bool {
	t := &m.terms[i]
	if t.token == 0 || t.ended || m.s == nil {
		return false
	}
	now := m.instant()
	return now.Before(m.deadline) && (m.w.mutation.noEvidence || now.Before(t.until))
}

func (m *member) leads() bool {
	for i := range m.terms {
		if m.held(i) {
			return true
		}
	}
	return false
}

// The way to the store and back.

// serve lets the i-th request reach the store; its reply is then on its way.
func (m *member) serve(i int) { m.reply(m.take(i)) }

func (m *member) take(i int) request {
	req := m.requests[i]
	m.requests = slices.Delete(m.requests, i, i+1)
	return req
}

func (m *member) reply(req request) { m.replies = append(m.replies, m.w.handle(m, req, nil)) }

// giveUp answers a request with an error; it may still take effect.
func (m *member) giveUp(req request) {
	m.replies = append(m.replies, m.w.handle(m, req, errLost))
	m.w.neverKnown(req)
}

// neverKnown keeps a request that may still take effect.
func (w *world) neverKnown(req request) {
	const enough = 64
	switch req.action.(type) {
	case protocol.Look, userRead:
		return
	}
	if len(w.late) < enough && !req.listing {
		w.late = append(w.late, req)
	}
}

// timeOut gives up what has taken too long.
func (m *member) timeOut() {
	now := m.instant().Mono
	for i, req := range slices.Backward(m.requests) {
		if now-req.sent.Mono > int64(req.timeout) {
			m.take(i)
			m.w.tale.logf("%s: no answer in time", m.name)
			m.giveUp(req)
		}
	}
}

// handle is the store's part of a request, unless err says that it never came.
func (w *world) handle(m *member, req request, err error) reply {
	switch a := req.action.(type) {
	case protocol.Round:
		return w.round(m, a, req, err)
	case protocol.Look:
		ev := protocol.Looked{ID: a.ID, Election: a.Election, Sent: req.sent, Err: err}
		if err == nil {
			ev.Listing = w.kv.list(a.Query)
			w.mutation.show(m, ev.Listing)
		}
		return reply{event: ev, query: a.Query}
	case protocol.Commit:
		ev := protocol.Committed{ID: a.ID, Election: a.Election, Sent: req.sent, Err: err}
		if err == nil {
			ev.Result, ev.Err = w.commit(m.name, a.Move, w.mutation.tx(a))
			w.tale.logf("%s: %s: %v at %d %v", m.name, a.Move, ev.Result.Committed, ev.Result.Revision, ev.Err)
		}
		return reply{event: ev}
	case userWrite:
		if err == nil {
			var res store.Result
			if res, err = w.commit(m.name, "", a.tx); err == nil {
				w.coverage.write(res.Committed)
				return reply{event: protocol.Proof{Election: w.elections[a.election], Token: a.token, Sent: req.sent, Revision: res.Revision, Current: res.Committed, Seat: w.seat(a.election)}}
			}
		}
	case userRead:
		if err == nil {
			l := w.kv.list(store.Keys(w.seats[a.election]))
			e := l.Entry(w.seats[a.election])
			return reply{event: protocol.Proof{Election: w.elections[a.election], Token: a.token, Sent: req.sent, Revision: l.Revision, Current: e != nil && e.Modified == a.token, Seat: e}}
		}
	}
	return reply{event: protocol.Tick{}} // the user has an error, the session nothing
}

func (w *world) round(m *member, a protocol.Round, req request, err error) reply {
	if req.listing {
		ev := protocol.Listed{Round: a.ID, Sent: req.sent, Err: err}
		if err == nil {
			ev.Listing = w.mutation.listing(m, a.Query, w.kv.list(a.Query))
		}
		return reply{event: ev, query: a.Query}
	}
	if err == nil {
		err = w.renew(req.lease)
	}
	ev := protocol.Renewed{Round: a.ID, Sent: req.sent, TTL: w.kv.leases[req.lease-1].ttl, Err: err}
	if err != nil {
		return reply{event: ev}
	}
	req.listing = true
	return reply{event: ev, then: &req}
}

// answer gives a member the i-th reply that is on its way.
func (m *member) answer(i int) {
	r := m.replies[i]
	m.replies = slices.Delete(m.replies, i, i+1)
	if r.then != nil {
		r.then.sent = m.instant()
		m.requests = append(m.requests, *r.then)
	}
	m.reads(r)
	m.step(m.w.mutation.event(m, r.event))
	m.w.mutation.after(m, r.event)
}

// reads notes which seats a listing shows to be gone.
func (m *member) reads(r reply) {
	var l store.Listing
	switch ev := r.event.(type) {
	case protocol.Looked:
		l = ev.Listing
	case protocol.Listed:
		l = ev.Listing
	}
	for i, key := range m.w.seats {
		if !slices.Contains(r.query.Keys, key) {
			continue
		}
		var seat protocol.Seat
		if e := l.Entry(key); e != nil {
			seat = m.w.read(e)
		}
		if seat.Session != m.session || seat.Vacancy != nil {
			m.gone[i] = max(m.gone[i], l.Revision)
		}
	}
}

func (m *member) watchesSeats() bool { return m.watch.prefix == protocol.LeadersPrefix }

// deliver gives a member the next event of a watch.
func (m *member) deliver(wt *watch) bool {
	if wt.broken {
		wt.list(&m.w.kv)
	}
	if wt.fresh && wt.prefix == protocol.LeadersPrefix {
		wt.fresh = false
		m.step(protocol.Seats{Listing: m.w.kv.list(store.Prefix(wt.prefix))})
		return true
	}
	if len(wt.queue) == 0 {
		return false
	}
	ev := wt.queue[0]
	wt.queue = wt.queue[1:]
	wt.saw(ev)
	m.step(m.w.mutation.event(m, protocol.Watched{Event: ev}))
	return true
}

// line is the watch of an election's candidates, for a term.
type line struct {
	watch
	token protocol.Token // 0: there is none
}

// follow gives a member what is new of a line: first all of it.
func (m *member) follow(i int) bool {
	l := &m.lines[i]
	if l.token == 0 {
		return false
	}
	batch := store.Batch{Listed: l.broken}
	switch {
	case l.broken:
		l.list(&m.w.kv)
		batch.Events, batch.Revision = l.queue, m.w.kv.rev
		l.queue = nil
	case len(l.queue) > 0:
		batch.Events, batch.Revision = l.queue[:1], l.queue[0].Entry.Modified
		l.queue = l.queue[1:]
	default:
		return false
	}
	for _, ev := range batch.Events {
		l.saw(ev)
	}
	m.step(protocol.Lined{Election: m.w.elections[i], Token: l.token, Batch: batch})
	return true
}

func (m *member) followAny() bool {
	for i := range m.lines {
		if m.follow(i) {
			return true
		}
	}
	return false
}

func (wt *watch) saw(ev store.Event) {
	if ev.Deleted {
		delete(wt.known, ev.Entry.Key)
	} else {
		wt.known[ev.Entry.Key] = ev.Entry.Modified
	}
}

// newWatch returns a watch that lists before it goes on.
func newWatch(prefix string) watch {
	return watch{prefix: prefix, known: map[string]store.Revision{}, broken: true, fresh: true}
}

// list makes the difference to what was known the queue, as store.Follow does
// when the history in between is gone.
func (wt *watch) list(k *kv) {
	wt.broken, wt.queue = false, nil
	l := k.list(store.Prefix(wt.prefix))
	for _, e := range l.Entries {
		if wt.known[e.Key] != e.Modified {
			wt.queue = append(wt.queue, store.Event{Entry: e})
		}
	}
	for key := range wt.known {
		if l.Entry(key) == nil {
			wt.queue = append(wt.queue, store.Event{Deleted: true, Entry: store.Entry{Key: key, Modified: l.Revision}})
		}
	}
	slices.SortFunc(wt.queue, func(a, b store.Event) int { return strings.Compare(a.Entry.Key, b.Entry.Key) })
}

// flow serves all that a member has under way and has not been told of. It
// reports whether there was anything.
func (m *member) flow() (busy bool) {
	const atOnce = 1000
	for n := 0; m.running() && !m.cut; n++ {
		switch {
		case n == atOnce:
			m.w.fail(ruleProgress, "%s does not come to rest", m.name)
		case len(m.requests) > 0:
			m.serve(0)
		case len(m.replies) > 0:
			m.answer(0)
		case !m.watch.stalled && m.deliver(&m.watch):
		case m.s != nil && !m.orders.stalled && m.deliver(&m.orders):
		case m.s != nil && !m.noLines && m.followAny():
		default:
			return busy
		}
		busy = true
	}
	return busy
}

// recover does what a process does that nothing is in the way of.
func (m *member) recover() {
	if m.s == nil {
		m.join()
	}
	for i := range m.terms {
		m.drained(i, 0)
	}
}

// The user.

var errResigned = errors.New("resigned")

func (m *member) campaign(i int) {
	m.wants[i] = true
	m.w.tale.wants(m, i)
	m.step(m.wish(i))
}

func (m *member) wish(i int) protocol.Campaign {
	ev := protocol.Campaign{Election: m.w.elections[i], Priority: m.priority[i], Yield: m.yields[i]}
	if m.barred[i] {
		ev.Barred = protocol.ErrIneligible
	}
	return ev
}

// leave withdraws or, in office, resigns.
func (m *member) leave(i int, forGood bool) { m.leaveTo(i, forGood, "") }

func (m *member) leaveTo(i int, forGood bool, to string) {
	if forGood {
		m.wants[i] = false
		m.w.tale.wants(m, i)
	}
	if t := &m.terms[i]; t.token != 0 {
		cause, what := errResigned, hapResign
		if to != "" {
			cause, what = protocol.ErrTransferred, hapTransfer
		}
		m.w.happened(i, what)
		m.step(protocol.Resign{Election: m.w.elections[i], Token: t.token, Cause: cause, To: to})
	} else if forGood {
		m.step(protocol.Withdraw{Election: m.w.elections[i]})
	}
}

// drained says that the function of an ended term has returned.
func (m *member) drained(i int, aside time.Duration) {
	t := m.terms[i]
	if !t.ended {
		return
	}
	m.w.tale.returned(m, i, t.token)
	m.terms[i] = term{}
	if t.lease == m.lease {
		m.step(protocol.Drained{Election: m.w.elections[i], Token: t.token, Again: m.wants[i], Aside: aside})
	} else if m.wants[i] {
		m.campaign(i) // on the session that has replaced the term's
	}
}

// bar flips whether the member may lead.
func (m *member) bar(i int) {
	m.barred[i] = !m.barred[i]
	if m.barred[i] {
		m.w.happened(i, hapPolicy)
	}
	m.w.tale.logf("%s must not lead %s: %v", m.name, m.w.elections[i], m.barred[i])
	if t := &m.terms[i]; m.wants[i] && (t.token == 0 || t.lease == m.lease) {
		ev := m.wish(i)
		ev.Amend = true
		m.step(ev) // else when the function of the older term has returned
	}
}

// announce sends what the present term wants known.
func (m *member) announce(i int) {
	t := &m.terms[i]
	if t.token == 0 || t.ended || m.s == nil {
		return
	}
	m.requests = append(m.requests, request{by: m.name, sent: m.instant(), timeout: simTTL / 3, action: userWrite{
		election: i, token: t.token,
		tx: store.Tx{
			If:   []store.Cond{store.ModifiedAt(m.w.seats[i], t.token)},
			Then: []store.Op{store.Put(protocol.AnnounceKey(m.w.elections[i]), nil, m.lease)},
		},
	}})
}

// ask is Term.Held: it tells the session when it sees that a term has run out.
func (m *member) ask(i int) {
	if t := &m.terms[i]; t.token != 0 && !t.ended && !m.held(i) {
		m.step(protocol.Lapsed{Election: m.w.elections[i], Token: t.token})
	}
}

// write sends a write under the guard of the present term, held or not.
func (m *member) write(i int) {
	t := &m.terms[i]
	if t.token == 0 || m.s == nil {
		return
	}
	value := []byte(strconv.FormatInt(int64(t.token), 10))
	m.requests = append(m.requests, request{by: m.name, sent: m.instant(), timeout: simTTL / 3, action: userWrite{
		election: i, token: t.token,
		tx: store.Tx{
			If:   []store.Cond{store.ModifiedAt(m.w.seats[i], t.token)},
			Then: []store.Op{store.Put(protocol.DataPrefix+m.w.elections[i], value, store.NoLease)},
		},
	}})
}

func (m *member) verify(i int) {
	if t := &m.terms[i]; t.token != 0 && m.s != nil {
		m.requests = append(m.requests, request{by: m.name, sent: m.instant(), timeout: simTTL / 3, action: userRead{election: i, token: t.token}})
	}
}

func tokenOf(value []byte) protocol.Token {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		panic(err)
	}
	return protocol.Token(n)
}

// seat is a copy of what the store holds now.
func (w *world) seat(i int) *store.Entry {
	l := w.kv.list(store.Keys(w.seats[i]))
	return l.Entry(w.seats[i])
}

func (w *world) index(election string) int { return slices.Index(w.elections, election) }
