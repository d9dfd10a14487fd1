//go:build unix

package guard

import "golang.org/x/sys/unix"

// terminal is the parent's controlling terminal on its stdin, while CMD has it.
type terminal struct {
	fd    int
	own   int // the parent's group
	saved *unix.Termios
}

// lendable is the terminal that CMD should get, or nil: stdin is one, and it is
// the parent's to give. A pipe as output means that another process of the
// parent's group may need the terminal, as a pager does.
func lendable() *terminal {
	own := unix.Getpgrp()
	front, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	if err != nil || front != own || isPipe(1) || isPipe(2) {
		return nil
	}
	saved, err := unix.IoctlGetTermios(0, getTermios)
	if err != nil {
		return nil
	}
	return &terminal{fd: 0, own: own, saved: saved}
}

func isPipe(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO
}

// lend makes pgid the foreground group if the parent is it. The guard has done
// so when it forked CMD; this is for a parent that was in the background
// meanwhile.
func (t *terminal) lend(pgid int) {
	if front, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && front == t.own {
		_ = inBackground(func() error { return unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pgid) })
	}
}

// takeBack returns the terminal to the parent's group, with the settings it had.
func (t *terminal) takeBack(pgid int) {
	if t == nil || !t.ours(pgid) {
		return
	}
	_ = inBackground(func() error {
		if err := unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.own); err != nil {
			return err
		}
		return unix.IoctlSetTermios(t.fd, setTermios, t.saved)
	})
}

// ours tells whether the terminal is CMD's or nobody's. Somebody else may have
// got it meanwhile: a shell takes it when it sees its job stop.
func (t *terminal) ours(pgid int) bool {
	front, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return false // hung up
	}
	return front == pgid || front == t.own || front <= 1 || groupDead(front)
}
