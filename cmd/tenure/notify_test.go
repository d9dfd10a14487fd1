//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// manager is a service manager that reads what it is told.
type manager struct {
	t      *testing.T
	socket string
	conn   *net.UnixConn
	read   chan struct{} // closed when nothing is read any more

	mu   sync.Mutex
	told []string // assignments, in order
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // the name of the test is in t.TempDir, and a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, socket: filepath.Join(dir, "notify"), read: make(chan struct{})}
	m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.conn.Close()
		<-m.read
		_ = os.RemoveAll(dir)
	})
	go m.serve()
	return m
}

func (m *manager) serve() {
	defer close(m.read)
	buf := make([]byte, 64<<10)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.told = append(m.told, strings.Split(string(buf[:n]), "\n")...)
		m.mu.Unlock()
	}
}

// has reports whether it has been told something with text in it.
func (m *manager) has(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.told, func(s string) bool { return strings.Contains(s, text) })
}

func (m *manager) await(text string) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%q told to the manager", text), func() bool { return m.has(text) })
}

// forget lets one await what is told from now on.
func (m *manager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = nil
}

// forgetAll is forget after all has been read that was told until now.
func (m *manager) forgetAll() {
	m.t.Helper()
	conn, err := net.Dial("unixgram", m.socket)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // what it has to say is said
	if _, err := conn.Write([]byte("X_READ=1")); err != nil {
		m.t.Fatal(err)
	}
	m.await("X_READ=1")
	m.forget()
}

func (w *world) managed(m *manager, args ...string) *proc {
	w.t.Helper()
	return w.command(args...).setenv("NOTIFY_SOCKET=" + m.socket)
}

func TestManagerIsToldWhatAMemberDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leader := w.lead("leader", append([]string{"n"}, forever...)...)
	m := newManager(t)
	p := w.managed(m, append([]string{"run", "n", "--id", "a", "-q", "--ttl", "1s"}, forever...)...).begin()
	m.await("READY=1") // although it waits
	m.await("STATUS=waits to lead n")
	leader.signal(syscall.SIGTERM)
	m.await("STATUS=leads n, token ")
	token := w.token("n")
	if !m.has(fmt.Sprintf("STATUS=leads n, token %d", token)) {
		t.Errorf("told %q, token %d", m.told, token)
	}
	m.forget()
	w.do("depose", "n", "--yes").expect(0)
	m.await(fmt.Sprintf("STATUS=no longer leads n, token %d: tenure: deposed", token))
	m.await("STATUS=leads n, token ")
	if m.has("STOPPING=1") {
		t.Error("it is said to stop")
	}
	p.signal(syscall.SIGTERM)
	m.await("STOPPING=1")
	p.expect(128 + 15)
}

// STOPPING comes first, for what follows may take the grace.
func TestManagerIsToldOfTheEndBeforeTheGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newManager(t)
	p := w.managed(m, "run", "n", "--", "sh", "-c", `trap 'echo no' TERM; echo works; while :; do sleep 0.01; done`).begin()
	p.stdout.await(p, "works")
	p.signal(syscall.SIGTERM)
	m.await("STOPPING=1")
	p.stdout.await(p, "no") // a second signal before the command was told would end the run alone
	select {
	case <-p.ended:
		t.Error("it has ended before")
	default:
	}
	p.signalAgain(syscall.SIGTERM)
	p.expect(128 + 9)
}

// The renewal loop itself says that it is alive: also while the store is away, for longer
// than a session lasts, and not when the process hangs.
func TestWatchdogFollowsTheRenewals(t *testing.T) {
	t.Parallel()
	w, proxy := newWorldBehindProxy(t)
	m := newManager(t)
	p := w.managed(m, append([]string{"run", "n", "--ttl", "1s"}, forever...)...).setenv("WATCHDOG_USEC=17000000").begin()
	p.stdout.await(p, "works")
	for range 3 {
		m.forget()
		m.await("WATCHDOG=1")
	}
	proxy.Cut()
	m.await("STATUS=no longer leads n, token")
	m.await("; the store does not answer: ")
	for range 2 {
		m.forget()
		m.await("WATCHDOG=1")
	}
	proxy.Heal()
	p.stdout.awaitTimes(p, "works", 2)
	m.await("STATUS=leads n, token")
	p.signal(syscall.SIGSTOP)
	eventually(t, "the process is stopped", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		return err != nil || strings.Contains(string(status), "\nState:\tT") // where the system shows it
	})
	m.forgetAll()
	time.Sleep(2 * time.Second) // several renewals: no event marks that they do not come
	if m.has("WATCHDOG=1") {
		t.Error("a process that is stopped says that it is alive")
	}
	p.signal(syscall.SIGCONT)
	m.await("WATCHDOG=1")
}

// The manager would kill a member that is well.
func TestWatchdogThatIsTooShortIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newManager(t)
	p := w.managed(m, "run", "n", "--ttl", "10s", "--", "true").setenv("WATCHDOG_USEC=15000000").begin()
	p.expect(exitRunFailed).expectSays("WatchdogSec=) is 15s", "a TTL of 10s", "every 35s; give it more")
	w.managed(m, "run", "n", "--ttl", "10s", "--", "true").setenv("WATCHDOG_USEC=15000000", "WATCHDOG_PID=1").begin().expect(0)
	w.managed(m, "run", "n", "--ttl", "10s", "--", "true").setenv("WATCHDOG_USEC=soon").begin().
		expect(exitRunFailed).expectSays("the service manager's watchdog", "WATCHDOG_USEC")
}

// What the manager gave to tenure run is not CMD's: systemd would take CMD's word for
// that of the service, or refuse it.
func TestChildrenAreNotGivenTheManagersSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newManager(t)
	const show = `echo "$0: ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none} ${WATCHDOG_PID-none}"`
	p := w.managed(m, "run", "n", "--health-cmd", strings.ReplaceAll(show, "$0", "health")+" >>health",
		"--pre-stop", strings.ReplaceAll(show, "$0", "pre-stop"), "--", "sh", "-c", show+"; echo works; exec sleep 1000", "cmd").
		setenv("WATCHDOG_USEC=40000000").begin()
	p.stdout.await(p, "works")
	p.signal(syscall.SIGTERM)
	p.expect(128 + 15).says("cmd: none none none\nworks\n").expectSays("pre-stop: none none none")
	if got, _, _ := strings.Cut(w.read("health"), "\n"); got != "health: none none none" {
		t.Errorf("got %q", got)
	}
}

// Most programs see the first of two variables of one name.
func TestCommandIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("run", "n", "--id", "a", "--endpoint", "10.0.0.1:80", "--", "env")
	p.setenv("TENURE_ELECTION=outer", "TENURE_MEMBER=outer", "TENURE_TOKEN=1", "TENURE_ENDPOINT=outer", "TENURE_STORE=sqlite:here.db")
	p.begin().expect(0)
	var told []string
	for l := range strings.Lines(p.stdout.String()) {
		if name, value, _ := strings.Cut(strings.TrimSpace(l), "="); slices.Contains(toldOf, name) {
			told = append(told, name+"="+value)
		}
	}
	want := []string{"TENURE_ELECTION=n", "TENURE_MEMBER=a", "TENURE_STORE=sqlite:" + w.path("here.db"), "TENURE_ENDPOINT=10.0.0.1:80"}
	if len(told) != 5 || !slices.Equal(told[:4], want) || !strings.HasPrefix(told[4], "TENURE_TOKEN=") {
		t.Errorf("told %q", told)
	}
	inner := w.command("run", "m", "--", "sh", "-c", `echo "${TENURE_ENDPOINT-none}"`)
	inner.setenv("TENURE_ENDPOINT=outer").begin().expect(0).says("none\n")
}

var toldOf = []string{"TENURE_ELECTION", "TENURE_MEMBER", "TENURE_TOKEN", "TENURE_ENDPOINT", "TENURE_STORE"}

func TestManagerIsToldWhenAServerServes(t *testing.T) {
	t.Parallel()
	s := newServing(t, "a")
	w, m := s.w, newManager(t)
	p := w.managed(m, "serve", "--name", "a", "--data", w.path("data"), "--client", s.clients["a"]).begin()
	m.await("READY=1")
	if !strings.Contains(p.stdout.String(), "serves; use --store") {
		eventually(t, "its word", func() bool { return strings.Contains(p.stdout.String(), "serves; use --store") })
	}
	p.signal(syscall.SIGTERM)
	m.await("STOPPING=1")
	p.expect(0)
}

// Where the manager's socket is gone, a member does its work.
func TestManagerThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("run", "n", "--", "echo", "works").setenv("NOTIFY_SOCKET=" + w.path("gone")).begin()
	p.expect(0).says("works\n")
	if got := count(p, "tell the service manager"); got != 1 {
		t.Errorf("told %d times:\n%s", got, p.stderr.String())
	}
	if _, err := os.Stat(w.path("gone")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
