package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/tenuretest"
)

const (
	shellDrain  = 2 * time.Second // drain time of functions
	shellLinger = 6 * time.Second // how long they ignore that they are told to stop, at most
	shellLate   = 5 * time.Second // how late an effect comes about, at most
	shellSlow   = time.Second     // how long a slow callback or observer takes

	// shellBound is within what time of the end of all faults somebody must lead:
	// an old lease that a late renewal has extended, a function that overruns, the
	// pauses between attempts to remake a session, and a wait for one's own ID.
	shellBound = shellLate + ttl + shellLinger + 8*time.Second + ttl
)

// shellKind is what is different about a schedule.
type shellKind struct {
	wrap      func(store.Store) store.Store // a broken store
	interfere bool                          // others end leases and delete seats; there are no faults
}

// shellRun is one schedule.
type shellRun struct {
	t         *testing.T
	kind      shellKind
	r         *rand.Rand // of the one goroutine that decides
	a         *tenuretest.Arena
	tally     *tally
	ctx       context.Context // of all that is asked of members
	cancel    context.CancelCauseFunc
	live      sync.WaitGroup
	joining   sync.WaitGroup
	elections []string
	observers []*shellObserver

	mu       sync.Mutex
	problems []string
	members  []*shellMember                           // all starts
	led      map[string]map[tenure.Token]*shellMember // by election: who was told of which term
	present  map[string]*shellMember                  // by id; nil while it is away
}

type shellObserver struct {
	*tenuretest.Observer
	election string
	slow     bool
}

func (s *shellRun) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// runShell runs one schedule.
func runShell(t *testing.T, seed uint64, kind shellKind) *outcomes {
	found := &outcomes{seed: seed, tally: newTally()}
	synctest.Test(t, func(t *testing.T) {
		s := &shellRun{
			t: t, kind: kind, r: rand.New(rand.NewPCG(seed, 2)), tally: found.tally,
			a: tenuretest.NewArenaWith(tenuretest.ArenaOptions{Wrap: kind.wrap}), present: map[string]*shellMember{},
			led: map[string]map[tenure.Token]*shellMember{"x": {}, "y": {}, "z": {}},
		}
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		found.history = s.a.History()
		found.err = s.play()
		found.problems = s.problems
		for fault, n := range s.a.Hits() {
			found.tally.count("a leader met: "+fault, n)
		}
		found.tally.countEvents(s.a.History().Events())
	})
	return found
}

// play returns what the history has to say.
func (s *shellRun) play() error {
	s.elections = []string{"x", "y", "z"}[:1+s.r.IntN(3)]
	for i := range 2 + s.r.IntN(4) {
		s.join(fmt.Sprintf("m%d", i), s.slowness())
	}
	for i := range 1 + s.r.IntN(4) {
		s.observe(fmt.Sprintf("o%d", i))
	}
	for range 30 + s.r.IntN(30) {
		s.act()
		s.a.Pass(s.pause())
	}
	// Somebody wants to lead each election from before the faults end.
	s.a.Pass(ttl)
	for _, election := range s.elections {
		for _, m := range s.here() {
			m.lead(election, work{life: time.Hour, drain: shellDrain, after: func(context.Context, tenure.Term) error { return nil }})
		}
	}
	s.a.Heal()
	s.relent()
	s.a.Pass(shellBound + time.Second)
	expect := tenuretest.Expect{Progress: shellBound, Interfered: s.kind.interfere}
	err := s.a.Check(expect)
	if err == nil {
		s.mustAgree()
	}
	s.end()
	if err == nil {
		expect.Finished = true
		err = s.a.Check(expect)
	}
	return err
}

// slowness is how long the callbacks of a member take.
func (s *shellRun) slowness() time.Duration {
	if s.r.IntN(3) > 0 {
		return 0
	}
	return time.Duration(s.r.Int64N(int64(shellSlow)))
}

// pause is how long the next thing comes after the last.
func (s *shellRun) pause() time.Duration {
	switch s.r.IntN(4) {
	case 0:
		return 0 // at once
	case 1:
		return time.Duration(s.r.Int64N(int64(10 * time.Millisecond)))
	case 2:
		return time.Duration(s.r.Int64N(int64(time.Second)))
	default:
		return time.Duration(s.r.Int64N(int64(ttl / 2)))
	}
}

// join starts a member, which another start with its ID may delay.
func (s *shellRun) join(id string, slow time.Duration) {
	m := &shellMember{
		run: s, terms: map[string]*tenure.TermInfo{}, last: map[string]tenure.Token{}, leads: map[string]context.CancelCauseFunc{},
		policy: newShellPolicy(),
	}
	for s.ctx.Err() == nil {
		var err error
		m.Node, err = s.a.Join(s.ctx, tenure.Options{ID: id, TTL: ttl, Logger: slog.New(m), Trace: m.trace(slow), Health: m.health, History: true})
		if err == nil {
			break
		}
		m.returned("Join", err)
		select {
		case <-time.After(time.Second):
		case <-s.ctx.Done():
		}
	}
	if m.Node == nil {
		return
	}
	s.mu.Lock()
	s.members = append(s.members, m)
	s.present[id] = m
	s.mu.Unlock()
}

// here returns the members that are present, sorted by ID.
func (s *shellRun) here() []*shellMember {
	s.mu.Lock()
	defer s.mu.Unlock()
	var here []*shellMember
	for i := range 9 {
		if m := s.present[fmt.Sprintf("m%d", i)]; m != nil {
			here = append(here, m)
		}
	}
	return here
}

// leave takes a member out of what is present.
func (s *shellRun) leave(m *shellMember) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.present[m.ID()] == m {
		delete(s.present, m.ID())
	}
}

// observe starts an observer, which may be slow.
func (s *shellRun) observe(name string) {
	o := &shellObserver{election: pickShell(s.r, s.elections), slow: s.r.IntN(2) == 0}
	var each func(tenure.Event)
	if o.slow {
		d := time.Duration(s.r.Int64N(int64(shellSlow)))
		each = func(tenure.Event) { time.Sleep(d) } // virtual
	}
	o.Observer = s.a.Observe(name, o.election, each)
	s.observers = append(s.observers, o)
}

func pickShell[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// act does one random thing.
func (s *shellRun) act() {
	here := s.here()
	if len(here) == 0 {
		return // all are on their way back
	}
	m, election := pickShell(s.r, here), pickShell(s.r, s.elections)
	if leader := s.leader(election); leader != nil && s.r.IntN(2) == 0 {
		m = leader // whom it matters most to
	}
	switch p := s.r.IntN(130); {
	case s.kind.interfere && p >= 100: // there is enough of it
	case p >= 100:
		s.operate(m, election)
	case p < 30:
		m.lead(election, randomWork(s.r))
	case p < 40:
		m.campaign(election, s.upTo(2*ttl), s.upTo(2*ttl), s.upTo(ttl), s.r.IntN(3) > 0)
	case p < 47:
		m.stop(election)
	case p < 52:
		s.closeAndRejoin(m)
	case s.kind.interfere && p < 70:
		s.interfere(election)
	case s.kind.interfere:
	case p < 57:
		s.crashAndRejoin(m)
	case p < 62:
		s.a.Store().(*memstore.Store).Compact(1 << 62)
	case p < 75:
		s.fault(pickShell(s.r, s.observers).Link)
		s.fault(m.Link)
	default:
		s.fault(m.Link)
	}
}

func (s *shellRun) upTo(d time.Duration) time.Duration { return time.Duration(s.r.Int64N(int64(d))) }

// leader returns who leads according to the store, if it is present.
func (s *shellRun) leader(election string) *shellMember {
	l, ok, err := tenure.NewView(s.a.Store(), election).Read(s.ctx)
	if err != nil || !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present[l.Member]
}

// operate does what operators do, or changes what a member may.
func (s *shellRun) operate(m *shellMember, election string) {
	ctx, cancel := context.WithTimeout(s.ctx, 2*ttl)
	v := tenure.NewView(s.a.Store(), election)
	reason := tenure.Reason{By: "eve", Why: "why not"}
	to := pickShell(s.r, s.here())
	change, verdict := s.r.IntN(14), tenure.Verdict(s.r.IntN(3))
	s.live.Go(func() {
		defer cancel()
		var err error
		switch change {
		case 0, 1, 2:
			err = v.Depose(ctx, 0, reason)
			s.tally.count("depose", 1)
		case 3, 4:
			_, err = v.Transfer(ctx, 0, to.ID(), reason)
			s.tally.count("transfer", 1)
		case 5:
			err = tenure.Drain(ctx, s.a.Store(), m.ID(), reason)
		case 6:
			err = tenure.Undrain(ctx, s.a.Store(), m.ID())
		case 7:
			err = v.Pause(ctx, reason)
		case 8:
			err = v.Unpause(ctx)
		case 9:
			m.policy.set(verdict, to.ID())
		case 10:
			m.unwell.Store(!m.unwell.Load())
		case 11:
			err = m.SetPriority(election, len(to.ID())%2)
		case 12, 13:
			err = s.closed(ctx, change == 13)
		}
		for _, known := range []error{
			nil, tenure.ErrNoLeader, tenure.ErrChanged, tenure.ErrNotCandidate, tenure.ErrPaused, tenure.ErrWentElsewhere, ctx.Err(),
		} {
			if errors.Is(err, known) {
				return
			}
		}
		s.problem("operating on %s: %v", election, err)
	})
}

// closed makes the condition shellOpen fail, or hold.
func (s *shellRun) closed(ctx context.Context, is bool) error {
	tx := put("closed", "")
	if !is {
		tx.Then = []store.Op{store.Delete("closed")}
	}
	_, err := tenure.Data(s.a.Store()).Commit(ctx, tx)
	return err
}

// relent takes back all that operators and policies want.
func (s *shellRun) relent() {
	for _, m := range s.here() {
		m.unwell.Store(false)
		m.policy.set(tenure.Yes, "")
		for _, election := range s.elections {
			m.ResetFlaps(election)
		}
	}
	for i := range 9 {
		if err := tenure.Undrain(s.ctx, s.a.Store(), fmt.Sprintf("m%d", i)); err != nil {
			s.problem("undrain: %v", err)
		}
	}
	for _, election := range s.elections {
		if err := tenure.NewView(s.a.Store(), election).Unpause(s.ctx); err != nil {
			s.problem("unpause: %v", err)
		}
	}
	if err := s.closed(s.ctx, false); err != nil {
		s.problem("open: %v", err)
	}
}

// fault makes something go wrong for a while.
func (s *shellRun) fault(l *tenuretest.Link) {
	ops := pickShell(s.r, []faultstore.Op{
		faultstore.OpCommit, faultstore.OpList, faultstore.OpRenew, faultstore.OpGrant | faultstore.OpRevoke,
		faultstore.OpCommit | faultstore.OpList, faultstore.OpAll &^ faultstore.OpWatch,
	})
	var end func()
	switch s.r.IntN(7) {
	case 0:
		end = l.Partition()
	case 1:
		end = l.Delay(s.upTo(ttl / 2))
	case 2:
		end = l.Fail(ops)
	case 3:
		end = l.LoseReplies(ops, 1+s.r.IntN(5))
	case 4:
		end = l.LateEffects(ops, 1+s.r.IntN(3), s.upTo(shellLate))
	case 5:
		end = l.StallWatches()
	default:
		end = l.BreakWatches()
	}
	time.AfterFunc(s.upTo(2*ttl), end)
}

// crashAndRejoin cuts a member off for good and starts it anew.
func (s *shellRun) crashAndRejoin(m *shellMember) {
	s.leave(m)
	m.Crash()
	s.rejoin(m.ID())
}

// closeAndRejoin closes a member whatever it does, and starts it anew meanwhile.
func (s *shellRun) closeAndRejoin(m *shellMember) {
	s.leave(m)
	s.live.Go(func() {
		if err := m.close(); err != nil && !errors.Is(err, tenure.ErrDrainTimeout) {
			m.problem("Close returned %v", err)
		}
	})
	s.rejoin(m.ID())
}

func (s *shellRun) rejoin(id string) {
	away, slow := s.upTo(2*ttl), s.slowness()
	s.joining.Go(func() {
		select {
		case <-time.After(away):
			s.join(id, slow)
			s.tally.count("rejoined", 1)
		case <-s.ctx.Done():
		}
	})
}

// interfere ends the lease of a leader or deletes its seat. It must see it at
// once.
func (s *shellRun) interfere(election string) {
	l, err := s.a.Store().List(s.ctx, store.Keys("leaders/"+election))
	if err != nil || len(l.Entries) == 0 {
		return
	}
	s.tally.count("interference", 1)
	if s.r.IntN(2) == 0 {
		err = s.a.Store().Revoke(s.ctx, l.Entries[0].Lease)
	} else {
		_, err = s.a.Store().Commit(s.ctx, store.Tx{Then: deleteSeat(election)})
	}
	if err != nil {
		s.problem("interference: %v", err)
	}
	synctest.Wait()
	s.a.Sample()
	held := map[tenure.Token]bool{}
	for _, e := range s.a.History().Events() {
		if e.Election == election && (e.Kind == tenuretest.Held || e.Kind == tenuretest.NotHeld) {
			held[e.Token] = e.Kind == tenuretest.Held
		}
	}
	if token := l.Entries[0].Modified; held[token] {
		s.problem("the seat of %s, token %d, was taken away, and its holder has not noticed", election, token)
	}
}

// mustAgree checks, when all is quiet, that every observer and the store say the
// same of who leads.
func (s *shellRun) mustAgree() {
	for _, o := range s.observers {
		want, ok, err := tenure.NewView(s.a.Store(), o.election).Read(s.ctx)
		last, ended := o.Last()
		if err != nil || ended != nil {
			s.problem("%s: %v, %v", o.Name(), err, ended)
			continue
		}
		if ok != (last.Kind == tenure.Elected) || ok && last.Leader != want {
			s.problem("%s was told last of %v %v; %v leads %s (%v)", o.Name(), last.Kind, last.Leader, want, o.election, ok)
		}
		if local, leads := o.Leader(); leads != ok || local != want {
			s.problem("%s thinks that %v leads %s (%v); %v does (%v)", o.Name(), local, o.election, leads, want, ok)
		}
	}
}

// end closes everything in no particular order, and looks at what is left.
func (s *shellRun) end() {
	s.cancel(errTold)
	s.joining.Wait()
	for _, m := range s.members {
		if s.r.IntN(2) == 0 {
			s.live.Go(func() { _ = m.close() })
		}
	}
	if err := s.a.Close(); err != nil && !errors.Is(err, tenure.ErrDrainTimeout) {
		s.problem("closing all returned %v", err)
	}
	s.live.Wait()
	for _, m := range s.members {
		_ = m.close()
	}
	time.Sleep(3 * ttl) // virtual: every lease that was left has ended
	for _, m := range s.members {
		m.mustBeOver()
	}
	s.mustHaveLed()
	prefixes := store.Prefix("leaders/", "candidates/", "sessions/", "members/", "control/", "announce/")
	l, err := s.a.Store().List(s.t.Context(), prefixes)
	if err != nil {
		s.problem("%v", err)
	}
	for _, e := range l.Entries {
		if e.Lease == store.NoLease && strings.HasPrefix(e.Key, "leaders/") {
			s.tally.count("vacancy that nobody was left to clear", 1)
			continue
		}
		s.problem("%s is left in the store", e.Key)
	}
}

// mustHaveLed looks at the history of each election when all have gone: it is of terms
// that were led, by whom it says, and ends with the last whose member has not gone before.
func (s *shellRun) mustHaveLed() {
	if s.kind.wrap != nil {
		return // a store that lies loses what was written
	}
	for _, election := range s.elections {
		terms, err := tenure.NewView(s.a.Store(), election).History(s.t.Context())
		if err != nil || len(terms) > 100 {
			s.problem("the history of %s has %d terms: %v", election, len(terms), err)
		}
		led := s.led[election]
		var last tenure.Token
		for _, term := range terms {
			if m := led[term.Token]; m == nil || m.ID() != term.Member || term.Token <= last || term.Cause == "" {
				s.problem("the history of %s has %+v after token %d", election, term, last)
			}
			last = term.Token
		}
		s.tally.count("terms in histories", len(terms))
		s.tally.count("terms missing in histories", len(led)-len(terms))
		for token, member := range led {
			if token > last && s.present[member.ID()] == member { // or it may have crashed, or been closed without a store
				s.problem("the history of %s ends with token %d, and %s has led with %d", election, last, member.ID(), token)
			}
		}
	}
}
