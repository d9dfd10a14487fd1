//go:build linux

package reaper

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is process 1, and runs itself as its child.
const roleEnv = "TENURE_REAPER_TEST"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	switch {
	case role == "":
		os.Exit(m.Run())
	case Needed():
		os.Exit(Main())
	default:
		os.Exit(play(role))
	}
}

func play(role string) int {
	verb, arg, _ := strings.Cut(role, " ")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "exit":
		return n
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
		time.Sleep(time.Minute) // it may reach another thread
		return 96
	case "catch":
		return catch()
	case "orphans":
		return orphans(n)
	case "group":
		fmt.Println(syscall.Getpgrp() == os.Getpid())
		return 0
	}
	return 99
}

// catch prints the signals it gets and ends with SIGTERM.
func catch() int {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGWINCH)
	fmt.Println("ready")
	for sig := range caught {
		fmt.Println(sig)
		if sig == syscall.SIGTERM {
			return 12
		}
	}
	return 0
}

// orphans makes n of them and waits until process 1 has reaped them all.
func orphans(n int) int {
	for range n {
		// The shell ends before the process that it leaves behind.
		out, err := exec.Command("sh", "-c", "sleep 0.01 >/dev/null & echo $!").Output()
		if err != nil {
			return 98
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(out)))
		for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) { // another process does it
			if time.Now().After(end) {
				return 97
			}
		}
	}
	return 0
}

// process1 is this program in a process namespace of its own.
func process1(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	return c
}

// startProcess1 skips the test, loudly, where namespaces are not permitted.
func startProcess1(t *testing.T, c *exec.Cmd) {
	t.Helper()
	err := c.Start()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("SKIPPED: no process namespaces here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
}

func exitCodeOf(t *testing.T, role string) int {
	t.Helper()
	c := process1(t, role)
	startProcess1(t, c)
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

func TestExitCodeIsTheChilds(t *testing.T) {
	for role, want := range map[string]int{"exit 0": 0, "exit 7": 7, "die 9": 137, "die 15": 143} {
		if got := exitCodeOf(t, role); got != want {
			t.Errorf("%s: exit code %d, want %d", role, got, want)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	if got := exitCodeOf(t, "orphans 20"); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

func TestSignalsReachTheChild(t *testing.T) {
	c := process1(t, "catch")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProcess1(t, c)
	lines := bufio.NewScanner(stdout)
	next := func() string {
		if !lines.Scan() {
			t.Fatal("no more output:", lines.Err())
		}
		return lines.Text()
	}
	if got := next(); got != "ready" {
		t.Fatal(got)
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGTERM} {
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != sig.String() {
			t.Errorf("got %q, want %q", got, sig)
		}
	}
	_ = c.Wait()
	if got := c.ProcessState.ExitCode(); got != 12 {
		t.Errorf("exit code %d", got)
	}
}

// What the terminal sends must not arrive a second time through process 1.
func TestChildHasAGroupOfItsOwn(t *testing.T) {
	c := process1(t, "group")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProcess1(t, c)
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "true" {
		t.Errorf("got %q", lines.Text())
	}
}
