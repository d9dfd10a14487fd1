package protocol

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenure-go/tenure/store"
)

type phase uint8

const (
	outside phase = iota
	leading
	draining
)

type holder uint8

const (
	free holder = iota
	ours
	others
)

// election is what a session knows and wants of one election; see the package
// comment.
type election struct {
	name     string
	place    int // in Session.order
	wanted   bool
	priority int
	phase    phase

	// Facts.
	known bool // the facts below are complete
	seat  struct {
		holder holder
		token  Token
		rev    store.Revision // as of which this is known
		proof  proof          // of ours
	}
	cand struct {
		state    CandidateState
		rev      store.Revision // last known Modified; zero while there is no key
		priority int
	}
	queue    []rival        // waiting candidates of others, first in line first
	lined    bool           // while we have the seat, the line is watched
	line     store.Revision // as of which the watch, or a later look, has shown it
	far      bool           // our place in line, if any, is not among the first
	witness  witness        // while we are far
	proof    proof          // of the last look or enrolment
	lookedAt int64          // Mono

	// Of the last round: its own term as mirrored under the session.
	mirrored, mirroredAt store.Revision
	askedFrom            uint64 // the first round that asked for its seat; 0: none has

	// The term.
	token Token
	until Instant
	ended Token // no token up to it is ever held here again
	clean bool  // it was resigned, so the seat is passed on once drained

	// The request in flight.
	req    uint64
	move   Move
	leaves CandidateState // what it makes of our candidate key; "": deleted
	ranks  int            // and the priority that it writes
	asked  store.Revision // what was known of the seat when a look was sent
	heir   string         // key of whom a hand-over seats

	// The candidate key as an unanswered enrolment or withdrawal of ours expects it:
	// that may still take effect there, so no place in line is safe at it.
	contested store.Revision

	failures int
	due      int64 // Mono; zero when nothing waits for time
}

// rival is another candidate that waits.
type rival struct {
	key      string
	modified store.Revision
	lease    store.LeaseID
	record   Candidate
}

// witness is somebody half-way between us and the head of the line. While he
// waits, we are not first, and need not watch the seat.
type witness struct {
	key       string // empty: nobody, yet
	modified  store.Revision
	askedFrom uint64 // since this round
}

// election returns the state of an election, made when there is none: of one
// that a watch or a round shows ours although nobody campaigns here.
func (s *Session) election(name string) *election {
	e := s.elections[name]
	if e == nil {
		e = &election{name: name, place: len(s.order), ended: s.seen, far: true}
		s.elections[name] = e
		s.order = append(s.order, e)
	}
	return e
}

func (s *Session) remove(e *election) {
	s.setFar(e, true)
	s.unwatchLine(e)
	delete(s.elections, e.name)
	last := len(s.order) - 1
	s.order[e.place] = s.order[last]
	s.order[e.place].place = e.place
	s.order[last] = nil
	s.order = s.order[:last]
}

// askedIn reports whether a round has asked for the seat.
func (e *election) askedIn(round uint64) bool { return e.askedFrom != 0 && round >= e.askedFrom }

// The user's wishes.

func (s *Session) campaign(now Instant, ev Campaign) {
	e := s.election(ev.Election)
	e.wanted, e.priority = true, ev.Priority
	s.advance(now, e)
}

func (s *Session) withdraw(now Instant, e *election) {
	if e.phase != outside {
		return // Resign and Drained end a term
	}
	e.wanted, e.due = false, 0
	s.advance(now, e)
}

func (s *Session) resign(now Instant, e *election, cause error) {
	s.end(e, cause, true)
	s.advance(now, e) // look for a successor while the user's function drains
}

func (s *Session) drained(now Instant, e *election, again bool) {
	e.phase, e.wanted, e.due = outside, again, 0
	if !e.clean {
		e.known = false
	}
	s.advance(now, e)
}

// Terms.

// begin starts the term of the seat's token. Evidence that has run out by now
// is no evidence: look first.
func (s *Session) begin(now Instant, e *election) {
	until := e.seat.proof.sent.Add(s.trust(s.cfg.TTL))
	if e.seat.proof.rev == 0 || !now.Before(until) {
		e.known = false
		s.advance(now, e)
		return
	}
	e.phase, e.token, e.until, e.clean, e.failures = leading, e.seat.token, until, false, 0
	e.queue = nil
	e.due = now.Mono + s.settled()
	s.due = min(s.due, e.due)
	s.lapse = earlier(s.lapse, until)
	s.do(Begin{Election: e.name, Token: e.token, Until: until})
	s.setFar(e, false)
}

// extend moves the evidence's deadline, which is still ahead while leading.
func (s *Session) extend(e *election, sent Instant) {
	until := later(e.until, sent.Add(s.trust(s.cfg.TTL)))
	if until != e.until {
		e.until = until
		s.do(Extend{Election: e.name, Token: e.token, Until: until})
	}
}

func (s *Session) end(e *election, cause error, clean bool) {
	e.phase, e.ended, e.clean, e.due = draining, max(e.ended, e.token), clean, 0
	// Who watches the line knows to whom the seat will go. That nobody waits may
	// have changed since: a look.
	e.known = clean && e.lined && len(e.queue) > 0
	s.do(End{Election: e.name, Token: e.token, Cause: cause})
}

func (s *Session) proved(e *election, ev Proof) {
	if ev.Current {
		s.extend(e, ev.Sent)
	} else if ev.Revision > e.token {
		s.end(e, ErrDispossessed, false)
	}
}

// What is learnt of the seat.

// seatSeen takes the state of the seat as of a revision; nil: there is none.
func (s *Session) seatSeen(now Instant, e *election, entry *store.Entry, rev store.Revision) {
	if e.phase != outside {
		if rev > e.token && (entry == nil || entry.Modified != e.token) {
			s.missing(e, entry, rev)
		}
		return
	}
	if rev <= e.seat.rev {
		return
	}
	switch who, _ := s.holderOf(entry); who { // looks report what cannot be read
	case ours:
		s.sighted(now, e, entry.Modified, s.proofBefore(e, entry.Modified))
	case free:
		e.seat.holder, e.seat.rev = free, rev
		e.known, e.due = false, 0 // whose turn it is takes a look
		s.advance(now, e)
	default:
		e.seat.holder, e.seat.rev = others, rev
		e.due = 0
		s.advance(now, e)
	}
}

// missing: during a term or its drain, the seat is not as it should be. What is older
// than that, and comes later, is void.
func (s *Session) missing(e *election, entry *store.Entry, rev store.Revision) {
	if rev > e.seat.rev && (entry == nil || entry.Modified != e.seat.token) {
		e.seat.rev, e.known = rev, false // to pass it on takes another look
	}
	if e.phase == leading {
		s.end(e, ErrDispossessed, false)
	}
}

// holderOf says whose a seat is. One that cannot be read is somebody's, and
// nobody can tell whose.
func (s *Session) holderOf(entry *store.Entry) (holder, error) {
	if entry == nil {
		return free, nil
	}
	seat, err := DecodeSeat(entry.Value)
	if err == nil && seat.Session == s.cfg.Session {
		return ours, nil
	}
	return others, err
}

// void: an offer at or below our enrolment, at or below what is known of the seat,
// or at or below a token that ended here.
func (e *election) void(token Token) bool {
	return token <= e.ended || token <= e.cand.rev || token <= e.seat.rev
}

// sighted: the seat is ours at a token.
func (s *Session) sighted(now Instant, e *election, token Token, p proof) {
	if e.phase != outside {
		if e.phase == leading && token > e.token {
			s.end(e, ErrDispossessed, false)
		}
		return
	}
	if e.void(token) {
		return
	}
	// The offer has changed our candidate key, so whatever request is in flight
	// is answered by what is known now.
	e.req = 0
	e.seat.holder, e.seat.token, e.seat.rev, e.seat.proof = ours, token, token, p
	e.cand.state, e.cand.rev = Offered, token
	e.known, e.due = e.wanted, 0 // to pass it on takes a look
	s.advance(now, e)
}

// looked takes the reply to a look.
func (s *Session) looked(now Instant, e *election, ev Looked) {
	if e.req != ev.ID {
		return
	}
	e.req = 0
	if ev.Err != nil {
		s.failed(now, e, MoveLook, ev.Err)
		return
	}
	l := &ev.Listing
	if l.Revision < e.asked {
		s.failed(now, e, MoveLook, fmt.Errorf("%w: revision %d after %d", ErrWentBack, l.Revision, e.asked))
		return
	}
	at := proof{ev.Sent, l.Revision}
	e.proof, e.lookedAt = at, now.Mono
	s.readOwn(e, l)
	if !e.lined || l.Revision >= e.line {
		s.readQueue(e, l)
		e.line = l.Revision
	}
	if e.phase == outside && e.wanted {
		s.place(e)
	}
	if l.Revision >= e.seat.rev {
		seat := l.Entry(SeatKey(e.name))
		who, err := s.holderOf(seat)
		e.seat.holder, e.seat.rev = who, l.Revision
		if err != nil {
			s.do(Trouble{Election: e.name, Move: MoveLook, Err: err})
		}
		if e.seat.holder == ours {
			e.seat.token, e.seat.proof = seat.Modified, at
		}
		e.known = true
	}
	if e.phase == draining {
		if e.known && e.seat.holder == ours && e.seat.token == e.token && now.Before(e.until) {
			s.extend(e, ev.Sent)
		}
	} else if e.known && e.seat.holder == free && e.wanted && e.enrolled() {
		e.due = now.Mono + int64(e.ahead())*int64(s.cfg.Grace)
	}
	s.advance(now, e)
	if e.req == 0 {
		e.failures = 0 // at rest; otherwise what was sent now has failed before, perhaps
	}
}

// readOwn takes our own candidate key from a look.
func (s *Session) readOwn(e *election, l *store.Listing) {
	e.cand.rev, e.cand.state = 0, ""
	if entry := l.Entry(CandidateKey(e.name, s.cfg.Session)); entry != nil {
		record, _ := DecodeCandidate(entry.Value) // if not, it says nothing
		e.cand.rev, e.cand.state, e.cand.priority = entry.Modified, record.State, record.Priority
	}
}

// readQueue takes the others in line from a look. A candidate that cannot be read
// is not eligible.
func (s *Session) readQueue(e *election, l *store.Listing) {
	own := CandidateKey(e.name, s.cfg.Session)
	e.queue = e.queue[:0]
	for _, entry := range l.Entries {
		if entry.Key != own && entry.Key != SeatKey(e.name) {
			e.enqueue(entry)
		}
	}
	e.sortQueue()
}

// enqueue takes a candidate into the queue, if it waits.
func (e *election) enqueue(entry store.Entry) {
	if record, err := DecodeCandidate(entry.Value); err == nil && record.State == Waiting {
		e.queue = append(e.queue, rival{entry.Key, entry.Modified, entry.Lease, record})
	}
}

func (e *election) unqueue(key string) {
	e.queue = slices.DeleteFunc(e.queue, func(r rival) bool { return r.key == key })
}

func (e *election) sortQueue() {
	slices.SortFunc(e.queue, func(a, b rival) int {
		return cmp.Or(cmp.Compare(b.record.Priority, a.record.Priority), cmp.Compare(a.modified, b.modified))
	})
}

// ahead counts those who go before us: a higher priority, or the same and a
// longer wait.
func (e *election) ahead() int {
	n := 0
	for _, r := range e.queue {
		longer := e.cand.state != Waiting || r.modified < e.cand.rev
		if r.record.Priority > e.priority || (r.record.Priority == e.priority && longer) {
			n++
		}
	}
	return n
}

// The line.

// watchLine begins to follow the line for a term that lasts, so that the seat can be
// passed on at its end without a look first.
func (s *Session) watchLine(e *election) {
	if e.lined || s.lines == maxLines {
		return
	}
	s.lines++
	e.lined, e.line = true, 0
	s.do(WatchLine{Election: e.name, Token: e.token, On: true})
}

// unwatchLine keeps the queue as it is, for what follows.
func (s *Session) unwatchLine(e *election) {
	if e.lined {
		s.lines--
		e.lined = false
		s.do(WatchLine{Election: e.name, Token: e.token})
	}
}

// lined takes what the watch of the line has shown. What is newer by a look stays.
func (s *Session) lined(e *election, ev Lined) {
	if !e.lined || e.token != ev.Token {
		return
	}
	own := CandidateKey(e.name, s.cfg.Session)
	fresh := e.line == 0 // the whole line: nothing of it is in the queue yet
	for _, change := range ev.Batch.Events {
		entry := change.Entry
		if entry.Modified <= e.line || entry.Key == own {
			continue
		}
		if !fresh {
			e.unqueue(entry.Key)
		}
		if !change.Deleted {
			e.enqueue(entry)
		}
	}
	e.line = max(e.line, ev.Batch.Revision)
	e.sortQueue()
}

// place notes whether we are among the first in line. They watch the seats; the
// others have somebody to ask after in each round. Were a thousand candidates to
// watch, the event of a hand-over would have to reach them all, and its successor
// as one of them.
func (s *Session) place(e *election) {
	ahead := e.ahead()
	s.setFar(e, ahead >= s.cfg.Near && len(s.order) <= maxFar)
	if e.far {
		w := e.queue[ahead/2]
		e.witness = witness{key: w.key, modified: w.modified}
	}
}

func (s *Session) setFar(e *election, far bool) {
	if far == e.far {
		return
	}
	e.far, e.witness = far, witness{}
	if far {
		s.near--
		return
	}
	s.near++
	if !s.watching {
		s.watching = true
		s.do(WatchSeats{On: true})
	}
}

// lineSeen takes what a round has shown of the line: without our witness, we may
// be among the first.
func (s *Session) lineSeen(now Instant, e *election, round uint64, l *store.Listing) {
	w := e.witness
	if e.phase != outside || !e.far || w.askedFrom == 0 || round < w.askedFrom {
		return
	}
	if entry := l.Entry(w.key); entry == nil || entry.Modified != w.modified {
		e.known, e.witness = false, witness{}
		s.advance(now, e)
	}
}

// What follows.

// advance makes the next request of an election; the package comment has the table.
func (s *Session) advance(now Instant, e *election) {
	if e.req != 0 {
		return
	}
	if now.Mono < e.due {
		s.due = min(s.due, e.due)
		return
	}
	e.due = 0
	if e.phase == outside && e.known && (e.seat.holder != ours || e.seat.token != e.token) {
		s.unwatchLine(e) // not before the seat is passed on, which must wait for nothing
	}
	enrolled := e.enrolled()
	switch {
	case e.phase == leading:
		s.watchLine(e)
	case e.phase == draining:
		s.prepare(now, e)
	case !e.known:
		s.look(now, e)
	case e.seat.holder == ours && e.wanted && e.seat.token > e.ended:
		s.begin(now, e)
	case e.seat.holder == ours:
		e.ended = max(e.ended, e.seat.token)
		s.passOn(now, e)
	case !e.wanted && !e.marked() && (e.cand.rev != 0 || s.unsettled[e.name] > 0):
		s.send(now, e, MoveWithdraw, s.withdrawTx(e))
	case !e.wanted:
		s.remove(e)
		s.do(Done{Election: e.name})
	case e.seat.holder == free && (enrolled || e.ahead() == 0):
		s.send(now, e, MoveTake, s.takeTx(e))
	case !enrolled:
		s.send(now, e, MoveEnrol, s.enrolTx(e))
	}
}

// enrolled reports whether our key is in line, and will stay there.
func (e *election) enrolled() bool {
	return e.cand.state == Waiting && e.cand.rev != e.contested && e.cand.priority == e.priority
}

// marked reports whether our key is a mark, and will stay one.
func (e *election) marked() bool { return e.cand.state == Withdrawn && e.cand.rev != e.contested }

// prepare keeps the queue fresh while the user's function of a resigned term
// drains, so that the hand-over after it is one commit.
func (s *Session) prepare(now Instant, e *election) {
	if !e.clean || e.known && e.lined {
		return
	}
	stale := e.lookedAt + int64(s.cfg.Round)
	if !e.known || now.Mono >= stale {
		s.look(now, e)
		return
	}
	e.due = stale
	s.due = min(s.due, e.due)
}

func (s *Session) passOn(now Instant, e *election) {
	if len(e.queue) > 0 {
		e.heir = e.queue[0].key
		s.send(now, e, MoveHandOver, s.handOverTx(e, e.queue[0]))
	} else {
		s.send(now, e, MoveRelease, s.releaseTx(e))
	}
}

func (s *Session) look(now Instant, e *election) {
	e.req, e.move, e.asked = s.nextID(), MoveLook, e.seat.rev
	s.do(Look{
		ID: e.req, Election: e.name, Timeout: s.timeout(now),
		Query: store.Query{Keys: []string{SeatKey(e.name)}, Prefixes: []string{CandidatesOf(e.name)}},
	})
}

func (s *Session) send(now Instant, e *election, move Move, tx store.Tx) {
	e.req, e.move, e.leaves, e.ranks = s.nextID(), move, s.leaving(e), e.priority
	if e.cand.rev == 0 && (move == MoveTake || move == MoveEnrol) {
		s.unsettled[e.name]++
		s.guarded[e.req] = e.name
	}
	s.do(Commit{ID: e.req, Election: e.name, Move: move, Tx: tx, Timeout: s.timeout(now)})
}

// resolve notes that a request has been answered for certain.
func (s *Session) resolve(ev Committed) {
	name, ok := s.guarded[ev.ID]
	if !ok || (ev.Err != nil && !withoutEffect(ev.Err)) {
		return
	}
	delete(s.guarded, ev.ID)
	if s.unsettled[name]--; s.unsettled[name] == 0 {
		delete(s.unsettled, name)
	}
}

// withoutEffect reports whether an error promises that a commit has not taken
// effect and never will. After any other error the outcome is unknown.
func withoutEffect(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLeaseNotFound) || errors.Is(err, store.ErrDenied) || hopeless(err)
}

// hopeless reports whether trying again cannot help.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) ||
		errors.Is(err, store.ErrUnsupported) || errors.Is(err, store.ErrClosed)
}

// committed takes the reply to one of our own commits.
func (s *Session) committed(now Instant, e *election, ev Committed) {
	if e.req != ev.ID {
		// A watch was faster than the reply, which may still be the better proof.
		if e.phase == leading && ev.Err == nil && ev.Result.Committed && ev.Result.Revision == e.token {
			s.extend(e, ev.Sent)
		}
		return
	}
	e.req = 0
	switch {
	case ev.Err != nil:
		s.failed(now, e, e.move, ev.Err)
		return
	case !ev.Result.Committed:
		e.known = false
	default:
		e.failures = 0
		s.applied(e, proof{ev.Sent, ev.Result.Revision})
	}
	s.advance(now, e)
}

// applied takes what our commit has written as fact, unless a watch has shown
// something newer of the seat.
func (s *Session) applied(e *election, at proof) {
	switch e.move {
	case MoveEnrol:
		e.cand.state, e.cand.rev, e.cand.priority, e.proof = Waiting, at.rev, e.ranks, at
		if e.seat.holder == free {
			e.known = false // our place in line takes a look
		}
		s.place(e)
		return
	case MoveTake:
		e.cand.state, e.cand.rev = Leading, at.rev
	default:
		e.cand.state, e.cand.rev, e.cand.priority = e.leaves, at.rev, e.ranks
		if e.leaves == "" {
			e.cand.rev = 0
		}
	}
	switch {
	case e.move == MoveWithdraw:
	case at.rev < e.seat.rev:
		e.known = false
	case e.move == MoveTake:
		e.seat.holder, e.seat.token, e.seat.rev, e.seat.proof = ours, at.rev, at.rev, at
		e.known = e.wanted // to pass it on takes a look
	case e.move == MoveHandOver:
		e.seat.holder, e.seat.rev, e.proof = others, at.rev, at
		e.unqueue(e.heir)
		e.known = true
		if e.wanted {
			s.place(e)
		}
	case e.move == MoveRelease:
		e.seat.holder, e.seat.rev = free, at.rev
		e.known = !e.wanted // to take it again, too
	}
}

// failed takes an error. One that promises no effect leaves the facts as they
// are; after any other they are unknown.
func (s *Session) failed(now Instant, e *election, move Move, err error) {
	if hopeless(err) && e.phase == outside {
		s.remove(e)
		s.do(Done{Election: e.name, Err: err})
		return
	}
	if !errors.Is(err, store.ErrConflict) {
		e.known = false
	}
	if (move == MoveWithdraw || move == MoveEnrol) && !withoutEffect(err) {
		e.contested = e.cand.rev
	}
	if errors.Is(err, store.ErrLeaseNotFound) && move != MoveHandOver {
		s.nextRound = now.Mono // our lease, it seems; only Renew may say so
	}
	e.failures++
	e.due = now.Mono + int64(s.retryAfter(e.failures))
	s.due = min(s.due, e.due)
	s.do(Trouble{Election: e.name, Move: move, Err: err})
}

func (s *Session) retryAfter(failures int) time.Duration {
	return max(min(minRetry<<min(failures-1, 16), s.cfg.Round), minRetry)
}
