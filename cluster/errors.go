package cluster

import (
	"errors"
	"fmt"

	"github.com/tenure-go/tenure/store"
)

// Errors that callers test for, beside those of packages tenure and store.
var (
	// ErrStopped: the node does not run.
	ErrStopped = errors.New("cluster: node is not running")
	// ErrRunning: the node was started already.
	ErrRunning = errors.New("cluster: node is running already")
	// ErrClosed: the node was closed, which is final.
	ErrClosed = errors.New("cluster: node closed")
	// ErrElected: the context of a follower's routine has ended, because the node was
	// elected.
	ErrElected = errors.New("cluster: the node was elected")
	// ErrNoNode: no live node has this id.
	ErrNoNode = errors.New("cluster: no such node")
)

// Error says which operation on which cluster an error belongs to.
type Error struct {
	Op      string // "start", "put", "watch", ...
	Cluster string
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: cluster %q: %v", e.Op, e.Cluster, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errNoNode(id string) error { return fmt.Errorf("%w: %q", ErrNoNode, id) }

func errBusy(id string) error {
	return fmt.Errorf("%w: the record of node %q changed %d times; try again", store.ErrConflict, id, writeAttempts)
}
