package raftlead

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

// observer is told by raft what it is going to tell a Watch, and keeps it as it comes.
type observer struct {
	mu     sync.Mutex
	states []raft.RaftState
}

func observe(r *raft.Raft) *observer {
	o := &observer{states: []raft.RaftState{r.State()}}
	r.RegisterObserver(raft.NewObserver(nil, false, func(seen *raft.Observation) bool {
		if state, ok := seen.Data.(raft.RaftState); ok {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.states = append(o.states, state)
		}
		return false
	}))
	return o
}

// elections is how often the server was elected.
func (o *observer) elections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for i, s := range o.states {
		if s == raft.Leader && (i == 0 || o.states[i-1] != raft.Leader) {
			n++
		}
	}
	return n
}

// subscriber reads all transitions, with a pause after each, until the end. Once let go, it makes
// no more pauses.
type subscriber struct {
	seen []Transition
	err  error
	done chan struct{}
}

func subscribe(e *Elector, pause func() <-chan time.Time, letGo <-chan struct{}) *subscriber {
	s := &subscriber{done: make(chan struct{})}
	transitions := e.Transitions(context.Background()) // the present one is that of now
	go func() {
		defer close(s.done)
		for t, err := range transitions {
			if err != nil {
				s.err = err
				return
			}
			s.seen = append(s.seen, t)
			select {
			case <-letGo:
			case <-pause():
			}
		}
	}()
	return s
}

func never() <-chan time.Time { return nil }

// checkTransitions is what every reader may rely on.
func checkTransitions(t *testing.T, seen []Transition) (elections int) {
	t.Helper()
	for i, at := range seen {
		if i > 0 && at.Seq != seen[i-1].Seq+1 {
			t.Fatalf("transition %d follows %d", at.Seq, seen[i-1].Seq)
		}
		if !at.Leading {
			continue
		}
		elections++
		if i > 0 && seen[i-1].Leading {
			t.Fatalf("%v follows %v: nothing between two terms", at, seen[i-1])
		}
		if at.Leader == "" || at.Address == "" {
			t.Fatalf("%+v does not say who leads", at)
		}
	}
	for i, last := 0, uint64(0); i < len(seen); i++ {
		if seen[i].Leading && seen[i].Term <= last {
			t.Fatalf("leads in raft term %d after %d", seen[i].Term, last)
		}
		if seen[i].Leading {
			last = seen[i].Term
		}
	}
	return elections
}

// flap takes the leadership from s, in one of three ways.
func (c *cluster) flap(s *server, unit time.Duration) {
	switch rand.N(3) {
	case 0: // raft steps down when a write fails
		s.disk.fail()
		s.raft.Apply(nil, 0)
	case 1:
		if l := s.elector.present.Load(); l != nil {
			// Inside Lead this waits for the function, which is not to be waited for.
			_ = l.TransferTo(c.t.Context(), c.others(s)[rand.N(len(c.servers)-1)].id)
		}
	case 2:
		c.net.cutOff(s)
		time.AfterFunc(rand.N(4*unit), c.net.heal)
	}
}

// lost waits until s leads no more as it did, but not for ever: a transfer may go wrong.
func lost(at *place) bool {
	select {
	case <-at.gone:
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

func flaps() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

// Functions take their time to return, and readers theirs to read.
func TestAThousandFlapsLoseNoTransitionAndNoTwoTermsOverlap(t *testing.T) {
	bubble(t, func(t *testing.T) { flapAndCheck(t, flaps(), time.Second) })
}

func TestFlapsInRealTime(t *testing.T) {
	flapAndCheck(t, 20, 50*time.Millisecond)
}

// flapAndCheck takes the leadership from whoever has it n times, with heartbeats that time out after
// a unit of time.
func flapAndCheck(t *testing.T, n int, unit time.Duration) {
	net := newNetwork()
	net.cut[route{"addr-0", "addr-1"}] = true // nobody is elected before all look on
	net.cut[route{"addr-1", "addr-2"}] = true
	net.cut[route{"addr-2", "addr-0"}] = true
	c := newCluster(t, setup{voters: 3, net: net, conf: func(c *raft.Config) {
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = unit, unit, unit/2, unit/4
	}})
	c.real = unit < time.Second
	recorder := newRecorder()
	letGo := make(chan struct{})
	release := sync.OnceFunc(func() { close(letGo) })
	defer release()
	observers := map[*server]*observer{}
	subscribers := map[*server][]*subscriber{}
	ctx, cancel := context.WithCancel(t.Context())
	var ends []<-chan error
	for _, s := range c.servers {
		observers[s] = observe(s.raft)
		subscribers[s] = []*subscriber{
			subscribe(s.elector, func() <-chan time.Time { return time.After(rand.N(10 * unit)) }, letGo), // slow
			subscribe(s.elector, func() <-chan time.Time { return time.After(60 * unit) }, letGo),         // slower
			subscribe(s.elector, never, letGo), // stuck
		}
		ends = append(ends, lead(ctx, s, recorder.work(func(ctx context.Context, _ *Leadership) error {
			<-ctx.Done()
			time.Sleep(rand.N(2 * unit)) // it does not hear
			return ctx.Err()
		})))
	}
	net.heal()
	for flaps := 0; flaps < n; {
		s := c.leader()
		at := s.elector.watch.now.Load()
		if !at.Leading {
			continue
		}
		time.Sleep(rand.N(unit / 2)) // any moment will do
		if c.flap(s, unit); lost(at) {
			flaps++
		}
	}
	cancel()
	for _, end := range ends {
		_ = await(t, "end of Lead", end)
	}
	release()
	c.close()
	total := 0
	for _, s := range c.servers {
		first := subscribers[s][0]
		for _, sub := range subscribers[s] {
			<-sub.done
			if elections := checkTransitions(t, sub.seen); elections != observers[s].elections() {
				t.Errorf("%s was told of %d elections of %d", s.id, elections, observers[s].elections())
			}
			if !slices.Equal(sub.seen, first.seen) {
				t.Error("two readers were told different things")
			}
		}
		total += observers[s].elections()
		t.Logf("%s: %d transitions, %d elections", s.id, len(first.seen), observers[s].elections())
	}
	if total < n {
		t.Errorf("%d flaps, want %d", total, n)
	}
	if recorder.twice.Load() {
		t.Error("two functions at a time on one server")
	}
	if terms, causes := recorder.ends(); terms < n/3 {
		t.Errorf("%d terms, ended %v: functions were hardly called", terms, causes)
	}
	if err := recorder.history.Check(tenuretest.Expect{Finished: true}); err != nil {
		t.Error(err)
	}
}

// stuck is a log handler that takes what it is given, and does not return.
type stuck struct{ letGo <-chan struct{} }

func (stuck) Enabled(context.Context, slog.Level) bool    { return true }
func (s stuck) WithAttrs([]slog.Attr) slog.Handler        { return s }
func (s stuck) WithGroup(string) slog.Handler             { return s }
func (s stuck) Handle(context.Context, slog.Record) error { <-s.letGo; return nil }

// prompt is how soon raft answers in these tests, when nothing is in its way.
const prompt = 100 * time.Millisecond

// answers asks raft for three things that need its main loop, and says how many it has granted.
func answers(t *testing.T, s *server) (granted int) {
	t.Helper()
	began := time.Now()
	done := make(chan error, 3)
	go func() { done <- s.raft.Apply(nil, 0).Error() }()
	go func() { done <- s.raft.Barrier(0).Error() }()
	go func() { done <- s.raft.VerifyLeader().Error() }()
	for range 3 {
		// A refusal is an answer, too: of what comes in a transfer that raft has not quite forgotten,
		// or of a write that fails only now.
		if await(t, "answer of raft", done) == nil {
			granted++
		}
	}
	if took := time.Since(began); took > prompt {
		t.Fatalf("raft answered after %v", took)
	}
	return granted
}

func TestAThousandFlapsWhileReadersFunctionsAndLogAreStuckNeverBlockRaft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		letGo := make(chan struct{})
		release := sync.OnceFunc(func() { close(letGo) })
		defer release()
		c := newCluster(t, setup{voters: 3})
		ctx, cancel := context.WithCancel(t.Context())
		var ends []<-chan error
		var subscribers []*subscriber
		observers := map[*server]*observer{}
		for i, s := range c.servers {
			if i == 1 { // its log is stuck, and so it comes to no function
				s.elector.opts.Logger = slog.New(stuck{letGo})
			}
			observers[s] = observe(s.raft)
			for range 3 {
				subscribers = append(subscribers, subscribe(s.elector, never, letGo))
			}
			ends = append(ends, lead(ctx, s, func(context.Context, tenure.Term) error {
				<-letGo
				return nil
			}))
		}
		granted := 0
		for n := 0; n < flaps(); {
			s := c.leader()
			at := s.elector.watch.now.Load()
			if !at.Leading {
				continue
			}
			granted += answers(t, s)
			if rand.N(2) == 0 {
				_ = s.raft.LeadershipTransfer().Error()
			} else {
				s.disk.fail()
				s.raft.Apply(nil, 0)
			}
			if lost(at) {
				n++
			}
		}
		if granted < 2*flaps() {
			t.Errorf("raft granted %d of the %d things it was asked for", granted, 3*flaps())
		}
		release()
		cancel()
		for _, end := range ends {
			_ = await(t, "end of Lead", end)
		}
		c.close()
		for i, sub := range subscribers {
			<-sub.done
			o := observers[c.servers[i/3]]
			if elections := checkTransitions(t, sub.seen); elections != o.elections() {
				t.Errorf("told of %d elections of %d", elections, o.elections())
			}
		}
	})
}

// The control of the test above: what many programs do with raft's NotifyCh.
func TestControlALoopOverNotifyChThatDoesTheWorkBlocksRaft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		notify := make(chan bool)
		letGo := make(chan struct{})
		release := sync.OnceFunc(func() { close(letGo) })
		defer release()
		c := newCluster(t, setup{voters: 1, conf: func(c *raft.Config) { c.NotifyCh = notify }})
		s := c.servers[0]
		worked := make(chan struct{}, 1)
		go func() {
			for leading := range notify {
				if leading {
					worked <- struct{}{}
					<-letGo // does its work, and will look later whether it still leads
				}
			}
		}()
		<-worked
		if answers(t, s) != 3 {
			t.Error("raft refuses what it is asked for")
		}
		s.disk.fail()
		s.raft.Apply(nil, 0)
		verified := make(chan error, 1)
		go func() { verified <- s.raft.VerifyLeader().Error() }()
		select {
		case err := <-verified:
			t.Errorf("raft was not blocked: %v", err)
		case <-time.After(long):
		}
		release()
		_ = await(t, "answer of raft", verified)
		c.close()
		close(notify)
	})
}

// And with its LeaderCh, which keeps the last change only.
func TestControlAReaderOfLeaderChMissesALeadershipThatWasLostAndRegained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, setup{voters: 1})
		s := c.servers[0]
		transitions := s.elector.Transitions(t.Context())
		leads := s.raft.LeaderCh()
		if !<-leads {
			t.Fatal("lost what was never had")
		}
		at := s.elector.watch.now.Load()
		s.disk.fail() // while its reader is busy
		s.raft.Apply(nil, 0)
		lost(at)
		c.leader()
		time.Sleep(time.Second) // virtual
		if !<-leads {
			t.Error("LeaderCh tells of the loss")
		}
		var seen []Transition
		for at, err := range transitions {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, at); at == s.elector.Now() {
				break
			}
		}
		if elections := checkTransitions(t, seen); elections != 2 {
			t.Errorf("the Watch tells of %d elections, want 2: %v", elections, seen)
		}
	})
}
