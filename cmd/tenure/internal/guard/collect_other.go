//go:build unix && !linux

package guard

import "syscall"

// killFirst kills the group while the guard can still keep its leader's number
// from being used again.
func killFirst(g *Guard) {
	if g.pgid != 0 && !g.exited {
		_ = syscall.Kill(-g.pgid, syscall.SIGKILL)
	}
}

// collect kills the group that a dead guard has left behind, and waits for its
// end.
func collect(pgid int) (leader syscall.WaitStatus, found bool) {
	waitOutside(pgid)
	return leader, false
}
