package embedded_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/store"
)

// within is for what has no bound of its own here; on a busy machine much takes long.
const within = 90 * time.Second

const (
	// ttl outlasts what a busy machine does to etcd; short is for sessions whose end a
	// test waits for.
	ttl   = 10 * time.Second
	short = 5 * time.Second
)

// eventually waits until something is so that nobody tells of.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(within)
	defer late.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-late.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// calm is three servers whose etcd does not change its leader by itself as soon as the
// machine is busy.
func calm(t *testing.T) map[string]*embedded.Server {
	t.Helper()
	confs := trio(t)
	for i := range confs {
		confs[i].ElectionTimeout = time.Second
	}
	return byName(startAll(t, confs))
}

func byName(all []*embedded.Server) map[string]*embedded.Server {
	m := map[string]*embedded.Server{}
	for _, s := range all {
		m[s.Name()] = s
	}
	return m
}

// put makes a server etcd's leader, until all of them know and something follows. A busy
// machine may make etcd change its leader in between.
func put(t *testing.T, servers map[string]*embedded.Server, at string, follows func() bool) {
	t.Helper()
	eventually(t, "etcd's leader is on "+at+", and what follows from it", func() bool {
		for _, s := range servers {
			if s.Leader() != at {
				if lead := servers[s.Leader()]; lead != nil {
					_ = lead.MoveLeader(t.Context(), at) // or it is not the leader any more
				}
				return false
			}
		}
		return follows == nil || follows()
	})
}

// play is an election, and what happens in it.
type play struct {
	clock func() int64 // if not nil, when turns begin and end

	mu    sync.Mutex
	turns []turn
	twice bool // two functions ran at once
}

type turn struct {
	at    string
	term  tenure.Term
	over  bool // the function has seen the end, and returns
	cause error

	began, ended int64
}

func (p *play) now() int64 {
	if p.clock == nil {
		return 0
	}
	return p.clock()
}

func (p *play) begin(at string, term tenure.Term) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, before := range p.turns {
		p.twice = p.twice || !before.over
	}
	p.turns = append(p.turns, turn{at: at, term: term, began: p.now()})
	return len(p.turns) - 1
}

func (p *play) end(i int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns[i].over, p.turns[i].cause, p.turns[i].ended = true, cause, p.now()
}

func (p *play) all() []turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]turn(nil), p.turns...)
}

// leads is where a member holds a term; "" for nowhere.
func (p *play) leads() string {
	for _, one := range p.all() {
		if !one.over && one.term.Held() {
			return one.at
		}
	}
	return ""
}

// handedOver reports what was not a clean end because of a policy, and whether functions
// ran at once.
func (p *play) handedOver(t *testing.T) {
	t.Helper()
	last := tenure.Token(0)
	for _, one := range p.all() {
		if one.over && !errors.Is(one.cause, tenure.ErrIneligible) {
			t.Errorf("the term on %s has ended with %v", one.at, one.cause)
		}
		if one.term.Token() <= last {
			t.Errorf("token %d after %d", one.term.Token(), last)
		}
		last = one.term.Token()
	}
	if p.twice {
		t.Error("a function began before another had returned")
	}
}

// join makes a member over a server's store.
func join(t *testing.T, s *embedded.Server, opts tenure.Options) *tenure.Member {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	now := func(err error) bool {
		if err != nil && !errors.Is(err, store.ErrUnavailable) { // etcd has no leader on a busy machine
			t.Fatal(err)
		}
		return err == nil
	}
	var st store.Store
	eventually(t, "a store opens", func() bool {
		var err error
		st, err = s.Store(ctx, "")
		return now(err)
	})
	t.Cleanup(func() { _ = st.Close() }) // its server may have gone before
	var m *tenure.Member
	eventually(t, "a member joins", func() bool {
		var err error
		m, err = tenure.Join(ctx, st, opts)
		return now(err)
	})
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// enter has a member lead whenever it can, until the test ends.
func (p *play) enter(t *testing.T, m *tenure.Member, at string, opts tenure.LeadOptions) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		err := m.Lead(ctx, "nightly", func(ctx context.Context, term tenure.Term) error {
			i := p.begin(at, term)
			<-ctx.Done()
			p.end(i, term.Cause())
			return term.Cause()
		}, opts)
		if ctx.Err() == nil && !errors.Is(err, tenure.ErrClosed) {
			t.Errorf("lead on %s: %v", at, err)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

// beside has a member of each server lead where etcd's leader is.
func (p *play) beside(t *testing.T, ttl time.Duration, servers ...*embedded.Server) {
	t.Helper()
	for _, s := range servers {
		p.enter(t, join(t, s, s.Options(tenure.Options{TTL: ttl})), s.Name(), tenure.LeadOptions{Policy: s.Policy()})
	}
}

func TestBesideTheSeatFollowsEtcdsLeader(t *testing.T) {
	t.Parallel()
	servers := calm(t)
	var p play
	p.beside(t, ttl, servers["a"], servers["b"], servers["c"])
	for _, at := range []string{"a", "b", "c", "b"} {
		put(t, servers, at, func() bool { return p.leads() == at })
	}
	p.handedOver(t)

	put(t, servers, "b", func() bool { // only etcd's leader can pass that on
		return servers["a"].MoveLeader(t.Context(), "c") != nil && servers["b"].Leader() == "b"
	})
	if err := servers["b"].MoveLeader(t.Context(), "d"); !errors.Is(err, embedded.ErrNoServer) {
		t.Errorf("move to nobody: %v", err)
	}
	put(t, servers, "b", func() bool {
		for _, m := range servers["c"].Members() {
			if m.Leader != (m.Name == "b") {
				return false
			}
		}
		return true
	})
}

// pressed is a policy that is asked when a test wants it, and what it said of its own member.
type pressed struct {
	tenure.Policy
	press chan struct{}
	said  chan tenure.Verdict
}

func (p pressed) Changed() <-chan struct{} { return p.press }

func (p pressed) ShouldCampaign(self tenure.Identity) tenure.Verdict {
	v := p.Policy.ShouldCampaign(self)
	select {
	case p.said <- v:
	default: // nobody wants to know
	}
	return v
}

func TestBesideNobodyKnowsAndNothingFollows(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	servers := byName(startAll(t, confs))
	a := servers["a"]
	var p play
	policy := pressed{a.Policy(), make(chan struct{}), make(chan tenure.Verdict, 1)}
	m := join(t, a, a.Options(tenure.Options{TTL: time.Minute}))
	p.enter(t, m, "a", tenure.LeadOptions{Policy: policy})
	put(t, servers, "a", func() bool { return p.leads() == "a" })
	before := len(p.all())

	if err := errors.Join(servers["b"].Close(), servers["c"].Close()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a knows no leader of etcd", func() bool { return a.Leader() == "" })
	select {
	case <-policy.said: // from before
	default:
	}
	for range 3 { // once the third has begun, what the second led to has been done
		policy.press <- struct{}{}
		if v := <-policy.said; v != tenure.Unknown {
			t.Errorf("should campaign: %v", v)
		}
	}
	for _, member := range []string{"a", "b"} {
		if v := policy.IsValidLeader(tenure.Identity{Member: member}); v != tenure.Unknown {
			t.Errorf("%s is valid: %v", member, v)
		}
	}
	if p.leads() != "a" || len(p.all()) != before {
		t.Errorf("without etcd's leader %q leads, after %d terms and then %d", p.leads(), before, len(p.all()))
	}
	again := byName(startAll(t, confs[1:]))
	again["a"] = a
	put(t, again, "a", func() bool { return p.leads() == "a" })
	p.handedOver(t)
	if err := m.Close(); err != nil { // while there is an etcd
		t.Error(err)
	}
}

func TestBesideALeaderElsewhereIsDeposed(t *testing.T) {
	t.Parallel()
	servers := calm(t)
	var p play
	p.enter(t, join(t, servers["b"], tenure.Options{ID: "elsewhere", TTL: ttl}), "b", tenure.LeadOptions{})
	eventually(t, "who follows no policy leads", func() bool { return p.leads() == "b" })
	p.beside(t, ttl, servers["c"], servers["a"])
	put(t, servers, "a", func() bool { return p.leads() == "a" })
	if first := p.all()[0]; !errors.Is(first.cause, tenure.ErrDeposed) {
		t.Errorf("the term elsewhere has ended with %v", first.cause)
	}
}

func TestBesideWhereNobodyLeadsEtcdsLeaderDoesNotStay(t *testing.T) {
	t.Parallel()
	servers := byName(startAll(t, trio(t)))
	put(t, servers, "a", nil)
	var p play
	p.beside(t, ttl, servers["b"])
	eventually(t, "etcd's leader comes to b", func() bool { return p.leads() == "b" && servers["b"].Leader() == "b" })
	p.handedOver(t)
}

// A member lives by its own server, and not by the grace of the others.
func TestBesideAMemberGoesWithItsServer(t *testing.T) {
	t.Parallel()
	servers := calm(t)
	var p play
	p.beside(t, short, servers["a"], servers["b"], servers["c"])
	put(t, servers, "a", func() bool { return p.leads() == "a" })
	last := len(p.all()) - 1
	if err := servers["a"].Close(); err != nil {
		t.Fatal(err)
	}
	var next string
	eventually(t, "another leads", func() bool { next = p.leads(); return next == "b" || next == "c" })
	if of := p.all()[last]; of.at != "a" || !of.over || !errors.Is(of.cause, tenure.ErrLost) {
		t.Errorf("the term on %s has ended: %v, with %v", of.at, of.over, of.cause)
	}
	if p.twice {
		t.Error("a function began before another had returned")
	}
	if lead := servers["a"].Leader(); lead != "" {
		t.Errorf("a closed server knows etcd's leader: %q", lead)
	}
}

func TestPriorityHasEtcdsLeaderCome(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	confs[1].Priority = 1
	servers := byName(startAll(t, confs))
	isLeader := func(at string) func() bool {
		return func() bool { return servers["a"].Leader() == at && servers[at].Leader() == at }
	}
	eventually(t, "etcd's leader is on b, by its configuration", isLeader("b"))
	set(t, servers["c"], 2)
	eventually(t, "etcd's leader is on c, by what was set", isLeader("c"))

	set(t, servers["a"], 2)
	if servers["a"].Outranks() {
		t.Error("servers of equal priority fight")
	}
	// Who has been moved away after he claimed it is modest, until he is told again.
	put(t, servers, "b", nil)
	eventually(t, "what has just come and gone does not come back at once", func() bool { return !servers["c"].Outranks() })
	set(t, servers["c"], 0)
	set(t, servers["a"], 1)
	put(t, servers, "b", func() bool { return !servers["a"].Outranks() && !servers["c"].Outranks() }) // once a claim that was under way is over
	set(t, servers["c"], 3)
	eventually(t, "etcd's leader is on c again", isLeader("c"))
}

func set(t *testing.T, s *embedded.Server, priority int) {
	t.Helper()
	eventually(t, "a priority is set", func() bool { return s.SetPriority(t.Context(), priority) == nil })
}

func TestBesideEtcdsLeaderLeavesWhoFlaps(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	confs[1].Priority = 5
	servers := byName(startAll(t, confs))
	eventually(t, "etcd's leader is on b", func() bool { return servers["b"].Leader() == "b" })
	b := servers["b"]
	var p play
	p.beside(t, ttl, servers["a"], servers["c"])
	stood := make(chan int, 100)
	failing := errors.New("no work can be done here")
	m := join(t, b, b.Options(tenure.Options{FlapLimit: 1, TTL: ttl, Trace: &tenure.Trace{
		StoodBack: func(_ string, flaps int, _ time.Duration) { stood <- flaps },
	}}))
	if !b.Fit() {
		t.Error("not fit from the start")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		_ = m.Lead(ctx, "nightly", func(context.Context, tenure.Term) error { return failing },
			tenure.LeadOptions{Policy: b.Policy(), Retry: true})
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	if n := <-stood; n != 2 { // the caller's trace is told, too
		t.Errorf("%d flaps", n)
	}
	eventually(t, "another leads", func() bool { at := p.leads(); return at != "" && at == servers[at].Leader() })
	if b.Leader() == "b" || b.Outranks() {
		t.Errorf("etcd's leader is on %q; b claims its priority: %v", b.Leader(), b.Outranks())
	}
	set(t, b, 6)
	eventually(t, "a priority set by hand is claimed", func() bool { return b.Leader() == "b" || b.Outranks() })
}

func TestBesideOptionsKeepWhatTheyComplete(t *testing.T) {
	t.Parallel()
	s := start(t, config(t, "a"))
	verdict := errors.New("not well")
	opts := s.Options(tenure.Options{Endpoint: "here", Health: func(context.Context) error { return verdict }})
	if opts.ID != "a" || opts.Endpoint != "here" || opts.HealthGrace != 0 {
		t.Errorf("%+v", opts)
	}
	if err := opts.Health(t.Context()); !errors.Is(err, verdict) || s.Fit() {
		t.Errorf("health: %v; fit: %v", err, s.Fit())
	}
	verdict = nil
	if err := opts.Health(t.Context()); err != nil || !s.Fit() {
		t.Errorf("health: %v; fit: %v", err, s.Fit())
	}
	opts.Trace.StoodBack("nightly", 4, time.Hour)
	if s.Fit() {
		t.Error("fit while its member stands back")
	}
}

func TestBesidePoliciesAreForgotten(t *testing.T) {
	t.Parallel()
	s := start(t, config(t, "a"))
	kept := s.Policy()
	for range 100 {
		_ = s.Policy()
	}
	eventually(t, "one policy is left", func() bool {
		runtime.GC()
		return s.Policies() == 1
	})
	runtime.KeepAlive(kept)
}

// For how long nobody leads, by what a policy is asked.
func TestBesidePatience(t *testing.T) {
	t.Parallel()
	type question struct {
		at   int    // seconds
		etcd string // where its leader is
		led  bool   // somebody elsewhere leads, as turns out next
		over bool
	}
	for name, questions := range map[string][]question{
		"the leader is asked about less often than patience lasts": {
			{0, "b", true, false}, {60, "b", true, false}, {120, "b", true, false}},
		"a leader appears when patience was about to end": {
			{0, "b", true, false}, {1, "b", false, false}, {18, "b", true, false}, {20, "b", true, false}},
		"nobody leads": {
			{0, "b", false, false}, {6, "b", false, false}, {11, "b", false, false}, {12, "b", false, true}, {13, "b", false, false}},
		"etcd's leader is here": {
			{0, "a", false, false}, {60, "a", false, false}, {120, "a", false, false}},
		"etcd has no leader": {
			{0, "", false, false}, {60, "", false, false}, {120, "", false, false}},
		"every server has a turn": {
			{0, "b", false, false}, {9, "b", false, false}, {18, "c", false, false}, {20, "c", false, false}, {27, "b", false, false}, {36, "b", false, false}},
		"what does not help is done more rarely": {
			{0, "b", false, false}, {11, "b", false, false}, {12, "b", false, true}, // to no avail
			{23, "b", false, false}, {24, "b", false, true}, // patience is 20 s now
			{44, "b", false, false}, {45, "b", false, false}, {46, "b", false, true},
			{47, "b", true, false}, {48, "b", false, false}, // and 10 s again: somebody has led
			{59, "b", false, false}, {60, "b", false, true}},
		"it was long ago": {
			{0, "b", false, false}, {11, "b", false, false}, {12, "b", false, true}, {13, "a", false, false},
			{1000, "b", false, false}, {1011, "b", false, false}, {1012, "b", false, true},
			{1023, "b", false, false}, {1024, "b", false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, began := embedded.NewPatience("a", 10*time.Second), time.Now()
			for _, q := range questions {
				if over := p.Asked(began.Add(time.Duration(q.at)*time.Second), q.etcd, q.led); over != q.over {
					t.Errorf("after %d s: over: %v", q.at, over)
				}
			}
		})
	}
}
