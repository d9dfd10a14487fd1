//go:build unix

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// serving is servers of one cluster, each a process.
type serving struct {
	w       *world
	clients map[string]string // address of each
	peers   map[string]string
	args    map[string][]string // how each was started last
	procs   map[string]*proc
}

// newServing prepares servers of a new cluster. One is alone.
func newServing(t *testing.T, names ...string) *serving {
	t.Helper()
	s := &serving{clients: map[string]string{}, peers: map[string]string{}, args: map[string][]string{}, procs: map[string]*proc{}}
	var list []string
	for _, name := range names {
		s.address(t, name)
		list = append(list, name+"="+s.peers[name])
	}
	s.w = newWorldOver(t, t.TempDir(), s.url())
	for _, name := range names {
		s.args[name] = nil
		if len(names) > 1 {
			s.args[name] = []string{"--peers", strings.Join(list, ",")}
		}
	}
	return s
}

func (s *serving) address(t *testing.T, name string) {
	t.Helper()
	ports, err := etcdtest.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	s.clients[name], s.peers[name] = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
}

func (s *serving) url() string {
	return "etcd://" + strings.Join(slices.Sorted(maps.Values(s.clients)), ",")
}

// begin starts a server, and does not wait for it.
func (s *serving) begin(name string, args ...string) *proc {
	s.w.t.Helper()
	s.args[name] = append(s.args[name], args...)
	all := []string{"serve", "--name", name, "--data", s.w.path("data-" + name), "--client", s.clients[name], "--election-timeout", "300ms"}
	s.procs[name] = s.w.start(append(all, s.args[name]...)...)
	return s.procs[name]
}

// start starts servers, and waits until they serve.
func (s *serving) start(names ...string) {
	s.w.t.Helper()
	for _, name := range names {
		s.begin(name)
	}
	for _, name := range names {
		p := s.procs[name]
		p.stdout.await(p, name+" serves; use --store etcd://")
	}
}

func (s *serving) kill(names ...string) {
	s.w.t.Helper()
	for _, name := range names {
		s.procs[name].signal(syscall.SIGKILL)
		s.procs[name].wait()
	}
}

// passes holds two terms of an election. A command gives up when the store is away for
// 5 s, which it may be while servers come and go on a busy machine.
func (s *serving) passes(election string) {
	s.w.t.Helper()
	for range 2 {
		eventually(s.w.t, "a term of "+election, func() bool {
			return s.w.do("run", election, "--store", s.w.store, "--", "true").cmd.ProcessState.Success()
		})
	}
}

// expectOrder fails unless the terms of a journal come one after the other, each with a
// higher token than the one before, and returns when the last line was written.
func expectOrder(t *testing.T, lines []line) (last time.Time) {
	t.Helper()
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	var token, at int64
	for _, l := range lines {
		if l.token < token {
			t.Fatalf("%s worked with token %d at %d, after token %d had", l.member, l.token, l.at, token)
		}
		token, at = l.token, l.at
	}
	return time.Unix(0, at)
}

// Three servers: any one is killed, then two, then all come back; one is replaced for good.
func TestServe(t *testing.T) {
	t.Parallel()
	s := newServing(t, "a", "b", "c")
	s.start("a", "b", "c")
	w := s.w
	journal := &journal{t: t, path: w.path("journal")}
	var lines []line
	work := []string{"jobs", "--ttl", "1s", "--", workerPath, "work", journal.path}
	w.lead("m1", work...)
	w.member("m2", work...)
	worksOn := func(what string) {
		t.Helper()
		since := time.Now().UnixNano()
		eventually(t, "work after "+what, func() bool {
			lines = append(lines, journal.next()...)
			return len(lines) > 0 && lines[len(lines)-1].at > since
		})
	}
	for _, name := range []string{"a", "b", "c"} {
		s.kill(name)
		s.passes("other")
		worksOn("the death of " + name)
		s.start(name)
	}

	s.kill("a", "b")
	killed := time.Now()
	eventually(t, "the leader steps down", func() bool {
		more := journal.next()
		lines = append(lines, more...)
		return len(more) == 0 && time.Since(time.Unix(0, lines[len(lines)-1].at)) > time.Second
	})
	t.Logf("with one server of three, and a TTL of 1s, the last work was done %v after the second had died", expectOrder(t, lines).Sub(killed))
	w.command("leader", "jobs").begin().expect(exitFailed)
	s.start("a", "b")
	s.passes("other")
	worksOn("the return of two servers")

	// One is lost with its data. What takes its place is called otherwise.
	s.kill("c")
	if err := os.RemoveAll(w.path("data-c")); err != nil {
		t.Fatal(err)
	}
	c := s.begin("c").expect(exitFailed)
	expectOneError(t, c, `knows server "c"`, "in place of it")
	s.address(t, "d")
	s.begin("d", "--join", s.clients["a"]+","+s.clients["b"], "--peer", s.peers["d"], "--replaces", "c")
	d := s.procs["d"]
	d.stdout.await(d, "d serves; use --store etcd://")
	if got := d.stdout.String(); strings.Contains(got, s.clients["c"]) || !strings.Contains(got, s.clients["a"]) || !strings.Contains(got, s.clients["d"]) {
		t.Errorf("d printed %q", got)
	}
	s.kill("a")
	w.store = "etcd://" + s.clients["b"] + "," + s.clients["d"]
	s.passes("other")
	s.start("a")
	worksOn("the replacement of a server")
	expectOrder(t, lines)

	// Told to stop, servers end well.
	for _, name := range []string{"a", "b", "d"} {
		s.procs[name].signal(syscall.SIGTERM)
		s.procs[name].expect(0)
	}
}

func TestServeAlone(t *testing.T) {
	t.Parallel()
	s := newServing(t, "a")
	s.start("a")
	s.passes("n")
	s.procs["a"].signal(syscall.SIGINT)
	s.procs["a"].expect(0).says(fmt.Sprintf("a serves; use --store etcd://%s\n", s.clients["a"]))
	p := s.begin("a", "--json")
	p.stdout.await(p, "\n")
	got := decode[servingJSON](t, p.stdout.String())
	if want := (servingJSON{Event: "serving", Server: "a", Store: s.url()}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.passes("n")
	expectOneError(t, s.w.do("serve", "--name", "a", "--data", s.w.path("data-a")).expect(exitFailed), "in use", s.w.path("data-a"))
	expectOneError(t, s.w.do("serve", "--name", "b", "--data", s.w.path("data-b"), "--client", s.clients["a"]).expect(exitFailed), "in use", s.clients["a"])
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"extra"}, "want no arguments, got 1"},
		{nil, "no name"},
		{[]string{"--name", "a"}, "no data directory"},
		{[]string{"--name", "a", "--data", "d", "--peers", "a"}, "want NAME=HOST:PORT"},
		{[]string{"--name", "a", "--data", "d", "--peers", "a=127.0.0.1:1,a=127.0.0.1:2"}, `peer "a" is named twice`},
		{[]string{"--name", "a", "--data", "d", "--peers", "b=127.0.0.1:1"}, "its own name must be among them"},
		{[]string{"--name", "a", "--data", "d", "--client", "192.0.2.1:2379"}, "allow it as insecure"},
	} {
		p := w.do(append([]string{"serve"}, c.args...)...).expect(exitUsage)
		if got := p.stderr.String(); !strings.Contains(got, c.says) || !strings.Contains(got, `run "tenure serve --help"`) {
			t.Errorf("serve %q printed %q, want %q", c.args, got, c.says)
		}
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}
