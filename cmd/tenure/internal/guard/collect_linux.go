package guard

import "syscall"

// killFirst is for systems where the end of the guard is not that of CMD.
func killFirst(*Guard) {}

// collect kills the group that a dead guard has left to this process, and waits
// for its end. A child that has not been waited for keeps the group's number
// from being used again, so no stranger is killed. It returns how the group's
// leader ended, if that was left.
func collect(pgid int) (leader syscall.WaitStatus, found bool) {
	for {
		var status syscall.WaitStatus
		pid, err := wait4(-pgid, &status, syscall.WNOHANG)
		switch {
		case err != nil: // no child of ours is in it
			waitOutside(pgid)
			return leader, found
		case pid == 0:
			_ = syscall.Kill(-pgid, syscall.SIGKILL)
			pid, _ = wait4(-pgid, &status, 0)
		}
		if pid == pgid {
			leader, found = status, true
		}
	}
}
