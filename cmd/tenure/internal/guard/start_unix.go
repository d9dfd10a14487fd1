//go:build unix

package guard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// start forks CMD into a group of its own. The code is what a shell would exit
// with. The caller has locked its thread.
func start(cmd Command, foreground bool) (pid, code int, err error) {
	if cmd.Dir != "" {
		// Here, because later it cannot be told from a missing program.
		if err := isDir(cmd.Dir); err != nil {
			return 0, CodeNotStarted, err
		}
	}
	path, err := exec.LookPath(cmd.Args[0])
	if err != nil {
		code, err = shellError(cmd.Args[0], err)
		return 0, code, err
	}
	pid, err = fork(path, cmd, foreground)
	if foreground && (errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EIO)) {
		pid, err = fork(path, cmd, false) // the terminal has been hung up
	}
	if err != nil {
		code, err = shellError(cmd.Args[0], err)
	}
	return pid, code, err
}

func fork(path string, cmd Command, foreground bool) (int, error) {
	unblockSignals()
	attr := &syscall.ProcAttr{
		Dir: cmd.Dir, Env: cmd.Env, Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: 0},
	}
	if attr.Env == nil {
		attr.Env = os.Environ()
	}
	dieWithThread(attr.Sys)
	return syscall.ForkExec(path, cmd.Args, attr)
}

func isDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("working directory: %w", err)
	case !st.IsDir():
		return fmt.Errorf("working directory: %w", &os.PathError{Op: "chdir", Path: dir, Err: syscall.ENOTDIR})
	}
	return nil
}

// shellError brings the errors of looking for a program and of executing it to
// the two codes of the shells.
func shellError(name string, err error) (int, error) {
	if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, exec.ErrDot) ||
		errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return CodeNotFound, fmt.Errorf("%s: %w", name, err)
	}
	return CodeNotExecutable, fmt.Errorf("%s: %w", name, err)
}
