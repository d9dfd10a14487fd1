//go:build linux

package guard

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays every part: the guard, commands, and a parent that can
// be killed. Commands and the parent are puppets: they connect to the test, say
// who they are, and do what it says. The end of a connection is the end of the
// process, which gives the tests an event to wait for.

const (
	guardArg  = "test-guard"
	cmdArg    = "test-cmd"
	parentArg = "test-parent"
	silentArg = "test-silent"
	socketEnv = "TENURE_GUARD_TEST_SOCKET" // also marks every process of a test
)

func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case guardArg:
		os.Exit(Main())
	case cmdArg:
		playCommand(connect("cmd"))
	case silentArg:
		os.Exit(0)
	case parentArg:
		playParent(connect("parent"))
	}
	os.Exit(m.Run())
}

// strand is a puppet's connection to the test.
type strand struct {
	in *bufio.Scanner
	mu sync.Mutex
	c  net.Conn
}

func connect(role string) *strand {
	c, err := net.Dial("unix", os.Getenv(socketEnv))
	if err != nil {
		os.Exit(99)
	}
	s := &strand{in: bufio.NewScanner(c), c: c}
	s.say("%s %d %d", role, os.Getpid(), unix.Getpgrp())
	return s
}

func (s *strand) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.c, format+"\n", args...)
}

// orders calls do for each line the test sends, and ends with the test.
func (s *strand) orders(do func(verb, arg string)) {
	for s.in.Scan() {
		verb, arg, _ := strings.Cut(s.in.Text(), " ")
		do(verb, arg)
	}
	os.Exit(98)
}

func playCommand(s *strand) {
	s.orders(func(verb, arg string) {
		switch verb {
		case "exit":
			code, _ := strconv.Atoi(arg)
			os.Exit(code)
		case "spawn", "spawn-session":
			c := exec.Command("/proc/self/exe", cmdArg)
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: verb == "spawn-session"}
			_ = c.Start()
			return // the child reports
		case "ignore":
			n, _ := strconv.Atoi(arg)
			signal.Ignore(syscall.Signal(n))
		case "catch":
			n, _ := strconv.Atoi(arg)
			caught := make(chan os.Signal, 8)
			signal.Notify(caught, syscall.Signal(n))
			go func() {
				for sig := range caught {
					s.say("caught %d", sig)
				}
			}()
		case "stamp":
			go stamp(arg)
		case "leave":
			_, _ = syscall.Setsid()
		case "noecho":
			t, _ := unix.IoctlGetTermios(0, unix.TCGETS)
			t.Lflag &^= unix.ECHO
			_ = unix.IoctlSetTermios(0, unix.TCSETS, t)
		}
		s.say("ok")
	})
}

// stamp writes the boot clock to a file for as long as the process lives.
func stamp(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(97)
	}
	for {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%20d", bootNow()), 0)
		time.Sleep(time.Millisecond) // the resolution of the stamp
	}
}

func playParent(s *strand) {
	var g *Guard
	s.orders(func(verb, arg string) {
		switch verb {
		case "block": // for this thread, which forks
			runtime.LockOSThread()
			var set unix.Sigset_t
			n, _ := strconv.Atoi(arg)
			set.Val[0] = 1 << (n - 1)
			_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
			s.say("ok")
		case "start", "start-without-input":
			streams := Streams{os.Stdin, os.Stdout, os.Stderr}
			if verb != "start" {
				streams.In, _ = os.Open(os.DevNull)
			}
			var err error
			if g, err = StartWith(ctxForever, streams, os.Args[0], guardArg); err != nil {
				s.say("error %v", err)
				return
			}
			s.say("guard %d", g.proc.Pid)
		case "run": // milliseconds, arguments
			ms, rest, _ := strings.Cut(arg, " ")
			n, _ := strconv.Atoi(ms)
			d := DeadlineAt(time.Now().Add(time.Duration(n) * time.Millisecond))
			pid, err := g.Run(Command{Args: strings.Fields(rest)}, d)
			if err != nil {
				s.say("error %v", err)
				return
			}
			s.say("running %d %d", pid, d.Boot)
			go func() {
				b, _ := json.Marshal(g.Wait())
				s.say("exit %s", b)
			}()
		case "front": // as a shell's fg
			_ = inBackground(func() error { return unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) })
			s.say("ok")
		case "catch":
			caught := make(chan os.Signal, 8)
			signal.Notify(caught, syscall.SIGINT, syscall.SIGTSTP)
			go func() {
				for sig := range caught {
					s.say("caught %d", sig)
				}
			}()
			s.say("ok")
		}
	})
}

// stage is the test's side of the puppets.
type stage struct {
	t        *testing.T
	listener *net.UnixListener
}

func newStage(t *testing.T) *stage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(socketEnv, path)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or each process of a race build ends a second late
	t.Cleanup(func() {
		_ = l.Close()
		nothingLeft(t, path)
	})
	return &stage{t: t, listener: l}
}

// nothingLeft checks that no process of the test lives on. A parent or guard
// that the test killed may need a moment.
func nothingLeft(t *testing.T, marker string) {
	t.Helper()
	var left []int
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // strangers have no event
		if left = marked(marker); len(left) == 0 {
			return
		}
	}
	t.Errorf("processes left behind: %v", left)
	for _, pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func marked(marker string) []int {
	var pids []int
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, _ := os.ReadFile(path)
		if !slices.Contains(strings.Split(string(env), "\x00"), socketEnv+"="+marker) {
			continue
		}
		if pid, _ := strconv.Atoi(strings.Split(path, "/")[2]); pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// puppet is one connected process.
type puppet struct {
	t    *testing.T
	c    net.Conn
	in   *bufio.Reader
	role string
	pid  int
	pgid int
}

const patience = 20 * time.Second // for events that come at once, on a busy machine

func (s *stage) accept() *puppet {
	s.t.Helper()
	_ = s.listener.SetDeadline(time.Now().Add(patience))
	c, err := s.listener.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	p := &puppet{t: s.t, c: c, in: bufio.NewReader(c)}
	if _, err := fmt.Sscanf(p.read(), "%s %d %d", &p.role, &p.pid, &p.pgid); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p *puppet) read() string {
	p.t.Helper()
	_ = p.c.SetReadDeadline(time.Now().Add(patience))
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s %d: %v", p.role, p.pid, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *puppet) order(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.c, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

// ask gives an order and returns the answer.
func (p *puppet) ask(format string, args ...any) string {
	p.t.Helper()
	p.order(format, args...)
	return p.read()
}

// ended waits for the end of the process.
func (p *puppet) ended() {
	p.t.Helper()
	_ = p.c.SetReadDeadline(time.Now().Add(patience))
	for {
		_, err := p.in.ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.t.Fatalf("%s %d still lives", p.role, p.pid)
		}
		if err != nil {
			return
		}
	}
}

func (p *puppet) spawn(s *stage) *puppet {
	p.t.Helper()
	p.order("spawn")
	return s.accept()
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("kill %d %v: %v", pid, sig, err)
	}
}

// stop stops a process and returns when it is stopped.
func stop(t *testing.T, pid int) {
	t.Helper()
	kill(t, pid, syscall.SIGSTOP)
	until(t, func() bool { return procState(pid) == "T" })
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

// procState is the state letter in /proc/PID/stat, "" for no process.
func procState(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}

// until polls for what has no event.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) { // see above
		if time.Now().After(end) {
			t.Fatal("condition not met")
		}
	}
}

// lastStamp reads what stamp wrote.
func lastStamp(t *testing.T, path string) int64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
