package protocol

import (
	"time"

	"github.com/tenure-go/tenure/store"
)

// Token is the fencing token of a term: the seat's Modified revision.
type Token = store.Revision

// Event is something that happened: a wish of the user's, a reply, a watch
// event, or (Tick) the passing of time.
type Event interface{ event() }

// The user's wishes.
type (
	// Campaign asks to lead an election, or changes what was asked.
	Campaign struct {
		Election string
		Amend    bool // only if that is still wanted, or a term of it lasts
		Priority int
		// Yield, if not zero, is how long a term lasts at least before it is handed
		// to a candidate of a higher priority.
		Yield time.Duration
		// Barred, if not nil, is why the member must not lead: the cause of the end
		// of a term that it has.
		Barred error
		// Aside is how long the member stands back, unless it is named; less than
		// zero: no longer.
		Aside time.Duration
	}
	// Withdraw takes the wish back. A term is ended with Resign.
	Withdraw struct{ Election string }
	// Resign ends a term cleanly; the seat is kept until Drained.
	Resign struct {
		Election string
		Token    Token
		Cause    error
		To       string // the member that the seat is to go to; empty: the first in line
	}
	// Drained says that the user's function of an ended term has returned, or
	// that nobody waits for it any longer. Again: campaign once more, after having
	// stood Aside.
	Drained struct {
		Election string
		Token    Token
		Again    bool
		Aside    time.Duration
	}
)

// What was learnt.
type (
	// Tick: time has passed.
	Tick struct{}
	// Renewed is the first half of a round's outcome. An error ends the round.
	Renewed struct {
		Round uint64
		Sent  Instant
		TTL   time.Duration
		Err   error
	}
	// Listed is the second half.
	Listed struct {
		Round   uint64
		Sent    Instant
		Listing store.Listing
		Err     error
	}
	// Committed is the reply to a Commit action.
	Committed struct {
		ID       uint64
		Election string
		Sent     Instant
		Result   store.Result
		Err      error
	}
	// Looked is the reply to a Look action.
	Looked struct {
		ID       uint64
		Election string
		Sent     Instant
		Listing  store.Listing
		Err      error
	}
	// Watched is one event of one of the session's two watches: of what operators
	// want (ControlPrefix), and of its own terms (TermsOf) at first; see WatchSeats.
	Watched struct{ Event store.Event }
	// Seats is what the watch of all seats begins with: a seat that is not among
	// them is free.
	Seats struct{ Listing store.Listing }
	// Lined is what the watch of an election's candidates tells; see WatchLine.
	Lined struct {
		Election string
		Token    Token
		Batch    store.Batch
	}
	// Proof is what a request of the user's under a term's guard showed:
	// whether the seat was at the token, as of Revision.
	Proof struct {
		Election string
		Token    Token
		Sent     Instant
		Revision store.Revision
		Current  bool
		Seat     *store.Entry // if not current: what is there; nil: nothing
	}
	// Lapsed: somebody has seen a deadline of the term passed. That is final,
	// whatever reply comes in after it.
	Lapsed struct {
		Election string
		Token    Token
	}
)

func (Campaign) event()  {}
func (Withdraw) event()  {}
func (Resign) event()    {}
func (Drained) event()   {}
func (Tick) event()      {}
func (Renewed) event()   {}
func (Listed) event()    {}
func (Committed) event() {}
func (Looked) event()    {}
func (Watched) event()   {}
func (Seats) event()     {}
func (Lined) event()     {}
func (Proof) event()     {}
func (Lapsed) event()    {}

// Action is something for the shell to do. Actions are carried out in order;
// requests are carried out beside whatever else goes on, each within its
// Timeout, and answered with exactly one event (a Round with one or two).
type Action interface{ action() }

// Requests to the store.
type (
	// Round: Renew the lease, answer Renewed; then List the query, answer Listed.
	Round struct {
		ID      uint64
		Query   store.Query
		Timeout time.Duration
	}
	// Commit: answer Committed.
	Commit struct {
		ID       uint64
		Election string
		Move     Move
		Tx       store.Tx
		Timeout  time.Duration
	}
	// Look: List the query, answer Looked.
	Look struct {
		ID       uint64
		Election string
		Query    store.Query
		Timeout  time.Duration
	}
)

// WatchSeats has the session's watch follow LeadersPrefix, which shows its own terms
// and more, or only those again. It begins with the state.
type WatchSeats struct{ On bool }

// WatchLine begins or ends the watch of an election's candidates, for the term of
// the token: answer with Lined.
type WatchLine struct {
	Election string
	Token    Token
	On       bool
}

// What the user is to be told.
type (
	// Trusted moves the session's deadline.
	Trusted struct{ Until Instant }
	// RoundDone ends a round. What it moved has been said before.
	RoundDone struct {
		ID  uint64
		Err error
	}
	// Begin starts a term; its evidence runs until Until.
	Begin struct {
		Election string
		Token    Token
		Until    Instant
		Named    bool // by a transfer
	}
	// Warn: a term ends so soon, unless something comes of what is under way.
	Warn struct {
		Election string
		Token    Token
		Left     time.Duration
	}
	// Extend moves the evidence's deadline of a term.
	Extend struct {
		Election string
		Token    Token
		Until    Instant
	}
	// End ends a term: not held from now on, its context cancelled with Cause.
	// The shell answers with Drained.
	End struct {
		Election string
		Token    Token
		Cause    error
	}
	// Done ends a candidacy: nothing of it is left in the store but, at most,
	// a mark. Err says why when the user did not ask for it.
	Done struct {
		Election string
		Err      error
	}
	// Trouble reports a request that failed and will be tried again.
	Trouble struct {
		Election string // empty for a round
		Move     Move
		Err      error
	}
	// Over ends the session. No further action follows.
	Over struct{ Cause error }
)

func (Round) action()      {}
func (Commit) action()     {}
func (Look) action()       {}
func (WatchSeats) action() {}
func (WatchLine) action()  {}
func (Trusted) action()    {}
func (RoundDone) action()  {}
func (Begin) action()      {}
func (Warn) action()       {}
func (Extend) action()     {}
func (End) action()        {}
func (Done) action()       {}
func (Trouble) action()    {}
func (Over) action()       {}

// Move names a request of the protocol.
type Move string

// The moves.
const (
	MoveRenew    Move = "renew"
	MoveLook     Move = "look"
	MoveEnrol    Move = "enrol"
	MoveTake     Move = "take"
	MoveHandOver Move = "hand over"
	MoveRelease  Move = "release"
	MoveWithdraw Move = "withdraw"
	MoveOutlive  Move = "outlive" // a vacancy
	MoveDepose   Move = "depose"  // by anyone; see Depose
)
