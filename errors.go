package tenure

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tenure-go/tenure/internal/protocol"
)

// Causes of a term's end. The first group is the holder's own doing; the second
// unwraps to ErrLost, and the third to ErrYielded. The message of one that somebody
// wanted says who, and why.
var (
	// ErrResigned: Resign was called, or the function given to Lead returned.
	ErrResigned = errors.New("tenure: resigned")
	// ErrClosed: the Member was closed. Calls on a closed Member return it too.
	ErrClosed = errors.New("tenure: member closed")

	// ErrLost: the term ended without its holder's doing.
	ErrLost = protocol.ErrLost
	// ErrSessionExpired: the session's lease has ended, or may have.
	ErrSessionExpired = protocol.ErrSessionExpired
	// ErrUnproven: nothing has shown for a whole TTL that the seat is still
	// held, so that it may have been given to another.
	ErrUnproven = protocol.ErrUnproven
	// ErrDispossessed: somebody else deleted or overwrote the seat.
	ErrDispossessed = protocol.ErrDispossessed
	// ErrDeposed: somebody forced an election; see View.Depose.
	ErrDeposed = protocol.ErrDeposed

	// ErrYielded: the term was ended cleanly, but not by its holder's function. The
	// seat is passed on when that has returned, and the member stays a candidate.
	ErrYielded = protocol.ErrYielded
	// ErrTransferred: the seat goes to a named member.
	ErrTransferred = protocol.ErrTransferred
	// ErrPreempted: somebody of a higher priority waits, and the term has lasted
	// for its PreemptAfter.
	ErrPreempted = protocol.ErrPreempted
	// ErrDrained: an operator wants the member to give up its seats; see Drain.
	ErrDrained = protocol.ErrDrained
	// ErrIneligible: the Policy says that the member must not lead.
	ErrIneligible = protocol.ErrIneligible
	// ErrUnhealthy: a Health check has failed for longer than its grace.
	ErrUnhealthy = protocol.ErrUnhealthy
)

// Other errors that callers test for.
var (
	// ErrAlreadyCandidate: this member already campaigns for, or leads, the
	// election.
	ErrAlreadyCandidate = errors.New("tenure: already a candidate")
	// ErrDuplicateMember: another live process has the same member ID.
	ErrDuplicateMember = errors.New("tenure: duplicate member id")
	// ErrInvalid: an argument or option that cannot be used; the message names
	// it, its limit and what to do.
	ErrInvalid = errors.New("tenure: invalid")
	// ErrDrainTimeout: the function given to Lead has not returned in its drain
	// time after the term ended.
	ErrDrainTimeout = errors.New("tenure: drain timeout")
	// ErrNoLeader: nobody leads whom what was asked for could concern.
	ErrNoLeader = errors.New("tenure: nobody leads")
	// ErrChanged: the leader is not the one any more that the caller saw.
	ErrChanged = errors.New("tenure: the leader has changed")
	// ErrConditionFailed: this member was elected, and a condition of its campaign did
	// not hold, so that the seat was passed on at once; see CampaignOptions.If.
	ErrConditionFailed = errors.New("tenure: a condition of the campaign does not hold")
	// ErrNotCandidate: the member does not wait for the seat, or may not have it.
	ErrNotCandidate = errors.New("tenure: not a candidate")
	// ErrPaused: nobody may be elected now; see View.Pause.
	ErrPaused = errors.New("tenure: the election is paused")
	// ErrWentElsewhere: the seat was passed on, but not to the member that was named.
	ErrWentElsewhere = errors.New("tenure: the seat went to another")
	// ErrCorrupt: a record in the store cannot be read by this program.
	ErrCorrupt = protocol.ErrCorrupt
	// ErrWentBack: the store answered with an older state than it had shown before
	// the question. It was restored to that state, or is not linearizable.
	ErrWentBack = protocol.ErrWentBack
)

// Error says which operation on which election an error belongs to.
type Error struct {
	Op       string // "campaign", "commit", "join", ...
	Election string // empty for operations on no election
	Err      error
}

func (e *Error) Error() string {
	if e.Election == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s %q: %v", e.Op, e.Election, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// PanicError is what Lead returns when its function panicked, or left its
// goroutine with runtime.Goexit (Value is then nil).
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "tenure: the function left its goroutine without returning"
	}
	return fmt.Sprintf("tenure: panic: %v", e.Value)
}

// Unwrap returns the panic's value where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guarded calls what is the user's, and returns its panic.
func guarded(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}
