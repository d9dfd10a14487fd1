package protocol

import "errors"

// ErrLost: a term ended that its holder did not end. The causes below unwrap to it.
var ErrLost = errors.New("tenure: leadership lost")

// Causes of a lost term.
var (
	// ErrSessionExpired: the session's lease has ended, or may have.
	ErrSessionExpired error = &loss{"tenure: session expired"}
	// ErrUnproven: nothing has shown for a whole TTL that the seat is still
	// ours, so that it may have been given to another.
	ErrUnproven error = &loss{"tenure: leadership unproven for too long"}
	// ErrDispossessed: the seat was deleted or overwritten by somebody else.
	ErrDispossessed error = &loss{"tenure: seat taken away"}
	// ErrDeposed: somebody forced an election.
	ErrDeposed error = &loss{"tenure: deposed"}
)

// ErrYielded: a term was ended cleanly, and not by its holder's function. The causes
// below unwrap to it.
var ErrYielded = errors.New("tenure: seat given up")

// Causes of a term that was given up.
var (
	// ErrTransferred: the seat was to go to a named member.
	ErrTransferred error = &yield{"tenure: transferred"}
	// ErrPreempted: somebody of a higher priority waited.
	ErrPreempted error = &yield{"tenure: preempted"}
	// ErrDrained: the member gives up its seats.
	ErrDrained error = &yield{"tenure: member drained"}
	// ErrIneligible: by its policy the member must not lead.
	ErrIneligible error = &yield{"tenure: not eligible"}
	// ErrUnhealthy: the member's health check fails.
	ErrUnhealthy error = &yield{"tenure: unhealthy"}
)

// ErrWentBack: the store answered with an older state than it had shown before
// the question. It was restored to that state, or is not linearizable.
var ErrWentBack = errors.New("tenure: store went back to an older state")

type yield struct{ text string }

func (y *yield) Error() string { return y.text }
func (y *yield) Unwrap() error { return ErrYielded }

type loss struct{ text string }

func (l *loss) Error() string { return l.text }
func (l *loss) Unwrap() error { return ErrLost }
