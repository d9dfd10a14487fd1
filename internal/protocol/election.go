package protocol

import (
	"errors"
	"fmt"
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
	vacant // somebody else was deposed
)

// election is what a session knows and wants of one election; see the package
// comment.
type election struct {
	name  string
	place int // in Session.order
	phase phase

	// Wishes.
	wanted   bool
	priority int
	yields   time.Duration // to a higher priority, after so long; 0: never
	barred   error         // why we must not lead
	aside    int64         // Mono: until then we stand back

	// Facts.
	known bool // the facts below are complete
	seat  struct {
		holder holder
		token  Token
		rev    store.Revision // as of which this is known
		proof  proof          // of ours
		named  bool           // of ours: by a transfer
	}
	vacancy vacancy // while the seat is vacant
	paused  bool
	pauseAt store.Revision // as of which that is known
	cand    struct {
		state    CandidateState
		rev      store.Revision // last known Modified; zero while there is no key
		priority int
	}
	queue    []rival        // waiting candidates of others, first in line first
	asides   []rival        // candidates of others that stand back
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
	token  Token
	until  Instant
	begun  int64  // Mono
	warned bool   // that it may end soon
	ended  Token  // no token up to it is ever held here again
	clean  bool   // it was resigned, so the seat is passed on once drained
	to     string // the member that it is to be passed on to

	// The request in flight.
	req    uint64
	move   Move
	leaves CandidateState // what it makes of our candidate key; "": deleted
	ranks  int            // and the priority that it writes
	asked  store.Revision // what was known of the seat when a look was sent
	heir   string         // and the key of whom it seats

	// The candidate key as an unanswered enrolment or withdrawal of ours expects it:
	// that may still take effect there, so no place in line is safe at it.
	contested store.Revision

	failures int
	due      int64 // Mono; zero when nothing waits for time
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
	s.pause(e, false, e.pauseAt)
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
	if ev.Amend {
		if e := s.elections[ev.Election]; e == nil || e.phase == outside && !e.wanted {
			return
		}
	}
	e := s.election(ev.Election)
	e.wanted = e.wanted || !ev.Amend
	e.priority, e.yields, e.barred = ev.Priority, ev.Yield, ev.Barred
	if e.aside = max(e.aside, now.Mono+int64(ev.Aside)); ev.Aside < 0 {
		e.aside = 0
	}
	s.reconsider(now, e)
}

func (s *Session) withdraw(now Instant, e *election) {
	if e.phase != outside {
		return // Resign and Drained end a term
	}
	e.wanted, e.due = false, 0
	s.advance(now, e)
}

func (s *Session) resign(now Instant, e *election, cause error, to string) {
	s.end(e, cause, true)
	e.nominate(to)
	s.advance(now, e) // look for a successor while the user's function drains
}

func (s *Session) drained(now Instant, e *election, ev Drained) {
	e.phase, e.wanted, e.due = outside, ev.Again, 0
	e.aside = max(e.aside, now.Mono+int64(ev.Aside))
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
	e.queue, e.asides = nil, nil
	e.begun, e.warned, e.to = now.Mono, false, ""
	if e.seat.named {
		e.aside = 0
	}
	s.wake(e, now.Mono+s.settled())
	s.lapse = earlier(s.lapse, until.Add(-s.warning()))
	s.do(Begin{Election: e.name, Token: e.token, Until: until, Named: e.seat.named})
	s.setFar(e, false)
}

// extend moves the evidence's deadline, which is still ahead while leading.
func (s *Session) extend(e *election, sent Instant) {
	until := later(e.until, sent.Add(s.trust(s.cfg.TTL)))
	if until != e.until {
		e.until = until
		if e.warned {
			e.warned = false
			s.lapse = earlier(s.lapse, until.Add(-s.warning()))
		}
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

func (s *Session) proved(now Instant, e *election, ev Proof) {
	if ev.Current {
		s.extend(e, ev.Sent)
	} else if ev.Revision > e.token {
		s.missing(now, e, ev.Seat, ev.Revision)
	}
}

// What is learnt of the seat.

// seatSeen takes the state of the seat as of a revision; nil: there is none.
func (s *Session) seatSeen(now Instant, e *election, entry *store.Entry, rev store.Revision) {
	if e.phase != outside {
		if rev > e.token && (entry == nil || entry.Modified != e.token) {
			s.missing(now, e, entry, rev)
		}
		return
	}
	if rev <= e.seat.rev {
		return
	}
	got := s.sightOf(entry) // looks report what cannot be read
	if got.holder == ours && !got.vacated {
		s.sighted(now, e, got, s.proofBefore(e, got.token))
		return
	}
	s.seatIs(now, e, got, rev)
	if got.holder != others {
		e.known = false // whose turn it is, and who is to have a seat of ours, takes a look
	}
	e.due = 0
	s.advance(now, e)
}

// seatIs takes as a fact what the seat says.
func (s *Session) seatIs(now Instant, e *election, got sight, rev store.Revision) {
	e.seat.holder, e.seat.rev = got.holder, rev
	switch {
	case got.vacated:
		e.seat.token = got.token
		s.deposed(now, e, got.token)
	case got.holder == ours:
		e.seat.token, e.seat.named = got.token, got.named
	case got.holder == vacant && got.token != e.vacancy.rev:
		e.vacancy = vacancy{rev: got.token, victim: got.victim, ttl: got.ttl, since: now.Mono}
	}
}

// missing: during a term or its drain, the seat is not as it should be. What is older
// than that, and comes later, is void.
func (s *Session) missing(now Instant, e *election, entry *store.Entry, rev store.Revision) {
	if rev > e.seat.rev && (entry == nil || entry.Modified != e.seat.token) {
		e.seat.rev, e.known = rev, false // to pass it on takes another look
	}
	if got := s.sightOf(entry); got.vacated {
		s.deposed(now, e, got.token)
	}
	if e.phase == leading {
		s.end(e, LossOf(entry, e.token), false)
	}
}

// LossOf is why the term of a token is lost whose seat now is as it is; nil: there is
// none.
func LossOf(seat *store.Entry, token Token) error {
	if seat != nil {
		if s, err := DecodeSeat(seat.Value); err == nil && s.Vacancy != nil && s.Vacancy.Token == token {
			return fmt.Errorf("%w%v", ErrDeposed, s.Vacancy.Order)
		}
	}
	return ErrDispossessed
}

// sight is what a seat says.
type sight struct {
	holder  holder
	token   Token // its Modified
	named   bool  // of ours: by a transfer
	vacated bool  // of ours: we were deposed, and are to clear it
	victim  string
	ttl     time.Duration // of a vacancy
	err     error
}

// sightOf reads a seat. One that cannot be read is somebody's, and nobody can tell
// whose: his lease ends it, or, if it has none, the longest time that one may have.
func (s *Session) sightOf(entry *store.Entry) sight {
	if entry == nil {
		return sight{holder: free}
	}
	seat, err := DecodeSeat(entry.Value)
	got := sight{holder: others, token: entry.Modified, named: seat.Transfer, err: err}
	mine := err == nil && seat.Session == s.cfg.Session
	switch {
	case err == nil && seat.Vacancy != nil:
		got.holder, got.vacated = vacant, mine
		got.victim, got.ttl = seat.Session, seat.TTL
		if mine {
			got.holder = ours
		}
	case entry.Lease == store.NoLease:
		got.holder = vacant
	case mine:
		got.holder = ours
	}
	if got.ttl <= 0 || got.ttl > s.cfg.Longest {
		got.ttl = s.cfg.Longest
	}
	return got
}

// void: an offer at or below our enrolment, at or below what is known of the seat,
// or at or below a token that ended here.
func (e *election) void(token Token) bool {
	return token <= e.ended || token <= e.cand.rev || token <= e.seat.rev
}

// sighted: the seat is ours.
func (s *Session) sighted(now Instant, e *election, got sight, p proof) {
	token := got.token
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
	s.seatIs(now, e, got, token)
	e.seat.proof = p
	e.cand.state, e.cand.rev = Offered, token
	e.known, e.due = s.mayLead(e), 0 // to pass it on takes a look
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
	s.pause(e, l.Entry(PauseKey(e.name)) != nil, l.Revision)
	if e.phase == outside && e.wanted {
		s.place(now, e)
	}
	seat := l.Entry(SeatKey(e.name))
	switch {
	case l.Revision < e.seat.rev:
	case e.phase == leading && (seat == nil || seat.Modified != e.token):
		s.missing(now, e, seat, l.Revision)
	default:
		got := s.sightOf(seat)
		s.seatIs(now, e, got, l.Revision)
		e.seat.proof, e.known = at, true
		if got.err != nil {
			s.do(Trouble{Election: e.name, Move: MoveLook, Err: got.err})
		}
		if got.holder == vacant {
			e.vacancy.gone = got.victim != "" && l.Entry(CandidateKey(e.name, got.victim)) == nil
		}
	}
	switch {
	case !e.known:
	case e.phase != outside:
		if e.seat.holder == ours && e.seat.token == e.token && now.Before(e.until) {
			s.extend(e, ev.Sent)
		}
	case e.open() && e.enrolled(s.standing(now, e)):
		e.due = max(now.Mono, e.outlived(s.cfg.Drift)) + int64(e.ahead())*int64(s.cfg.Grace)
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
	standing := s.standing(now, e)
	enrolled := e.enrolled(standing)
	switch {
	case e.phase == leading:
		s.watchLine(e)
		s.yield(now, e)
	case e.phase == draining:
		s.prepare(now, e)
	case !e.known:
		s.look(now, e)
	case e.seat.holder == ours && s.mayLead(e) && e.seat.token > e.ended:
		s.begin(now, e)
	case e.seat.holder == ours:
		e.ended = max(e.ended, e.seat.token)
		s.passOn(now, e)
	case !e.wanted && !e.marked() && (e.cand.rev != 0 || s.unsettled[e.name] > 0):
		s.send(now, e, MoveWithdraw, s.withdrawTx(e, s.leaving(now, e)))
	case !e.wanted:
		s.remove(e)
		s.do(Done{Election: e.name})
	case standing == Waiting && s.mayTake(now, e) && (enrolled || e.ahead() == 0):
		move := MoveTake
		if e.seat.holder == vacant {
			move = MoveOutlive
		}
		s.send(now, e, move, s.takeTx(e))
	case !enrolled:
		s.send(now, e, MoveEnrol, s.enrolTx(e, standing))
	case standing == Aside:
		s.wake(e, e.aside)
	case standing == Waiting && !e.paused && e.seat.holder == vacant:
		s.wake(e, e.outlived(s.cfg.Drift)+int64(e.ahead())*int64(s.cfg.Grace))
	}
}

// wake has advance called again at a time.
func (s *Session) wake(e *election, at int64) {
	e.due = at
	s.due = min(s.due, at)
}

// enrolled reports whether our key says how we stand, and will stay as it is.
func (e *election) enrolled(standing CandidateState) bool {
	return e.cand.state == standing && e.cand.rev != e.contested && e.cand.priority == e.priority
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
	s.wake(e, stale)
}

func (s *Session) passOn(now Instant, e *election) {
	leaves := s.leaving(now, e)
	if to, named, ok := e.successor(); ok && !e.paused {
		e.heir = to.key
		s.send(now, e, MoveHandOver, s.handOverTx(e, to, named, leaves))
	} else {
		s.send(now, e, MoveRelease, s.releaseTx(e, leaves))
	}
}

func (s *Session) look(now Instant, e *election) {
	e.req, e.move, e.asked = s.nextID(), MoveLook, e.seat.rev
	s.do(Look{
		ID: e.req, Election: e.name, Timeout: s.timeout(now),
		Query: store.Query{
			Keys:     []string{SeatKey(e.name), PauseKey(e.name)},
			Prefixes: []string{CandidatesOf(e.name), DrainPrefix},
		},
	})
}

func (s *Session) send(now Instant, e *election, move Move, tx store.Tx) {
	e.req, e.move, e.leaves, e.ranks = s.nextID(), move, s.leaving(now, e), e.priority
	if e.cand.rev == 0 && (move == MoveTake || move == MoveOutlive || move == MoveEnrol) {
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
		s.applied(now, e, proof{ev.Sent, ev.Result.Revision})
	}
	s.advance(now, e)
}

// applied takes what our commit has written as fact, unless a watch has shown
// something newer of the seat.
func (s *Session) applied(now Instant, e *election, at proof) {
	switch e.move {
	case MoveEnrol:
		e.cand.state, e.cand.rev, e.cand.priority, e.proof = e.leaves, at.rev, e.ranks, at
		if e.open() {
			e.known = false // our place in line takes a look
		}
		s.place(now, e)
		return
	case MoveTake, MoveOutlive:
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
	case e.move == MoveTake, e.move == MoveOutlive:
		s.seatIs(now, e, sight{holder: ours, token: at.rev}, at.rev)
		e.seat.proof = at
		e.known = s.mayLead(e) // to pass it on takes a look
	case e.move == MoveHandOver:
		e.seat.holder, e.seat.rev, e.proof = others, at.rev, at
		e.unqueue(e.heir)
		e.known = true
		if e.wanted {
			s.place(now, e)
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
	s.wake(e, now.Mono+int64(s.retryAfter(e.failures)))
	s.do(Trouble{Election: e.name, Move: move, Err: err})
}

func (s *Session) retryAfter(failures int) time.Duration {
	return max(min(minRetry<<min(failures-1, 16), s.cfg.Round), minRetry)
}
