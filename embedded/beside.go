package embedded

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/tenure-go/tenure"
)

// Co-location. What can happen, and what follows:
//
//	etcd's leader moves here         the policies are asked again: this server's
//	                                 members campaign, and depose a leader elsewhere
//	etcd's leader moves elsewhere    they are asked again: terms here end, their seats
//	                                 are handed over to whoever is there
//	no leader of etcd is known       the policies cannot tell; nothing follows for a TTL
//	nobody leads for long            a server whose member waits has etcd's leader come
//	                                 to it: there may be no member, or no fit one, where
//	                                 it was; twice as late each time that did not help
//	the member here flaps            etcd's leader is passed on
//	a server has a higher priority   it has etcd's leader come to it; once in 5 minutes,
//	                                 so that it does not fight with the two above
//	the server or member is not fit  it has etcd's leader come for no reason
//	this server's disk hangs         it goes on to believe that etcd's leader is where it
//	                                 was, and its policies say so; but it answers nothing
//	                                 that its members could go on with: see Store
//
// None of it is what keeps two from leading: that is the seat, as everywhere.

// Options completes the options of a member that is to lead beside etcd's leader: its ID
// is the server's name, and when it stands back from an election, because its terms
// there have ended too often (tenure.Options.FlapLimit), etcd's leader is passed on to
// another server, and does not come back for the sake of a priority for 5 minutes. While
// the member stands back, or its Health check fails, the server does not ask for etcd's
// leader.
//
// Such a member joins over Store, and campaigns with Policy.
func (s *Server) Options(opts tenure.Options) tenure.Options {
	opts.ID = s.conf.Name
	trace := tenure.Trace{}
	if opts.Trace != nil {
		trace = *opts.Trace
	}
	told := trace.StoodBack
	trace.StoodBack = func(election string, flaps int, during time.Duration) {
		s.beside.flapped(during)
		if told != nil {
			told(election, flaps, during)
		}
	}
	opts.Trace = &trace
	if check := opts.Health; check != nil {
		opts.Health = func(ctx context.Context) error {
			well := false // also after a panic
			defer func() { s.beside.unwell.Store(!well) }()
			err := check(ctx)
			well = err == nil
			return err
		}
	}
	return opts
}

// Policy keeps the leader of an election on the server that is etcd's leader, if all
// candidates follow such a policy, each that of its own server, and are members with
// the Options of that. It is for one election and one candidate. While no leader of etcd
// is known, it cannot tell. What it says may be behind, as Leader is: what keeps two
// members from leading is not the policy.
//
// When nobody has led for 10 election timeouts or more, a server whose candidate waits
// becomes etcd's leader: where that was there may be no candidate, or none that is fit.
// Elections of one cluster so have to have a candidate on every server: two that have
// none in common would take turns.
func (s *Server) Policy() tenure.Policy {
	p := &policy{s: s, changed: make(chan struct{}, 1)}
	p.base = 10 * s.conf.ElectionTimeout
	p.base += rand.N(p.base) // not all at once
	p.patience = p.base
	s.beside.add(p)
	return p
}

type policy struct {
	s       *Server
	changed chan struct{}

	mu sync.Mutex // whoever campaigns anew may do so before his last candidacy has quite ended
	// That nobody leads is known of the time up to the last question: whether somebody
	// does shows only after ShouldCampaign, by IsValidLeader.
	led            bool      // somebody elsewhere did at the last question
	lead           string    // etcd's leader then
	asked          time.Time // when that was
	since          time.Time // nobody has led, and etcd's leader was the same
	base, patience time.Duration
	pulled         time.Time
}

// ShouldCampaign implements tenure.Policy.
func (p *policy) ShouldCampaign(tenure.Identity) tenure.Verdict {
	lead := p.s.Leader()
	if p.impatient(lead, time.Now()) {
		ask(p.s.beside.leaderless)
	}
	switch lead {
	case p.s.conf.Name:
		return tenure.Yes
	case "":
		return tenure.Unknown
	default:
		return tenure.No
	}
}

// impatient reports whether nobody has led for too long where etcd's leader is.
func (p *policy) impatient(lead string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	alone := p.asked.Sub(p.since)
	changed := lead != p.lead
	p.asked, p.lead = now, lead
	switch {
	case p.led:
		p.led, p.since, p.patience = false, now, p.base
		return false
	case changed || lead == "" || lead == p.s.conf.Name: // each server has a turn of its own
		p.since = now
		return false
	case alone <= p.patience:
		return false
	}
	// What does not help is done ever more rarely: perhaps the election is paused, and
	// others suffer from each move.
	if p.patience *= 2; now.Sub(p.pulled) > 10*p.patience {
		p.patience = p.base
	}
	p.since, p.pulled = now, now
	return true
}

// IsValidLeader implements tenure.Policy.
func (p *policy) IsValidLeader(leader tenure.Identity) tenure.Verdict {
	if leader.Member != p.s.conf.Name {
		p.mu.Lock()
		p.led = true
		p.mu.Unlock()
	}
	switch p.s.Leader() {
	case leader.Member:
		return tenure.Yes
	case "":
		return tenure.Unknown
	default:
		return tenure.No
	}
}

// Changed implements tenure.Policy.
func (p *policy) Changed() <-chan struct{} { return p.changed }

// beside moves etcd's leader to where it should be, and tells policies where it is.
type beside struct {
	s          *Server
	leaderless chan struct{} // wants etcd's leader here: nobody leads
	flaps      chan struct{} // wants it elsewhere: the member here flaps
	unwell     atomic.Bool   // the member's health check fails

	mu       sync.Mutex
	policies []weak.Pointer[policy] // nobody says when one is not needed any more
	aside    time.Time              // until when the member here stands back
	modest   time.Time              // until when the priority is not claimed
	settled  bool                   // the others can know the priority
}

func newBeside(s *Server) *beside {
	return &beside{s: s, leaderless: make(chan struct{}, 1), flaps: make(chan struct{}, 1)}
}

// ask never waits: what is asked for already need not be again.
func ask(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (b *beside) add(p *policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.policies = append(slices.DeleteFunc(b.policies, gone), weak.Make(p))
}

func gone(p weak.Pointer[policy]) bool { return p.Value() == nil }

func (b *beside) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.policies {
		if p := w.Value(); p != nil {
			ask(p.changed)
		}
	}
}

// standBack is for how long a server does not claim its priority, once it has, or its
// member has flapped.
const standBack = 5 * time.Minute

func (b *beside) flapped(during time.Duration) {
	now := time.Now()
	b.mu.Lock()
	b.aside, b.modest = now.Add(during), now.Add(standBack)
	b.mu.Unlock()
	ask(b.flaps)
}

// fit reports whether this server's member could lead, as far as is known.
func (b *beside) fit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.unwell.Load() && time.Now().After(b.aside)
}

func (b *beside) run() {
	var watch sync.WaitGroup
	watch.Go(b.watch)
	defer watch.Wait()
	look := time.NewTicker(10 * b.s.conf.ElectionTimeout)
	defer look.Stop()
	for {
		select {
		case <-b.s.ctx.Done():
			return
		case <-b.leaderless:
			b.pull("nobody leads")
		case <-b.flaps:
			b.push()
		case <-look.C:
			b.settle()
			if b.outranks() && b.pull("its priority") {
				b.setModest(time.Now().Add(standBack))
			}
		}
	}
}

// watch tells of etcd's leaders, also while one is being moved. That there is none it
// is not told of, and need not be: nothing follows.
func (b *beside) watch() {
	last := ""
	for {
		changed := b.s.raft().LeaderChangedNotify()
		if now := b.s.Leader(); now != last {
			b.s.conf.Logger.Info("etcd's leader", "server", b.s.conf.Name, "leader", now)
			last = now
		}
		b.tell()
		select {
		case <-b.s.ctx.Done():
			return
		case <-changed:
		}
	}
}

// pull has etcd's leader come to this server, and reports whether it has.
func (b *beside) pull(why string) bool {
	from := b.s.Leader()
	if from == "" || from == b.s.conf.Name || !b.fit() {
		return false
	}
	return b.move(b.s.takeLeader, from, why)
}

// push has etcd's leader go to another server.
func (b *beside) push() {
	if from := b.s.Leader(); from == b.s.conf.Name {
		b.move(b.s.moveAway, from, "the member there flaps")
	}
}

func (b *beside) move(move func(context.Context) error, from, why string) bool {
	ctx, cancel := context.WithTimeout(b.s.ctx, b.s.raft().RequestTimeout())
	defer cancel()
	if err := move(ctx); err != nil {
		b.s.conf.Logger.Warn("etcd's leader does not move", "server", b.s.conf.Name, "from", from, "because", why, "error", err)
		return false
	}
	b.s.conf.Logger.Info("etcd's leader has moved", "server", b.s.conf.Name, "from", from, "because", why)
	return true
}

func (b *beside) setModest(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.modest = until
}

func (b *beside) isModest() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.modest)
}
