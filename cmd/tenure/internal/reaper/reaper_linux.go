package reaper

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Needed reports whether this process is process 1.
func Needed() bool { return os.Getpid() == 1 }

// Main runs this program again with the same arguments and returns the exit code
// for process 1. It must be called before anything else starts processes.
func Main() int {
	// Before the child exists: no signal to process 1 gets lost.
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	changed := make(chan os.Signal, 1) // of its own: a flood of others cannot displace it
	signal.Notify(changed, syscall.SIGCHLD)
	child, err := startChild()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tenure: run again as the child of process 1:", err)
		return 1
	}
	for {
		select {
		case <-changed:
			if code, ended := reap(child); ended {
				return code
			}
		case sig := <-signals:
			if forwarded(sig) {
				_ = syscall.Kill(child, sig.(syscall.Signal))
			}
		}
	}
}

// startChild puts the child into a group of its own and, if process 1 has the
// terminal, gives it that: Ctrl-C must reach the child once, from the terminal,
// and not a second time from here.
func startChild() (int, error) {
	front, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2}, // others pass, too, unless close-on-exec
		Sys: &syscall.SysProcAttr{
			Setpgid:    true,
			Foreground: err == nil && front == unix.Getpgrp(),
		},
	})
}

// reap collects all children that have ended, and tells how the one that counts
// did.
func reap(child int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil || pid <= 0:
			return code, ended
		}
		if pid == child {
			code, ended = exitCode(status), true
		}
	}
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// forwarded leaves out what the Go runtime sends to itself all the time, and what
// is about this process's own children, files and terminal.
func forwarded(sig os.Signal) bool {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU:
		return false
	}
	return true
}
