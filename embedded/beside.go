package embedded

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
)

// Co-location. What can happen, and what follows:
//
//	etcd's leader moves here         the policies are asked again: this server's
//	                                 members campaign, and depose a leader elsewhere
//	etcd's leader moves elsewhere    they are asked again: terms here end, their seats
//	                                 are handed over to whoever is there
//	no leader of etcd is known       the policies cannot tell; nothing follows for a TTL
//	nobody leads for long            a server whose members wait has etcd's leader come
//	                                 to it: there may be no member, or no fit one, where
//	                                 it was
//	the member here flaps            etcd's leader is passed on
//	a server has a higher priority   it has etcd's leader come to it
//
// None of it is what keeps two from leading: that is the seat, as everywhere.

// Options completes the options of a member that is to lead beside etcd's leader: its ID
// is the server's name, and when it stands back from an election, because its terms
// there have ended too often (tenure.Options.FlapLimit), etcd's leader is passed on to
// another server, and does not come back for the sake of a priority for 5 minutes.
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
		s.beside.flapped()
		if told != nil {
			told(election, flaps, during)
		}
	}
	opts.Trace = &trace
	return opts
}

// Policy keeps the leader of an election on the server that is etcd's leader, if all
// candidates follow such a policy, each that of its own server, and are members with
// the Options of that. It is for one election. While no leader of etcd is known, it
// cannot tell. What it says may be behind, as Leader is: what keeps two members from
// leading is not the policy.
//
// When nobody has led for 10 election timeouts or more, a server whose candidate waits
// becomes etcd's leader: where that was there may be no candidate, or none that is fit.
func (s *Server) Policy() tenure.Policy {
	p := &policy{s: s, changed: make(chan struct{}, 1), led: time.Now()}
	p.patience = 10 * s.conf.ElectionTimeout
	p.patience += rand.N(p.patience) // not all at once
	s.beside.add(p)
	return p
}

type policy struct {
	s        *Server
	changed  chan struct{}
	patience time.Duration
	led      time.Time // when somebody was last known to lead
}

// ShouldCampaign implements tenure.Policy.
func (p *policy) ShouldCampaign(tenure.Identity) tenure.Verdict {
	switch p.s.Leader() {
	case p.s.conf.Name:
		p.led = time.Now() // or is about to
		return tenure.Yes
	case "":
		return tenure.Unknown
	}
	if time.Since(p.led) > p.patience {
		p.led = time.Now()
		p.s.beside.ask(p.s.beside.leaderless)
	}
	return tenure.No
}

// IsValidLeader implements tenure.Policy.
func (p *policy) IsValidLeader(leader tenure.Identity) tenure.Verdict {
	if leader.Member != p.s.conf.Name {
		p.led = time.Now()
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
	unfit      chan struct{} // wants it elsewhere: the member here flaps

	mu       sync.Mutex
	policies []*policy
}

func newBeside(s *Server) *beside {
	return &beside{s: s, leaderless: make(chan struct{}, 1), unfit: make(chan struct{}, 1)}
}

func (b *beside) flapped() { b.ask(b.unfit) }

// ask never waits: what is asked for already need not be again.
func (b *beside) ask(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (b *beside) add(p *policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.policies = append(b.policies, p)
}

func (b *beside) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.policies {
		b.ask(p.changed)
	}
}

// standBack is for how long a server whose member flapped does not claim its priority.
const standBack = 5 * time.Minute

func (b *beside) run() {
	look := time.NewTicker(10 * b.s.conf.ElectionTimeout)
	defer look.Stop()
	var modest time.Time // until when the priority is not claimed
	last := ""
	for {
		changed := b.s.raft().LeaderChangedNotify()
		if now := b.s.Leader(); now != last {
			b.s.conf.Logger.Info("etcd's leader", "server", b.s.conf.Name, "leader", now)
			last = now
			b.tell()
		}
		select {
		case <-b.s.ctx.Done():
			return
		case <-changed:
			continue
		case <-b.leaderless:
			b.pull("nobody leads")
		case <-b.unfit:
			modest = time.Now().Add(standBack)
			b.push()
		case <-look.C:
			if time.Now().After(modest) && b.outranks() {
				b.pull("of its priority")
			}
		}
	}
}

// pull has etcd's leader come to this server.
func (b *beside) pull(why string) {
	ctx, cancel := context.WithTimeout(b.s.ctx, b.s.raft().RequestTimeout())
	defer cancel()
	from := b.s.Leader()
	if err := b.s.takeLeader(ctx); err != nil && ctx.Err() == nil {
		b.s.conf.Logger.Warn("etcd's leader does not move", "to", b.s.conf.Name, "because", why, "error", err)
		return
	}
	b.s.conf.Logger.Info("etcd's leader moves", "from", from, "to", b.s.conf.Name, "because", why)
}

// push has etcd's leader go to another server.
func (b *beside) push() {
	if b.s.Leader() != b.s.conf.Name {
		return
	}
	ctx, cancel := context.WithTimeout(b.s.ctx, b.s.raft().RequestTimeout())
	defer cancel()
	if err := b.s.moveAway(ctx); err != nil && ctx.Err() == nil {
		b.s.conf.Logger.Warn("etcd's leader does not move", "from", b.s.conf.Name, "because", "the member there flaps", "error", err)
		return
	}
	b.s.conf.Logger.Info("etcd's leader moves", "from", b.s.conf.Name, "to", b.s.Leader(), "because", "the member there flaps")
}
