//go:build unix

package systemd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager is a service manager, which need not read.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // the name of the test is in t.TempDir, and a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

// read returns the lines up to one, in order.
func read(t *testing.T, conn *net.UnixConn, last string) []string {
	t.Helper()
	var lines []string
	buf := make([]byte, 4096)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%q has not come, but %q: %v", last, lines, err)
		}
		for line := range strings.SplitSeq(string(buf[:n]), "\n") {
			if lines = append(lines, line); line == last {
				return lines
			}
		}
	}
}

func TestTheManagerIsTold(t *testing.T) {
	conn := manager(t)
	n := Start(func(err error) { t.Error(err) })
	n.Status("waits")
	n.Ready()
	read(t, conn, "READY=1")
	n.Status("of two\nlines")
	read(t, conn, "STATUS=of two lines")
	n.Alive()
	read(t, conn, "WATCHDOG=1")
	n.Close()
	read(t, conn, "STOPPING=1")
}

// What is told to a manager that does not read costs no time, and what is old by the time
// it reads is not told.
func TestAManagerThatDoesNotReadHoldsUpNothing(t *testing.T) {
	conn := manager(t)
	fill(t)
	n := Start(nil)
	n.Ready()
	for range 1000 {
		n.Status("old")
		n.Alive()
	}
	n.Status("new")
	began := time.Now()
	n.Close()
	if took := time.Since(began); took < CloseTimeout || took > 10*CloseTimeout {
		t.Errorf("Close took %v", took)
	}
	told := read(t, conn, "STOPPING=1") // now it reads
	if old := strings.Count(strings.Join(told, " "), "STATUS=old"); old > 1 {
		t.Errorf("it is told %d times what is old", old)
	}
	for _, want := range []string{"READY=1", "WATCHDOG=1", "STATUS=new"} {
		if !slices.Contains(told, want) {
			t.Errorf("it is not told %q, but %q", want, told)
		}
	}
}

// fill fills the manager's socket.
func fill(t *testing.T) {
	t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for err == nil {
		if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err = conn.Write([]byte("X_FILLER=1"))
	}
}

func TestWithoutAManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := Start(func(err error) { t.Error(err) })
	n.Ready()
	n.Close()
}

func TestAManagerThatIsGoneIsToldOfOnce(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	var troubles atomic.Int32
	told := make(chan struct{}, 10)
	n := Start(func(err error) {
		troubles.Add(1)
		if !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		told <- struct{}{}
	})
	n.Ready()
	<-told
	n.Status("more")
	n.Close()
	if got := troubles.Load(); got != 1 {
		t.Errorf("told %d times", got)
	}
}

func TestWatchdogIsThisProcesss(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"", "", 0, false},
		{"30000000", "", 30 * time.Second, false},
		{"30000000", "1", 0, false}, // another's
		{"soon", "", 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		got, err := Watchdog()
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q for %q: %v, %v", c.usec, c.pid, got, err)
		}
	}
}
