package guard

import (
	"errors"
	"os"
	"syscall"
)

// Errors of Start, Run, Extend and Signal. A command that has ended is
// os.ErrProcessDone.
var (
	ErrNotFound      = errors.New("command not found")
	ErrNotExecutable = errors.New("command cannot be executed")
	ErrDeadline      = errors.New("deadline passed")
	ErrLost          = errors.New("guard process lost")
	ErrBusy          = errors.New("guard process does not read its commands")
	ErrUnsupported   = errors.New("not supported on this system")
)

// Exit codes of a command that could not be started, as shells and env(1) have
// them.
const (
	CodeNotStarted    = 125 // for another reason than the command itself
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// Reason says why a group was killed.
type Reason string

// The reasons. ByGrace: Stop's grace ran out. ByKill: Kill or Close was called.
// ByLoss: the guard process died or could not be understood.
const (
	NotKilled   Reason = ""
	ByDeadline  Reason = "deadline passed"
	ByGrace     Reason = "grace ran out"
	ByKill      Reason = "killed"
	ByLoss      Reason = "guard process lost"
	byOrphaning Reason = "parent gone" // nobody is left to hear it
	byLeftovers Reason = "left over"   // background jobs; the command itself ended well
)

// Exit tells how a command ended. Killed may be set with any Code: a group is
// killed also when only background jobs of it are left.
type Exit struct {
	Code   int            // of the main process, when no signal ended it
	Signal syscall.Signal // that ended the main process, or 0
	Killed Reason
	Detail string // what is known about a guard process that was lost, for a log
}

// ShellCode is the exit code that a shell would report.
func (e Exit) ShellCode() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Command is what to run. The zero Env and Dir are the guard's own, which are
// those of the process that called Start.
type Command struct {
	Args []string
	Env  []string
	Dir  string
}

// Streams are the standard streams of a command, and of its guard.
type Streams struct{ In, Out, Err *os.File }
