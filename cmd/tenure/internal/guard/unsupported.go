//go:build !unix

package guard

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"
)

var errSystem = fmt.Errorf("running a command under a guard: %w (%s)", ErrUnsupported, runtime.GOOS)

// Guard cannot be made on this system.
type Guard struct{}

// LeftoverGrace is not used on this system.
const LeftoverGrace = 2 * time.Second

// Start returns ErrUnsupported.
func Start(context.Context, ...string) (*Guard, error) { return nil, errSystem }

// StartWith returns ErrUnsupported.
func StartWith(context.Context, Streams, ...string) (*Guard, error) { return nil, errSystem }

// Main reports that the system is not supported.
func Main() int {
	fmt.Fprintln(os.Stderr, "tenure:", errSystem)
	return 2
}

// Run returns ErrUnsupported.
func (g *Guard) Run(Command, Deadline) (int, error) { return 0, errSystem }

// Extend returns ErrUnsupported.
func (g *Guard) Extend(Deadline) error { return errSystem }

// Signal returns ErrUnsupported.
func (g *Guard) Signal(os.Signal) error { return errSystem }

// Stop does nothing.
func (g *Guard) Stop(time.Duration) {}

// Kill does nothing.
func (g *Guard) Kill() {}

// Done returns a closed channel.
func (g *Guard) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Wait returns at once.
func (g *Guard) Wait() Exit { return Exit{Code: 1} }

// Close does nothing.
func (g *Guard) Close() {}

var started = time.Now()

func bootNow() int64 { return int64(time.Since(started)) }
