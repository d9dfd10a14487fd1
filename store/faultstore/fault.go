package faultstore

import (
	"time"

	"github.com/tenure-go/tenure/store"
)

// Op is a kind of call, or several: OpRenew | OpList.
type Op uint8

// The calls of store.Store that can go wrong.
const (
	OpCommit Op = 1 << iota
	OpList
	OpWatch
	OpGrant
	OpRenew
	OpRevoke

	// OpAll is what the zero Op of a Fault stands for.
	OpAll = OpCommit | OpList | OpWatch | OpGrant | OpRenew | OpRevoke
)

// Call is one call as it is about to be sent; the fields that its Op does not
// use are zero.
type Call struct {
	Op     Op
	Tx     store.Tx       // of a Commit
	Query  store.Query    // of a List
	Prefix string         // of a Watch
	After  store.Revision // of a Watch
	TTL    time.Duration  // of a Grant
	Lease  store.LeaseID  // of a Renew or Revoke
}

// Kind is what a fault does.
type Kind uint8

// The kinds of fault. Delay and Partition hold a call up and then let it go on,
// to the next fault that concerns it or to the store; the others answer it, and
// so does the zero Kind, which is Fail.
const (
	// Delay sends the call Fault.Delay later.
	Delay Kind = iota + 1
	// Fail answers with an error at once. The call has no effect.
	Fail
	// LoseReply sends the call, waits for the reply and answers with an error:
	// what the call did is done.
	LoseReply
	// Late answers with an error and sends the call Fault.Delay later, whatever
	// has become of its context. With Fault.Hang the answer comes only
	// when the context ends, and is the context's error.
	Late
	// Partition holds calls up until their context ends or the fault is removed;
	// then they are sent. Running watches stay open and deliver nothing.
	Partition
	// Stall holds back what watches deliver, running ones too, until it is
	// removed. Nothing is lost, unless the store forgets it meanwhile.
	Stall
	// Break ends watches with an error, running ones too.
	Break
)

// Fault is one thing that goes wrong. Of a watch, all but Partition, Stall and
// Break concern its start only, and Fail, LoseReply and Late are the same.
type Fault struct {
	Kind Kind
	// Ops are the calls concerned; zero stands for all. Stall and Break concern
	// watches in any case.
	Ops Op
	// Match says of a call whether it is concerned; nil stands for all. It must
	// not call the store.
	Match func(Call) bool
	// Count is how many calls are concerned, after which the fault has no more
	// effect on others; zero stands for all until it is removed. A watch counts
	// once.
	Count int
	// Delay belongs to the kinds Delay and Late.
	Delay time.Duration
	// Hang belongs to Late.
	Hang bool
	// Err is what the caller gets; nil stands for store.ErrUnavailable.
	Err error
	// Name is what Hits counts under. Several faults may share it.
	Name string
	// OnHit is called with each call that the fault concerns, before it takes
	// effect. It must not block or call the store.
	OnHit func(Call)
}

// concerns reports whether the fault has to do with c.
func (f *Fault) concerns(c Call) bool {
	ops := f.Ops
	switch {
	case f.Kind == Stall || f.Kind == Break:
		ops = OpWatch
	case ops == 0:
		ops = OpAll
	}
	return ops&c.Op != 0 && (f.Match == nil || f.Match(c))
}

// holds reports whether the fault holds back running watches.
func (f *Fault) holds() bool { return f.Kind == Partition || f.Kind == Stall }

// Calls counts calls by their kind.
type Calls struct {
	Commit, List, Watch, Grant, Renew, Revoke int
}

// Total is the number of calls of all kinds.
func (c Calls) Total() int { return c.Commit + c.List + c.Watch + c.Grant + c.Renew + c.Revoke }

func (c *Calls) add(op Op) {
	switch op {
	case OpCommit:
		c.Commit++
	case OpList:
		c.List++
	case OpWatch:
		c.Watch++
	case OpGrant:
		c.Grant++
	case OpRenew:
		c.Renew++
	case OpRevoke:
		c.Revoke++
	}
}
