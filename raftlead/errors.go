package raftlead

import (
	"errors"
	"fmt"

	"github.com/tenure-go/tenure"
)

// Errors that callers test for, beside those of package tenure: ErrInvalid, ErrAlreadyCandidate,
// ErrNotCandidate, ErrWentElsewhere, and as causes of a term's end ErrResigned, ErrTransferred and
// ErrUnproven.
var (
	// ErrSteppedDown: raft has taken the leadership from this server. It is a
	// tenure.ErrLost.
	ErrSteppedDown = fmt.Errorf("%w: raft has stepped down", tenure.ErrLost)
	// ErrShutdown: raft was shut down. It is a tenure.ErrLost, too. A term may end with
	// ErrSteppedDown instead: raft steps down first, and nothing tells then why. To wait
	// for what comes next would keep a term that is lost.
	ErrShutdown = fmt.Errorf("%w: raft was shut down", tenure.ErrLost)
	// ErrClosed: the Elector or Watch was closed.
	ErrClosed = errors.New("raftlead: closed")
	// ErrNotTransferred: the leadership was to be passed on, and raft still leads on
	// this server, or has not elected another yet. Nobody does the leader's work until
	// somebody campaigns here, or raft elects another.
	ErrNotTransferred = errors.New("raftlead: the leadership was not transferred")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tenure.ErrInvalid, fmt.Errorf(format, args...))
}
