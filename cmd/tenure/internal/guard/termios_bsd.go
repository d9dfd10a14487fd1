//go:build unix && !linux

package guard

import "golang.org/x/sys/unix"

// setTermios does not wait for output to drain: a terminal halted by Ctrl-S
// would keep the parent waiting.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)
