package tenure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// requestTimeout bounds a request whose context has no deadline.
const requestTimeout = 10 * time.Second

// Leader describes who holds the seat of an election.
type Leader struct {
	Member   string
	Endpoint string
	Token    Token
	Session  string
	TTL      time.Duration // of the leader's session
}

// Candidate describes a member that competes in an election.
type Candidate struct {
	Member   string
	Endpoint string
	Priority int
	// State is "waiting" for one in line, "aside" for one that stands back and takes
	// the seat only if it is named, "ineligible" and "draining" for one that takes
	// none, "leading" or "offered" for the leader, "deposed" for one that has not
	// confirmed its end yet, and "withdrawn" for one that has left.
	State   string
	Session string
	// Since is the revision at which it entered its state. Of two that wait with
	// one priority, the lower one comes first.
	Since store.Revision
}

// EventKind says what an Event tells.
type EventKind int

const (
	// Elected: there is a leader, in a new term.
	Elected EventKind = iota + 1
	// Vacant: there is no leader.
	Vacant
	// Gap: transitions after From and before To may have been missed.
	Gap
)

// Event is one transition of an election, as Observe yields it.
type Event struct {
	Kind   EventKind
	Leader Leader // of Elected
	// Vacancy, of Vacant, is not nil where the leader was deposed.
	Vacancy *Vacancy
	// From and To are the tokens around a Gap; zero for "no leader".
	From, To Token
	// Revision of the store at which it happened.
	Revision store.Revision
}

// Vacancy describes a seat whose leader was deposed. Nobody leads, and the candidates
// wait until he has cleared it, or can lead no longer.
type Vacancy struct {
	Victim Leader // Token: of the term that it has ended
	Reason Reason
}

// String returns the kind's name.
func (k EventKind) String() string {
	switch k {
	case Elected:
		return "elected"
	case Vacant:
		return "vacant"
	case Gap:
		return "gap"
	default:
		return "unknown"
	}
}

// View looks at one election from outside: it has no identity and no lease. All
// methods may be called from many goroutines.
type View struct {
	st       store.Store
	election string
	last     atomic.Pointer[sight]
}

// sight is what was seen of a seat as of a revision; a nil leader is a vacancy.
type sight struct {
	leader *Leader
	rev    store.Revision
}

// NewView returns a view of an election. Its reads return ErrInvalid for a name
// that cannot be one.
func NewView(st store.Store, election string) *View {
	return &View{st: st, election: election}
}

// Leader returns the leader that an Observe or Read of this view has seen last.
// It reads local state only, and is as fresh as the last event of a running
// Observe. False: none has been seen, or the seat was vacant.
func (v *View) Leader() (Leader, bool) {
	if s := v.last.Load(); s != nil && s.leader != nil {
		return *s.leader, true
	}
	return Leader{}, false
}

// saw keeps what was seen, unless something newer has been: reads overtake each
// other, and a slow consumer of Observe lags behind.
func (v *View) saw(leader *Leader, rev store.Revision) {
	s := &sight{leader, rev}
	for old := v.last.Load(); old == nil || old.rev <= rev; old = v.last.Load() {
		if v.last.CompareAndSwap(old, s) {
			return
		}
	}
}

// Read asks the store who leads. False: nobody does. Errors: ErrInvalid,
// ErrCorrupt, and those of the store and of ctx.
func (v *View) Read(ctx context.Context) (Leader, bool, error) {
	s, err := v.Status(ctx)
	if s.Leader == nil {
		return Leader{}, false, err
	}
	return *s.Leader, true, nil // whatever candidate cannot be read
}

// Candidates asks the store who competes: the leader, then those who wait, next
// in line first. Errors as of Read.
func (v *View) Candidates(ctx context.Context) ([]Candidate, error) {
	s, err := v.Status(ctx)
	return s.Candidates, err
}

// Status is all that the store says of an election at one revision.
type Status struct {
	Election   string
	Leader     *Leader     // nil: nobody leads
	Vacancy    *Vacancy    // not nil: because the leader was deposed
	Paused     *Reason     // not nil: nobody may be elected
	Candidates []Candidate // the leader, then those who wait, next in line first
	Revision   store.Revision
}

// Status asks the store for the leader and the candidates. Beside an ErrCorrupt it
// returns all that can be read. Other errors as of Read.
func (v *View) Status(ctx context.Context) (Status, error) {
	l, err := v.look(ctx)
	if err != nil {
		return l.status, v.fail("read", err)
	}
	return l.status, nil
}

// look is one read of all that an election has in the store.
type look struct {
	status  Status
	listing store.Listing
	seat    *store.Entry
}

func (v *View) look(ctx context.Context) (look, error) {
	if err := checkName("election name", v.election); err != nil {
		return look{}, err
	}
	listing, err := list(ctx, v.st, store.Query{
		Keys:     []string{protocol.SeatKey(v.election), protocol.PauseKey(v.election)},
		Prefixes: []string{protocol.CandidatesOf(v.election)},
	})
	if err != nil {
		return look{}, err
	}
	l := look{status: Status{Election: v.election, Revision: listing.Revision}, listing: listing}
	l.seat = l.listing.Entry(protocol.SeatKey(v.election))
	var errs []error
	for i := range listing.Entries {
		errs = append(errs, l.status.add(&listing.Entries[i]))
	}
	l.status.complete()
	v.saw(l.status.Leader, listing.Revision)
	return l, errors.Join(errs...)
}

// named returns the key of a member that is to have the seat.
func (l *look) named(member string) (*store.Entry, error) {
	if l.status.Paused != nil {
		return nil, ErrPaused
	}
	for i := range l.listing.Entries {
		e := &l.listing.Entries[i]
		if !strings.HasPrefix(e.Key, protocol.CandidatesPrefix) {
			continue
		}
		c, err := protocol.DecodeCandidate(e.Value)
		if err == nil && c.Member == member && (c.State == protocol.Waiting || c.State == protocol.Aside) {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNotCandidate, member)
}

// Survey asks the store for all elections that have a leader or a candidate, or are
// paused, sorted by name. A record that cannot be read is left out and reported as
// ErrCorrupt beside the rest.
func Survey(ctx context.Context, st store.Store) ([]Status, error) {
	l, err := list(ctx, st, store.Prefix(protocol.LeadersPrefix, protocol.CandidatesPrefix, protocol.PausePrefix))
	if err != nil {
		return nil, &Error{Op: "survey", Err: err}
	}
	byName := map[string]*Status{}
	var errs []error
	for i := range l.Entries {
		name := electionOf(l.Entries[i].Key)
		s := byName[name]
		if s == nil {
			s = &Status{Election: name, Revision: l.Revision}
			byName[name] = s
		}
		if err := s.add(&l.Entries[i]); err != nil {
			errs = append(errs, &Error{Op: "survey", Election: name, Err: err})
		}
	}
	all := make([]Status, 0, len(byName))
	for _, s := range byName {
		s.complete()
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Election, b.Election) })
	return all, errors.Join(errs...)
}

// electionOf returns the election that a seat's, pause's or candidate's key belongs to.
func electionOf(key string) string {
	for _, prefix := range []string{protocol.LeadersPrefix, protocol.PausePrefix} {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			return protocol.Unescape(name)
		}
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(key, protocol.CandidatesPrefix), "/")
	return protocol.Unescape(name)
}

// add takes in the seat, a pause or one candidate.
func (s *Status) add(e *store.Entry) error {
	switch {
	case strings.HasPrefix(e.Key, protocol.LeadersPrefix):
		leader, vacancy, err := leaderOf(e)
		if err == nil && vacancy == nil {
			s.Leader = &leader
		}
		s.Vacancy = vacancy
		return err
	case strings.HasPrefix(e.Key, protocol.PausePrefix):
		c, err := protocol.DecodeControl(e.Value)
		s.Paused = (*Reason)(&c.Order) // even if nobody can read why
		return err
	}
	c, err := protocol.DecodeCandidate(e.Value)
	if err != nil {
		return err
	}
	s.Candidates = append(s.Candidates, Candidate{
		Member: c.Member, Endpoint: c.Endpoint, Priority: c.Priority,
		State: string(c.State), Session: c.Session, Since: e.Modified,
	})
	return nil
}

func (c *Candidate) leads() bool {
	return c.State == string(protocol.Leading) || c.State == string(protocol.Offered)
}

// complete puts together what the keys say one by one.
func (s *Status) complete() {
	for i := range s.Candidates { // the key of one that was deposed says that it leads until it knows
		if c := &s.Candidates[i]; s.Vacancy != nil && c.Session == s.Vacancy.Victim.Session && c.leads() {
			c.State = "deposed"
		}
	}
	rank := func(c Candidate) int {
		switch {
		case s.Leader != nil && c.Session == s.Leader.Session:
			return 0
		case c.State == string(protocol.Waiting):
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(s.Candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Since, b.Since))
	})
}

// leaderOf reads a seat. In a vacancy nobody leads.
func leaderOf(e *store.Entry) (Leader, *Vacancy, error) {
	seat, err := protocol.DecodeSeat(e.Value)
	leader := Leader{Member: seat.Member, Endpoint: seat.Endpoint, Token: e.Modified, Session: seat.Session, TTL: seat.TTL}
	if v := seat.Vacancy; v != nil {
		leader.Token = v.Token
		return Leader{}, &Vacancy{Victim: leader, Reason: Reason(v.Order)}, err
	}
	return leader, nil, err
}

// Observe yields the present state of the election first, Elected or Vacant, and
// then every transition in the order of tokens, for as long as ctx lives. Where
// the history of the store was lost in between, one Gap says so. A consumer may
// be as slow as it likes; it delays nobody else. Losing and regaining the store
// does not end the sequence. Its last element is an error: that of ctx,
// ErrInvalid, ErrCorrupt, store.ErrClosed, or store.ErrUnsupported.
func (v *View) Observe(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := v.follow(ctx, func(ev Event) bool { return yield(ev, nil) }, nil); err != nil {
			yield(Event{}, err)
		}
	}
}

// follow is Observe for a function, until that returns false. What is tried again is
// told to trouble, and a seat that cannot be read then ends nothing; trouble may be nil.
func (v *View) follow(ctx context.Context, yield func(Event) bool, trouble func(error)) error {
	if err := checkName("election name", v.election); err != nil {
		return v.fail("observe", err)
	}
	o := observer{view: v, yield: yield}
	if trouble != nil {
		o.trouble = func(err error) { trouble(v.fail("observe", err)) }
	}
	key := protocol.SeatKey(v.election)
	for batch, err := range store.Follow(ctx, v.st, key, o.trouble) {
		if err == nil {
			err = o.take(batch, key)
		}
		if err != nil {
			return v.fail("observe", err)
		}
		if o.left {
			return nil
		}
	}
	return nil
}

// observer turns the changes of a seat into transitions.
type observer struct {
	view    *View
	yield   func(Event) bool
	trouble func(error) // nil: a seat that cannot be read is the end
	begun   bool        // the present state has been told
	unread  bool        // the seat is taken, and nobody can say by whom
	token   Token       // of the leader told last; zero: none
	left    bool        // the consumer has
}

// take tells of one batch. The prefix that is followed may hold other seats,
// whose names begin with this one's.
func (o *observer) take(batch store.Batch, key string) error {
	first, changed := !o.begun, false
	for _, ev := range batch.Events {
		if ev.Entry.Key != key {
			continue
		}
		told := Event{Kind: Vacant, Revision: ev.Entry.Modified}
		if !ev.Deleted {
			leader, vacancy, err := leaderOf(&ev.Entry)
			switch {
			case err != nil && o.trouble == nil:
				return err
			case err != nil:
				o.unread = true
				o.view.saw(nil, ev.Entry.Modified)
				o.trouble(err)
				continue
			}
			told.Vacancy = vacancy
			if vacancy == nil {
				told.Kind, told.Leader = Elected, leader
			}
		}
		if batch.Listed && !first {
			o.tell(Event{Kind: Gap, From: o.token, To: told.Leader.Token, Revision: batch.Revision})
		}
		o.tell(told)
		o.unread, changed = false, true
	}
	switch {
	case first && !o.begun && !o.unread:
		o.tell(Event{Kind: Vacant, Revision: batch.Revision})
	case !first && batch.Listed && !changed && o.token == 0 && !o.unread:
		// Whole terms may have come and gone. A leader at the token it had shows
		// that none has.
		o.tell(Event{Kind: Gap, Revision: batch.Revision})
	}
	return nil
}

func (o *observer) tell(ev Event) {
	if o.left || ev.Kind == Vacant && o.begun && o.token == 0 && !o.unread {
		return // a vacancy that was cleared is the second of the kind
	}
	switch ev.Kind {
	case Elected:
		o.view.saw(&ev.Leader, ev.Revision)
		o.token = ev.Leader.Token
	case Vacant:
		o.view.saw(nil, ev.Revision)
		o.token = 0
	}
	o.begun = true
	o.left = !o.yield(ev)
}
