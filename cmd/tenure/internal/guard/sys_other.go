//go:build unix && !linux

package guard

import (
	"os"
	"os/signal"
	"syscall"
)

func selfPath() (string, error) { return os.Executable() }

func adoptOrphans()   {}
func releaseOrphans() {}

// groupDead reports whether a process group has no member, or zombies only, for
// which some systems say EPERM.
func groupDead(pgid int) bool { return syscall.Kill(-pgid, 0) != nil }

func dieWithThread(*syscall.SysProcAttr) {}
func unblockSignals()                    {}

// inBackground does what a background group may do to its terminal only with
// SIGTTOU ignored.
func inBackground(f func() error) error {
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	return f()
}
