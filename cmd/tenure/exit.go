package main

import (
	"fmt"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// Exit codes. "tenure run" ends with the code of its command, and has codes of its own, which
// commands use less, where that could not be run.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitNobody     = 3 // leads, or lives
	exitNoKey      = 4
	exitTimeout    = 5
	exitRunTimeout = 124 // as of timeout(1)
	exitRunFailed  = guard.CodeNotStarted
)

// exitError carries an exit code; its message may be empty.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
