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
)

// ErrWentBack: the store answered with an older state than it had shown before
// the question. It was restored to that state, or is not linearizable.
var ErrWentBack = errors.New("tenure: store went back to an older state")

type loss struct{ text string }

func (l *loss) Error() string { return l.text }
func (l *loss) Unwrap() error { return ErrLost }
