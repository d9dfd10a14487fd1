package tenuretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Node is a member whose way to the store can go wrong. Its Lead and Campaign
// are those of the Member, and record what they do; those of Node.Member itself
// record only what the Trace is told.
type Node struct {
	*tenure.Member
	*Link

	mu       sync.Mutex
	calls    map[string]int        // of Lead and Campaign that want to lead an election
	releases map[tenure.Token]bool // terms of a Lead with ReleaseOverrun
}

// errLeft is recorded of a function that has panicked or left its goroutine.
var errLeft = errors.New("did not return")

// Lead is tenure.Member.Lead.
func (n *Node) Lead(ctx context.Context, election string, work func(context.Context, tenure.Term) error, opts tenure.LeadOptions) error {
	c := n.want(ctx, election)
	defer c.over()
	c.opts = opts
	attended := work
	if work != nil {
		attended = func(ctx context.Context, term tenure.Term) error {
			n.mu.Lock()
			n.releases[term.Token()] = opts.ReleaseOverrun
			n.mu.Unlock()
			return c.attend(ctx, term, work)
		}
	}
	return n.Member.Lead(ctx, election, attended, opts)
}

// Campaign is tenure.Member.Campaign.
func (n *Node) Campaign(ctx context.Context, election string, opts tenure.CampaignOptions) (*tenure.Leadership, error) {
	c := n.want(context.Background(), election) // ctx bounds the wait alone
	l, err := n.Member.Campaign(ctx, election, opts)
	if err != nil {
		c.over()
		return nil, err
	}
	n.Track(election, l)
	context.AfterFunc(l.Context(), c.over)
	return l, nil
}

// call is one call of Lead or Campaign.
type call struct {
	n        *Node
	election string
	opts     tenure.LeadOptions
	over     func() // the member does not want to lead by it any more
}

func (n *Node) want(ctx context.Context, election string) *call {
	c := &call{n: n, election: election}
	c.n.wants(election, 1)
	over := sync.OnceFunc(func() { n.wants(election, -1) })
	stop := context.AfterFunc(ctx, over)
	c.over = func() {
		stop()
		over()
	}
	return c
}

// wants records when a member begins or ceases to want to lead an election. One
// that has crashed has ceased.
func (n *Node) wants(election string, more int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[election] += more
	switch {
	case n.isCrashed():
	case more > 0 && n.calls[election] == 1:
		n.h.Record(Event{Kind: Wanted, Member: n.name, Election: election})
	case n.calls[election] == 0:
		n.h.Record(Event{Kind: Unwanted, Member: n.name, Election: election})
	}
}

// attend calls the function given to Lead.
func (c *call) attend(ctx context.Context, term tenure.Term, work func(context.Context, tenure.Term) error) (err error) {
	c.n.h.Record(c.n.event(WorkBegan, c.election, term.Token()))
	c.n.Track(c.election, term)
	err = errLeft
	defer func() {
		c.n.sample()
		e := c.n.event(WorkReturned, c.election, term.Token())
		e.Err = err
		c.n.h.Record(e)
		cause := term.Cause()
		stays := errors.Is(cause, tenure.ErrLost) || errors.Is(cause, tenure.ErrYielded) ||
			c.opts.Requeue && err == nil || c.opts.Retry && err != nil
		if !stays {
			c.over() // Lead will not campaign again
		}
	}()
	err = work(ctx, term)
	return err
}

// Write makes a guarded write through a term, by Leadership.Commit. Whatever it
// returns, the write is recorded if and when it takes effect in the store.
func (n *Node) Write(ctx context.Context, l *tenure.Leadership, key string) error {
	res, err := l.Commit(ctx, store.Tx{Then: []store.Op{writeOp("", key, l)}})
	n.confirm(l, res, err)
	return err
}

// WriteAnyway makes the write of Write without asking whether the term is held,
// as a process would that was paused in between: Leadership.Guard alone decides.
// It reports whether the write is known to have taken effect.
func (n *Node) WriteAnyway(ctx context.Context, l *tenure.Leadership, key string) (bool, error) {
	res, err := n.Store().Commit(ctx, store.Tx{
		If:   []store.Cond{l.Guard().Cond()},
		Then: []store.Op{writeOp(protocol.DataPrefix, key, l)},
	})
	n.confirm(l, res, err)
	return res.Committed, err
}

func writeOp(prefix, key string, l *tenure.Leadership) store.Op {
	value := fmt.Sprintf(writeFormat, l.Member(), l.Election(), l.Token())
	return store.Put(prefix+writesPrefix+key, []byte(value), store.NoLease)
}

func (n *Node) confirm(l *tenure.Leadership, res store.Result, err error) {
	if err != nil || !res.Committed {
		return
	}
	e := n.event(Confirmed, l.Election(), l.Token())
	e.Revision = res.Revision
	n.h.Record(e)
}

// Crash is Link.Crash; the member wants to lead nothing any more.
func (n *Node) Crash() {
	n.mu.Lock()
	if !n.isCrashed() {
		for election, calls := range n.calls {
			if calls > 0 {
				n.h.Record(Event{Kind: Unwanted, Member: n.name, Election: election})
			}
		}
	}
	n.Link.Crash()
	n.mu.Unlock()
}

// trace returns a Trace that records, and then calls what t says.
func (n *Node) trace(t *tenure.Trace) *tenure.Trace {
	var chained tenure.Trace
	if t != nil {
		chained = *t
	}
	user := chained
	note := func(err error, format string, args ...any) {
		n.h.Record(Event{Kind: Note, Member: n.name, Err: err, Text: fmt.Sprintf(format, args...)})
	}
	chained.SessionStarted = func(s tenure.SessionInfo) {
		note(nil, "session %s begins, TTL %v", s.ID, s.TTL)
		if user.SessionStarted != nil {
			user.SessionStarted(s)
		}
	}
	chained.SessionLost = func(s tenure.SessionInfo, err error) {
		note(err, "session %s is lost", s.ID)
		if user.SessionLost != nil {
			user.SessionLost(s, err)
		}
	}
	chained.Elected = func(t tenure.TermInfo) {
		n.h.Record(n.event(Elected, t.Election, t.Token))
		if user.Elected != nil {
			user.Elected(t)
		}
	}
	chained.Ended = func(t tenure.TermInfo, cause error) {
		e := n.event(Ended, t.Election, t.Token)
		e.Err = cause
		n.h.Record(e)
		if user.Ended != nil {
			user.Ended(t, cause)
		}
	}
	chained.Overrun = func(t tenure.TermInfo, d time.Duration) {
		note(nil, "still works in %s, token %d, %v after the end", t.Election, t.Token, d)
		n.mu.Lock()
		releases := n.releases[t.Token]
		n.mu.Unlock()
		if releases { // from now on, whenever Lead hears of it
			n.h.Record(n.event(GaveUp, t.Election, t.Token))
		}
		if user.Overrun != nil {
			user.Overrun(t, d)
		}
	}
	chained.DuplicateWait = func(id, endpoint string, atMost time.Duration) {
		note(nil, "waits for another %s to go, for at most %v", id, atMost)
		if user.DuplicateWait != nil {
			user.DuplicateWait(id, endpoint, atMost)
		}
	}
	return &chained
}
