package guard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const clockBoot = unix.CLOCK_BOOTTIME

// selfPath names this program even after its file was replaced or deleted.
func selfPath() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// subreaper counts who needs this process to be one. While it is, orphaned
// descendants become its children: it can wait for them, and their numbers are
// not used again before it has. It is not left on, because nobody here reaps a
// daemon that left its group.
var subreaper struct {
	sync.Mutex
	users int
}

func adoptOrphans() {
	subreaper.Lock()
	defer subreaper.Unlock()
	if subreaper.users++; subreaper.users == 1 {
		setSubreaper(1)
	}
}

func releaseOrphans() {
	subreaper.Lock()
	defer subreaper.Unlock()
	if subreaper.users--; subreaper.users == 0 {
		setSubreaper(0)
	}
}

func setSubreaper(on uintptr) {
	// Refused by kernels before 3.4 only; then a group's end is found by polling.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)
}

// groupDead reports whether a process group has no member, or zombies only: one
// with a parent outside the group, who does not wait for it, would stay for ever.
func groupDead(pgid int) bool {
	if errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) {
		return true
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return false // no /proc
	}
	for _, path := range stats {
		if livesIn(path, pgid) {
			return false
		}
	}
	return true
}

func livesIn(statPath string, pgid int) bool {
	stat, err := os.ReadFile(statPath)
	if err != nil {
		return false // it ended meanwhile
	}
	// The name in parentheses may hold anything, parentheses too.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 3 {
		return false
	}
	state, group := string(fields[0]), string(fields[2])
	return group == strconv.Itoa(pgid) && state != "Z" && state != "X"
}

// dieWithThread has the child killed when the thread that forks it ends. The
// caller keeps that thread.
func dieWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// unblockSignals empties the signal mask of this thread, which a child inherits.
// Go keeps the mask that the program was started with.
func unblockSignals() {
	var none unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}

// inBackground does what a background group may do to its terminal only with
// SIGTTOU blocked.
func inBackground(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block, old unix.Sigset_t
	block.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &old); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }()
	return f()
}
