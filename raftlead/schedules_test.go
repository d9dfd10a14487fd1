package raftlead

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

var (
	schedules = flag.Int("raftlead.schedules", 100, "how many schedules of faults to run")
	seed      = flag.Uint64("raftlead.seed", 0, "the first schedule's seed; by default one by chance")
)

// TestSchedules runs servers through faults that are chosen by chance, and checks that no two terms
// are held at once, that tokens rise with time, that every term begins after its barrier, and
// once, and ends once, and that work goes on when the faults have ended.
//
// The seed makes the same faults again, but raft's own chances and the order of goroutines
// are others each time.
func TestSchedules(t *testing.T) {
	n := *schedules
	if testing.Short() {
		n /= 10
	}
	first := *seed
	if first == 0 {
		first = rand.Uint64() >> 32
	}
	terms := 0
	causes := map[string]int{}
	for i := range uint64(n) {
		run := schedule(t, first+i, assumptions{})
		if run.err != nil {
			t.Errorf("-raftlead.seed %d -raftlead.schedules 1: %v", first+i, run.err)
		}
		terms += run.terms
		for cause, n := range run.causes {
			causes[cause] += n
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d schedules from seed %d: %d terms, ended %v", n, first, terms, causes)
	for _, cause := range []error{ErrSteppedDown, tenure.ErrUnproven, tenure.ErrResigned} {
		if !t.Failed() && n >= 100 && causes[cause.Error()] == 0 {
			t.Errorf("no term ended with %q: the schedules do not do what they are to", cause)
		}
	}
}

// Each control breaks what doc.go assumes, and must be found out.
func TestControlSchedulesThatBreakAnAssumptionAreFoundOut(t *testing.T) {
	for name, broken := range map[string]assumptions{
		"raft's own word":                         {trustRaft: true},
		"others with a shorter heartbeat timeout": {impatient: true},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range uint64(2000) {
				run := schedule(t, i, broken)
				if t.Failed() {
					return
				}
				if v, ok := errors.AsType[*tenuretest.Violation](run.err); ok && v.Rule == tenuretest.OneHolder {
					t.Logf("found by schedule %d: %.200s", i, v)
					return
				}
			}
			t.Error("was not found out")
		})
	}
}

// assumptions of doc.go that a schedule breaks.
type assumptions struct {
	trustRaft bool // there is no Witness
	impatient bool // some have a shorter HeartbeatTimeout than others rely on
}

// patientOne is who does not know that the others are impatient.
const patientOne raft.ServerID = "0"

// run is what came of a schedule.
type run struct {
	terms  int
	causes map[string]int
	err    error
}

// play is a schedule as it runs.
type play struct {
	*cluster
	rand      *rand.Rand // of the schedule alone
	heartbeat time.Duration
	recorder  *recorder
	committed atomic.Uint64 // the last index that somebody was told is committed
	stale     atomic.Bool   // a term began without it
}

func schedule(t *testing.T, seed uint64, broken assumptions) (result run) {
	bubble(t, func(t *testing.T) {
		p := &play{rand: rand.New(rand.NewPCG(seed, 0)), recorder: newRecorder()}
		p.heartbeat = p.between(200*time.Millisecond, 2*time.Second)
		net := newNetwork()
		net.fast = p.rand.IntN(2) == 0
		net.patience = p.between(p.heartbeat/4, 5*p.heartbeat)
		net.promptTransfers = true // see Limits
		s := setup{
			voters:    []int{1, 2, 3, 3, 3, 5}[p.rand.IntN(6)],
			nonvoters: p.rand.IntN(2),
			net:       net,
		}
		conf := raft.DefaultConfig()
		conf.HeartbeatTimeout = p.heartbeat
		conf.ElectionTimeout = p.between(p.heartbeat, 2*p.heartbeat)
		conf.LeaderLeaseTimeout = p.between(p.heartbeat/4, p.heartbeat)
		conf.CommitTimeout = p.between(p.heartbeat/10, p.heartbeat/2)
		s.conf = func(c *raft.Config) {
			c.HeartbeatTimeout, c.ElectionTimeout = conf.HeartbeatTimeout, conf.ElectionTimeout
			c.LeaderLeaseTimeout, c.CommitTimeout = conf.LeaderLeaseTimeout, conf.CommitTimeout
			if broken.impatient && c.LocalID != patientOne {
				c.HeartbeatTimeout, c.LeaderLeaseTimeout = p.heartbeat/10, p.heartbeat/10
			}
		}
		if p.rand.IntN(2) == 0 && !broken.impatient {
			s.opts.Lease = p.between(p.heartbeat/3, p.heartbeat/100*99)
		}
		s.opts.TransferTimeout = p.between(p.heartbeat, 10*p.heartbeat)
		p.cluster = newCluster(t, s)
		for _, s := range p.servers {
			if broken.trustRaft {
				s.elector.Close()
				s.elector = must(New(s.raft, s.id, nil, Options{TrustRaft: true}))
			}
		}
		result.err = p.play(broken)
		result.terms, result.causes = p.recorder.ends()
	})
	return result
}

func (p *play) between(low, high time.Duration) time.Duration {
	return low + time.Duration(p.rand.Int64N(int64(high-low)+1))
}

func (p *play) play(broken assumptions) error {
	ctx, cancel := context.WithCancel(p.t.Context())
	var live sync.WaitGroup
	for _, s := range p.servers {
		live.Go(func() { p.leadFor(ctx, s, broken) })
	}
	live.Go(func() {
		for ctx.Err() == nil {
			p.recorder.sample()
			select {
			case <-time.After(p.heartbeat / 20):
			case <-ctx.Done():
			}
		}
	})
	for range 30 {
		p.fault()
		time.Sleep(p.between(0, 2*p.heartbeat)) // virtual
	}
	p.net.heal()
	p.net.slow(func(route) time.Duration { return 0 })
	for _, s := range p.servers {
		s.disk.goOn()
	}
	progress := p.recorder.begins(time.After(200 * p.heartbeat))
	states := ""
	if !progress {
		states = p.states()
	}
	cancel()
	live.Wait()
	p.close()
	switch {
	case p.stale.Load():
		return errors.New("a term has begun without all that was committed before")
	case !progress && !broken.trustRaft && !broken.impatient:
		return fmt.Errorf("no work after the faults have ended: %s", states)
	case p.recorder.twice.Load():
		return errors.New("two functions at a time on one server")
	}
	return p.recorder.history.Check(tenuretest.Expect{Finished: true})
}

// states says what becomes of each server.
func (p *play) states() string {
	var all strings.Builder
	for _, s := range p.servers {
		stats := s.raft.Stats()
		fmt.Fprintf(&all, "\n%s %v, raft: %s %s, term %s of %s in %s, commit %s applied %s last %s", s.id, s.elector.Now(), s.raft, stats["state"],
			stats["last_log_term"], stats["term"], stats["latest_configuration"], stats["commit_index"], stats["applied_index"], stats["last_log_index"])
	}
	fmt.Fprintf(&all, "\nheartbeat %v, election %v, patience %v, fast %v", p.heartbeat, p.servers[0].raft.ReloadableConfig().ElectionTimeout, p.net.patience, p.net.fast)
	return all.String()
}

// leadFor calls Lead until ctx ends.
func (p *play) leadFor(ctx context.Context, s *server, broken assumptions) {
	work := p.recorder.work(func(ctx context.Context, l *Leadership) error {
		if s.fsm.last.Load() < p.committed.Load() {
			p.stale.Store(true)
		}
		for {
			select {
			case <-ctx.Done():
				time.Sleep(rand.N(p.heartbeat)) // virtual: it does not hear
				return ctx.Err()
			case <-time.After(rand.N(2 * p.heartbeat)):
			}
			if broken.impatient && s.id != patientOne {
				_ = l.TransferTo(ctx, patientOne)
				continue
			}
			switch rand.N(20) {
			case 0:
				return nil
			case 1:
				_ = l.Resign(ctx)
			case 2:
				others := p.others(s)
				if len(others) > 0 {
					_ = l.TransferTo(ctx, others[rand.N(len(others))].id)
				}
			case 3:
				_ = l.Verify(ctx)
			default:
				p.apply(s)
			}
		}
	})
	for ctx.Err() == nil {
		if err := s.elector.Lead(ctx, work); errors.Is(err, tenure.ErrInvalid) {
			p.t.Error(err)
			return
		}
	}
}

// apply gives raft something to write, and does not wait for it.
func (p *play) apply(s *server) {
	f := s.raft.Apply([]byte("x"), time.Millisecond)
	go func() {
		if f.Error() != nil {
			return
		}
		for {
			last := p.committed.Load()
			if last >= f.Index() || p.committed.CompareAndSwap(last, f.Index()) {
				return
			}
		}
	}()
}

// fault is something that goes wrong, and perhaps something that goes right again.
func (p *play) fault() {
	struck := p.servers[p.rand.IntN(len(p.servers))]
	for _, s := range p.servers {
		if p.rand.IntN(2) == 0 && s.elector.Now().Leading {
			struck = s
		}
	}
	switch p.rand.IntN(10) {
	case 0:
		p.net.cutOff(struck)
	case 1: // is not heard by some
		for _, o := range p.others(struck) {
			p.net.set(route{struck.addr, o.addr}, p.rand.IntN(3) > 0)
		}
	case 2: // does not hear some
		for _, o := range p.others(struck) {
			p.net.set(route{o.addr, struck.addr}, p.rand.IntN(3) > 0)
		}
	case 3, 4:
		p.net.heal()
	case 5: // all is slow in one direction, and less so in the other
		most := p.between(0, 2*p.heartbeat)
		p.net.slow(func(r route) time.Duration {
			if r.to == struck.addr {
				return rand.N(most + 1)
			}
			return rand.N(most/10 + 1)
		})
	case 6:
		p.net.slow(func(route) time.Duration { return 0 })
	case 7:
		struck.disk.hang()
		p.apply(struck)
		time.AfterFunc(p.between(0, 10*p.heartbeat), struck.disk.goOn)
	case 8:
		struck.disk.fail()
		p.apply(struck)
	case 9: // with a vote or without
		last := p.servers[len(p.servers)-1]
		if len(p.servers) < 2 || last == struck {
			return
		}
		if p.rand.IntN(2) == 0 {
			struck.raft.AddVoter(last.id, last.addr, 0, time.Second)
		} else {
			struck.raft.DemoteVoter(last.id, 0, time.Second)
		}
	}
}

// recorder keeps what happens to terms, and looks at all of them when one begins.
type recorder struct {
	history *tenuretest.History

	mu     sync.Mutex
	terms  int
	held   []*Leadership
	causes map[string]int
	works  map[raft.ServerID]bool
	twice  atomic.Bool   // two functions worked at a time on one server
	began  chan struct{} // closed when a term begins
}

func newRecorder() *recorder {
	return &recorder{history: tenuretest.NewHistory(), causes: map[string]int{}, works: map[raft.ServerID]bool{}}
}

func (r *recorder) tell(l *Leadership, kind tenuretest.Kind, err error) {
	r.history.Record(tenuretest.Event{Kind: kind, Member: string(l.e.id), Election: "raft", Token: l.token, Err: err})
}

// sample asks all terms that may be held whether they are.
func (r *recorder) sample() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var held []*Leadership
	for _, l := range r.held {
		r.history.Sample(tenuretest.Event{Member: string(l.e.id), Election: "raft", Token: l.token}, l.Held)
		if !l.ended.Load() {
			held = append(held, l)
		}
	}
	r.held = held
}

// work is a function for Lead that does f.
func (r *recorder) work(f func(context.Context, *Leadership) error) func(context.Context, tenure.Term) error {
	return func(ctx context.Context, term tenure.Term) error {
		l := term.(*Leadership)
		r.tell(l, tenuretest.Elected, nil)
		r.mu.Lock()
		if r.works[l.e.id] {
			r.twice.Store(true)
		}
		r.works[l.e.id] = true
		r.terms++
		r.held = append(r.held, l)
		if r.began != nil {
			close(r.began)
			r.began = nil
		}
		r.mu.Unlock()
		r.sample()
		ended := make(chan struct{})
		context.AfterFunc(ctx, func() {
			r.tell(l, tenuretest.Ended, l.Cause())
			close(ended)
		})
		err := f(ctx, l)
		l.giveUp(tenure.ErrResigned, nil) // Lead would do it a little later
		<-ended
		r.mu.Lock()
		defer r.mu.Unlock()
		r.works[l.e.id] = false
		r.causes[l.Cause().Error()]++
		return err
	}
}

// begins waits for the next term, and says whether one has begun. One that is held will do.
func (r *recorder) begins(end <-chan time.Time) bool {
	r.sample()
	r.mu.Lock()
	began := make(chan struct{})
	r.began = began
	held := len(r.held) > 0
	r.mu.Unlock()
	if held {
		return true
	}
	select {
	case <-began:
		return true
	case <-end:
		return false
	}
}

func (r *recorder) ends() (int, map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.terms, r.causes
}
