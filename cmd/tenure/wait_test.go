//go:build unix

package main

import (
	"fmt"
	"testing"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

func TestWaitForALeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anybody := w.start("wait", "n")
	b := w.start("wait", "n", "--for", "b", "--json")
	first := w.start("wait", "n", "--for", "change")
	w.expectNobodyYet(anybody, b, first)
	w.hooked("a", "--endpoint", "10.0.0.1:80")
	anybody.expect(0).says("a\t10.0.0.1:80\n")
	first.expect(0).says("a\t10.0.0.1:80\n")
	w.do("wait", "n", "--for", "a", "--timeout", "1m").expect(0).says("a\t10.0.0.1:80\n") // already

	token := w.token("n")
	change := w.start("wait", "n", "--for", "change")
	w.do("wait", "n", "--for", "change", "--timeout", "300ms").expect(exitTimeout).says("")
	w.hooked("b")
	w.do("transfer", "n", "--to", "b", "--yes").expect(0)
	change.expect(0).says("b\n")
	if got := decode[leaderJSON](t, b.expect(0).stdout.String()); got.Leader != "b" || got.Token != w.token("n") {
		t.Errorf("got %+v", got)
	}
	// A change that came before the wait began is not missed.
	w.do("wait", "n", "--for", "change", "--token", fmt.Sprint(token)).expect(0).says("b\n")
	w.do("wait", "n", "--for", "change", "--token", fmt.Sprint(w.token("n")), "--timeout", "50ms").expect(exitTimeout)
}

// expectNobodyYet fails if one of these processes, which wait, has ended. It lets them see
// the present state first.
func (w *world) expectNobodyYet(procs ...*proc) {
	w.t.Helper()
	w.do("wait", "n", "--timeout", "300ms").expect(exitTimeout)
	for _, p := range procs {
		select {
		case <-p.ended:
			w.t.Errorf("%q has ended", p.cmd.Args[1:])
		default:
		}
	}
}

// A member may be called what is a word here.
func TestWaitForAMemberWithAnOddName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hooked("a")
	for _, id := range []string{"leader", "change", "id:x"} {
		p := w.start("wait", "n", "--for", "id:"+id)
		w.hooked(id)
		w.do("wait", "n", "--for", "id:"+id, "--timeout", "50ms").expect(exitTimeout)
		w.do("transfer", "n", "--to", id, "--yes").expect(0)
		p.expect(0).says(id + "\n")
	}
}

func TestWaitSaysWhatHasNotHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for target, says := range map[string]string{
		"leader": "n: nobody has led within 50ms",
		"a\tb":   `n: "a\tb" has not led within 50ms`,
		"change": "n: no term has begun within 50ms",
	} {
		p := w.do("wait", "n", "--for", target, "--timeout", "50ms").expect(exitTimeout).says("")
		expectOneError(t, p, says)
	}
}

// A store that is away is waited for, until the time is up.
func TestWaitOutlivesTheStore(t *testing.T) {
	t.Parallel()
	etcd, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	server, err := etcd.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts)
	p := w.start("wait", "n")
	expectOneError(t, w.do("wait", "n", "--timeout", "7s").expect(exitTimeout).says(""), "nobody has led within 7s") // which is more than one attempt takes
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := etcd.Await(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	w.hooked("a")
	p.expect(0).says("a\n")
}

func TestBadWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "want the name of one election"},
		{[]string{""}, "election name is empty"},
		{[]string{"n", "--for", ""}, "--for is empty"},
		{[]string{"n", "--for", "id:"}, "--for is empty"},
		{[]string{"n", "--for", long}, "--for has 1025 bytes"},
		{[]string{"n", "--timeout", "-1s"}, "--timeout is -1s; give one above 0"},
		{[]string{"n", "--timeout", "0"}, "--timeout is 0s; give one above 0, or leave it out"},
		{[]string{"n", "--token", "1"}, "--token is for --for change"},
		{[]string{"n", "--for", "change", "--token", "-1"}, "--token is -1"},
	} {
		expectOneError(t, w.do(append([]string{"wait"}, c.args...)...).expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}
