package cluster

import (
	"time"

	"github.com/tenure-go/tenure"
)

// Trace is a set of callbacks for metrics, tests and alerts. Each may be nil. They are
// called one at a time, in the order of what happened, and apart from what the node
// does: a slow one delays other callbacks and log lines, nothing else. They must return,
// and must not call Stop or Close.
type Trace struct {
	// Leadership and Membership are told of the node's two sessions.
	Leadership, Membership *tenure.Trace
	// Role: the node has another role now.
	Role func(Role)
	// Routine: a routine has returned.
	Routine func(RoutineInfo)
	// Overrun: a routine still runs, so long after its context was cancelled.
	Overrun func(Role, time.Duration)
	// Lost: the node's session was lost, and others may not see the node and its state
	// any more, until Rejoined.
	Lost func(error)
	// Rejoined: the node is seen again, and so is its state: so many keys.
	Rejoined func(keys int)
	// TickDiffers: another node's routines have another tick. It is called once for
	// each start of that node.
	TickDiffers func(node Info)
	// Trouble: a request failed and will be tried again, or a callback has panicked
	// ("callback").
	Trouble func(request string, err error)
}

// RoutineInfo describes one call of a routine.
type RoutineInfo struct {
	Role Role
	Took time.Duration
	// Over is by how much it took longer than the Tick, or zero.
	Over time.Duration
	// Err is what it has returned; a panic is a *tenure.PanicError.
	Err error
}
