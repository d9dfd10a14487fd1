package protocol

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

// Config is what a Session is made of. The shell validates it.
type Config struct {
	Member   string // the member's id
	Endpoint string
	Session  string // SessionID of the lease
	Lease    store.LeaseID
	TTL      time.Duration // as granted
	Granted  Instant       // the moment Grant was sent
	Drift    float64       // by which two hosts' clock rates may differ
	Margin   time.Duration // kept of each deadline to act in
	Round    time.Duration // between two rounds
	Grace    time.Duration // between two places in line
	Near     int           // so many in line watch the seats; at least 1
	Longest  time.Duration // the longest TTL that any session may have
}

const (
	never           = math.MaxInt64
	maxRounds       = 3                      // in flight at once: a hung one must not delay the next
	maxListedSeats  = 100                    // named one by one in a round; beyond, all are listed
	maxLines        = 8                      // watched for the terms of a session; for others, a look shows the line
	maxFar          = 50                     // elections of a session that knows its places; beyond, it watches
	settled         = 100 * time.Millisecond // see Session.settled
	minRetry        = 10 * time.Millisecond
	minimumTimeout  = time.Millisecond
	roundRetryShare = 4 // a failed round is tried again after Round/4
)

// Session is the protocol of one session. Its methods must not be called at the
// same time.
type Session struct {
	cfg      Config
	deadline Instant
	over     bool
	seen     store.Revision // the newest revision of any reply

	elections map[string]*election
	order     []*election // the same, in an order that replays
	near      int         // of them, those whose seats are to be watched
	watching  bool
	unneeded  int64 // Mono: since when that is not needed; 0: it is
	lines     int   // watched

	drain      error // why we give up our seats and take none; nil: we need not
	drainAt    store.Revision
	pauses     int    // elections that are paused, as far as is known
	pausesFrom uint64 // while there are any: the first round that asked for all; 0: none has

	// Requests guarded by the absence of our candidate key that have not been
	// answered for certain: by id, and counted by election.
	guarded   map[uint64]string
	unsettled map[string]int

	rounds    map[uint64]struct{} // in flight
	nextRound int64               // Mono
	proof     proof               // of the last round

	lastID  uint64
	due     int64   // Mono: no election asks for attention before
	lapse   Instant // no term's evidence runs out before
	actions []Action
}

// proof is the send time of a read, and its revision: what was true at that
// revision was true at some moment after it was sent.
type proof struct {
	sent Instant
	rev  store.Revision
}

// NewSession returns the protocol of a session that was just granted.
func NewSession(cfg Config) *Session {
	s := &Session{
		cfg:       cfg,
		elections: map[string]*election{},
		guarded:   map[uint64]string{},
		unsettled: map[string]int{},
		rounds:    map[uint64]struct{}{},
		due:       never,
		lapse:     Instant{never, never},
		nextRound: cfg.Granted.Mono,
	}
	s.deadline = cfg.Granted.Add(s.trust(cfg.TTL))
	return s
}

// Deadline is until when the session's lease may be relied on.
func (s *Session) Deadline() Instant { return s.deadline }

// Next returns how long after now the next Tick is due at the latest.
func (s *Session) Next(now Instant) time.Duration {
	d := earlier(s.deadline, s.lapse)
	next := min(d.Mono-now.Mono, d.Wall-now.Wall, s.due-now.Mono, s.nextRound-now.Mono)
	return time.Duration(max(next, 0))
}

// Step takes one event that happened by now and returns what is to be done. The
// slice is valid until the next Step.
func (s *Session) Step(now Instant, ev Event) []Action {
	s.actions = s.actions[:0]
	if s.over {
		return nil
	}
	s.expire(now) // first: a deadline that has passed is final, whatever the event says
	if !s.over {
		s.take(now, ev)
	}
	if !s.over {
		s.attend(now)
	}
	return s.actions
}

func (s *Session) take(now Instant, ev Event) {
	switch ev := ev.(type) {
	case Tick:
	case Campaign:
		s.campaign(now, ev)
	case Withdraw:
		s.with(ev.Election, func(e *election) { s.withdraw(now, e) })
	case Resign:
		s.withTerm(ev.Election, ev.Token, leading, func(e *election) { s.resign(now, e, ev.Cause, ev.To) })
	case Drained:
		s.withTerm(ev.Election, ev.Token, draining, func(e *election) { s.drained(now, e, ev) })
	case Renewed:
		s.renewed(now, ev)
	case Listed:
		s.listed(now, ev)
	case Committed:
		s.saw(ev.Result.Revision, ev.Err)
		s.resolve(ev)
		s.with(ev.Election, func(e *election) { s.committed(now, e, ev) })
	case Looked:
		s.saw(ev.Listing.Revision, ev.Err)
		s.lookedAtDrain(now, ev)
		s.with(ev.Election, func(e *election) { s.looked(now, e, ev) })
	case Watched:
		s.watched(now, ev.Event)
	case Seats:
		s.seatsSeen(now, &ev.Listing)
	case Lined:
		s.with(ev.Election, func(e *election) { s.lined(now, e, ev) })
	case Proof:
		s.withTerm(ev.Election, ev.Token, leading, func(e *election) { s.proved(now, e, ev) })
	case Lapsed:
		s.withTerm(ev.Election, ev.Token, leading, func(e *election) { s.end(e, ErrUnproven, false) })
	}
}

func (s *Session) with(name string, f func(*election)) {
	if e := s.elections[name]; e != nil {
		f(e)
	}
}

func (s *Session) withTerm(name string, token Token, p phase, f func(*election)) {
	if e := s.elections[name]; e != nil && e.token == token && e.phase == p {
		f(e)
	}
}

func (s *Session) saw(rev store.Revision, err error) {
	if err == nil {
		s.seen = max(s.seen, rev)
	}
}

func (s *Session) do(a Action) { s.actions = append(s.actions, a) }

func (s *Session) trust(ttl time.Duration) time.Duration {
	return Trust(ttl, s.cfg.Drift, s.cfg.Margin)
}

func (s *Session) nextID() uint64 {
	s.lastID++
	return s.lastID
}

// timeout bounds one request: an answer after the session's end is of no use,
// and one hung request must leave time for another.
func (s *Session) timeout(now Instant) time.Duration {
	return max(min(s.cfg.Round, time.Duration(s.deadline.Mono-now.Mono)), minimumTimeout)
}

// expire ends what has run out of time: the session, or single terms.
func (s *Session) expire(now Instant) {
	if !now.Before(s.deadline) {
		s.finish(ErrSessionExpired)
		return
	}
	if now.Before(s.lapse) {
		return
	}
	s.lapse = Instant{never, never}
	for _, e := range s.order {
		switch {
		case e.phase != leading:
		case !now.Before(e.until):
			s.end(e, ErrUnproven, false)
		default:
			s.warn(now, e)
		}
	}
}

// warning is how long before a term may end that is said.
func (s *Session) warning() time.Duration { return s.cfg.Round }

// warn says once that a term ends soon, and notes when to look at it again.
func (s *Session) warn(now Instant, e *election) {
	until := earlier(e.until, s.deadline)
	soon := until.Add(-s.warning())
	if !e.warned && !now.Before(soon) {
		e.warned = true
		left := min(until.Mono-now.Mono, until.Wall-now.Wall)
		s.do(Warn{Election: e.name, Token: e.token, Left: time.Duration(left)})
	}
	if e.warned {
		soon = e.until
	}
	s.lapse = earlier(s.lapse, soon)
}

// finish ends the session and every term on it.
func (s *Session) finish(cause error) {
	for _, e := range s.order {
		if e.phase == leading {
			s.end(e, cause, false)
		}
	}
	s.over = true
	s.do(Over{Cause: cause})
}

// attend starts a round when one is due, and looks after the elections whose
// time has come.
func (s *Session) attend(now Instant) {
	if now.Mono >= s.due {
		s.due = never
		// From the end, because advance may remove the election it is called for.
		for _, e := range slices.Backward(s.order) {
			if e.due != 0 && now.Mono >= e.due {
				s.advance(now, e)
			} else if e.due != 0 {
				s.due = min(s.due, e.due)
			}
		}
	}
	s.letGo(now)
	if now.Mono < s.nextRound {
		return
	}
	s.nextRound = now.Mono + int64(s.cfg.Round)
	if len(s.rounds) < maxRounds {
		id := s.nextID()
		s.rounds[id] = struct{}{}
		// As long as its answer is worth something: another one, under way already,
		// may have moved the deadline by then.
		s.do(Round{ID: id, Query: s.roundQuery(id), Timeout: s.trust(s.cfg.TTL)})
	}
}

// letGo ends the watch of the seats when it has not been needed for a while: who comes
// and goes keeps it.
func (s *Session) letGo(now Instant) {
	switch {
	case !s.watching || s.near > 0:
		s.unneeded = 0
	case s.unneeded == 0:
		s.unneeded = now.Mono
		s.due = min(s.due, now.Mono+s.settled())
	case now.Mono < s.unneeded+s.settled():
		s.due = min(s.due, s.unneeded+s.settled())
	default:
		s.watching, s.unneeded = false, 0
		s.do(WatchSeats{On: false})
	}
}

// settled is how long something must last for a watch to begin or to end over it.
func (s *Session) settled() int64 { return int64(min(settled, s.cfg.Round)) }

// roundQuery asks for the session's own terms, which shows every offer, and for
// the seat of each of its elections: that proves the held ones, and heals within
// a round what a watch has lost. So it does for what operators want: drains, orders
// to those who lead, and the end of pauses.
func (s *Session) roundQuery(id uint64) store.Query {
	q := store.Query{Keys: []string{DrainKey(s.cfg.Member)}, Prefixes: []string{TermsOf(s.cfg.Session)}}
	if s.pauses == 0 {
		s.pausesFrom = 0
	} else {
		q.Prefixes = append(q.Prefixes, PausePrefix)
		if s.pausesFrom == 0 {
			s.pausesFrom = id
		}
	}
	leads := false
	for _, e := range s.order {
		leads = leads || e.phase != outside
		if e.askedFrom == 0 {
			e.askedFrom = id
		}
		q.Keys = append(q.Keys, SeatKey(e.name))
		if e.far && len(s.order) > maxFar {
			s.setFar(e, false)
		}
		if e.far && e.witness.key != "" {
			q.Keys = append(q.Keys, e.witness.key)
			if e.witness.askedFrom == 0 {
				e.witness.askedFrom = id
			}
		}
	}
	if len(q.Keys) > maxListedSeats {
		q.Keys, q.Prefixes = q.Keys[:1], append(q.Prefixes, LeadersPrefix)
	}
	if leads {
		q.Prefixes = append(q.Prefixes, TransferPrefix)
	}
	return q
}

// ordersListed takes what a round has shown of what operators want.
func (s *Session) ordersListed(now Instant, round uint64, l *store.Listing) {
	s.drainIs(now, l.Entry(DrainKey(s.cfg.Member)), l.Revision)
	if s.pausesFrom != 0 && round >= s.pausesFrom {
		for _, e := range slices.Backward(s.order) { // to reconsider one may remove it
			key := PauseKey(e.name)
			s.ordered(now, key, l.Entry(key), l.Revision)
		}
	}
	for i := range l.Entries {
		if e := &l.Entries[i]; strings.HasPrefix(e.Key, TransferPrefix) {
			s.ordered(now, e.Key, e, l.Revision)
		}
	}
}

// lookedAtDrain takes what a look has shown of our own drain.
func (s *Session) lookedAtDrain(now Instant, ev Looked) {
	if ev.Err == nil {
		s.drainIs(now, ev.Listing.Entry(DrainKey(s.cfg.Member)), ev.Listing.Revision)
	}
}

func (s *Session) renewed(now Instant, ev Renewed) {
	switch {
	case errors.Is(ev.Err, store.ErrLeaseNotFound):
		s.finish(ErrSessionExpired)
	case ev.Err != nil:
		s.roundFailed(now, ev.Round, ev.Err)
	default:
		if d := later(s.deadline, ev.Sent.Add(s.trust(ev.TTL))); d != s.deadline {
			s.deadline = d
			s.do(Trusted{Until: d})
		}
	}
}

func (s *Session) roundFailed(now Instant, id uint64, err error) {
	delete(s.rounds, id)
	s.nextRound = min(s.nextRound, now.Mono+int64(s.cfg.Round/roundRetryShare))
	s.do(Trouble{Move: MoveRenew, Err: err})
	s.do(RoundDone{ID: id, Err: err})
}

func (s *Session) listed(now Instant, ev Listed) {
	if ev.Err != nil {
		s.roundFailed(now, ev.Round, ev.Err)
		return
	}
	delete(s.rounds, ev.Round)
	l := ev.Listing
	s.saw(l.Revision, nil)
	at := proof{ev.Sent, l.Revision}
	if ev.Sent.Mono >= s.proof.sent.Mono {
		s.proof = at
	}
	terms := TermsOf(s.cfg.Session)
	for i := range l.Entries {
		if name, ok := strings.CutPrefix(l.Entries[i].Key, terms); ok {
			e := s.election(Unescape(name))
			e.mirrored, e.mirroredAt = l.Entries[i].Modified, l.Revision
		}
	}
	// Settling an election may remove it, so from the end.
	for _, e := range slices.Backward(s.order) {
		s.settle(now, e, at, ev.Round, &l)
	}
	s.ordersListed(now, ev.Round, &l)
	s.do(RoundDone{ID: ev.Round})
}

// settle applies to one election what a round showed.
func (s *Session) settle(now Instant, e *election, at proof, round uint64, l *store.Listing) {
	mirrored := e.mirroredAt == at.rev
	if e.phase == outside {
		s.settleOutside(now, e, at, round, mirrored, l)
		return
	}
	if at.rev < e.token || !e.askedIn(round) {
		return // read before the term began, or without its seat
	}
	seat := l.Entry(SeatKey(e.name))
	if mirrored && e.mirrored == e.token && seat != nil && seat.Modified == e.token {
		s.extend(e, at.sent)
	} else {
		s.missing(now, e, seat, at.rev)
	}
}

// settleOutside is settle for an election outside a term. A mirror alone is no
// offer: somebody else may have taken its seat away.
func (s *Session) settleOutside(now Instant, e *election, at proof, round uint64, mirrored bool, l *store.Listing) {
	seat := l.Entry(SeatKey(e.name)) // none, too, if the round has not asked for it
	if mirrored && seat != nil && seat.Modified == e.mirrored && !e.void(e.mirrored) {
		s.sighted(now, e, s.sightOf(seat), at)
		return
	}
	unknown := mirrored && e.seat.holder != ours // a seat of ours that nobody here knows of, or what is left of one
	if unknown {
		e.known = false
	}
	if e.askedIn(round) {
		s.seatSeen(now, e, seat, at.rev)
		s.lineSeen(now, e, round, l)
	}
	if unknown {
		s.advance(now, e)
	}
}

// watched takes one event of the session's watches.
func (s *Session) watched(now Instant, ev store.Event) {
	rev := ev.Entry.Modified
	var entry *store.Entry
	if !ev.Deleted {
		entry = &ev.Entry
	}
	if strings.HasPrefix(ev.Entry.Key, ControlPrefix) {
		s.ordered(now, ev.Entry.Key, entry, rev)
		return
	}
	name, ofSeats := strings.CutPrefix(ev.Entry.Key, LeadersPrefix)
	if !ofSeats {
		name = strings.TrimPrefix(ev.Entry.Key, TermsOf(s.cfg.Session))
	}
	e := s.elections[Unescape(name)]
	if e == nil {
		if s.sightOf(entry).holder != ours || rev <= s.seen {
			return // somebody else's, or an old event of a term that has been passed on
		}
		e = s.election(Unescape(name))
	}
	switch {
	case ofSeats:
		s.seatSeen(now, e, entry, rev)
	case entry != nil:
		if got := s.sightOf(entry); got.holder == ours {
			s.sighted(now, e, got, s.proofBefore(e, rev))
		}
	case e.phase == leading && rev > e.token:
		s.end(e, ErrDispossessed, false)
	}
}

// seatsSeen takes the state of all seats. Without it a seat that went after we looked,
// and before the watch began, would be missed until the next round.
func (s *Session) seatsSeen(now Instant, l *store.Listing) {
	for _, e := range slices.Backward(s.order) { // to see one may remove it
		s.seatSeen(now, e, l.Entry(SeatKey(e.name)), l.Revision)
	}
}

// proofBefore returns the newest proof from before an offer: the seat was not
// yet ours then, so what followed lies after it was sent.
func (s *Session) proofBefore(e *election, offer store.Revision) proof {
	var best proof
	for _, p := range []proof{s.proof, e.proof} {
		if p.rev < offer && p.sent.Mono > best.sent.Mono {
			best = p
		}
	}
	return best
}
