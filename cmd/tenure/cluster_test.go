//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// node runs a node of the cluster c in this process, until the test ends.
func (w *world) node(id string, opts cluster.Options) *cluster.Clustered {
	w.t.Helper()
	n, _ := w.nodeOf("c", id, opts)
	return n
}

// nodeOf runs a node of any cluster, and returns the store that it has to itself. Unless
// it is meant to expire, it does not, however busy the host is.
func (w *world) nodeOf(name, id string, opts cluster.Options) (*cluster.Clustered, store.Store) {
	w.t.Helper()
	opts.TTL = cmp.Or(opts.TTL, 10*time.Minute)
	st, err := openStore(context.WithoutCancel(w.t.Context()), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = st.Close() }) // a second time does nothing
	n, err := cluster.New(st, name, id, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = n.Close() }) // what a test wants of it, the test checks
	if err := n.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return n, st
}

// put publishes for a node what is given as key and value by turns.
func put(t testing.TB, n cluster.Node, keysAndValues ...string) {
	t.Helper()
	for i := 0; i < len(keysAndValues); i += 2 {
		if err := n.Put(t.Context(), keysAndValues[i], []byte(keysAndValues[i+1])); err != nil {
			t.Fatal(err)
		}
	}
}

// follower is a node that is there and no more.
var follower = cluster.Options{NeverLead: true}

// stop ends a watch, which is a success.
func (p *proc) stop(sig syscall.Signal) *proc {
	p.t.Helper()
	p.signal(sig)
	return p.expect(0)
}

// values decodes the JSON values that a process has printed, one a line.
func values[T any](t testing.TB, p *proc) []T {
	t.Helper()
	var all []T
	for l := range strings.Lines(p.stdout.String()) {
		all = append(all, decode[T](t, l))
	}
	return all
}

// Each is refused in one line that names the thing, the limit and the remedy, and
// nothing is made: not even a store.
func TestBadClusterArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := strings.Repeat("x", cluster.MaxName+1)
	key := strings.Repeat("x", cluster.MaxKey+1)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"nodes"}, "want CLUSTER, got 0 arguments"},
		{[]string{"nodes", "c", "d"}, "want CLUSTER, got 2 arguments"},
		{[]string{"nodes", ""}, "cluster name is empty; give 1 to 256 bytes"},
		{[]string{"nodes", name}, "cluster name has 257 bytes; give 256 at most"},
		{[]string{"nodes", "--watch", name}, "cluster name has 257 bytes; give 256 at most"},
		{[]string{"nodes", "caf\xe9"}, `cluster name "caf\xe9" is not UTF-8; give one that is`},
		{[]string{"nodes", "-c"}, "unknown shorthand flag: 'c' in -c"},
		{[]string{"state", "set"}, `unknown command "set"`},
		{[]string{"state", "get", "c", "n"}, "want CLUSTER NODE KEY, got 2 arguments"},
		{[]string{"state", "get", "c", "n", "k", "v"}, "want CLUSTER NODE KEY, got 4 arguments"},
		{[]string{"state", "get", name, "n", "k"}, "cluster name has 257 bytes"},
		{[]string{"state", "get", "c", "", "k"}, "node id is empty; give 1 to 256 bytes"},
		{[]string{"state", "get", "c", name, "k"}, "node id has 257 bytes; give 256 at most"},
		{[]string{"state", "get", "c", "\xe9", "k"}, `node id "\xe9" is not UTF-8`},
		{[]string{"state", "get", "c", "n", ""}, "key is empty; give 1 to 1024 bytes"},
		{[]string{"state", "get", "c", "n", key}, "key has 1025 bytes; give 1024 at most"},
		{[]string{"state", "get", "c", "n", "\xe9"}, `key "\xe9" is not UTF-8; give one that is`},
		{[]string{"state", "list"}, "want CLUSTER [KEY], got 0 arguments"},
		{[]string{"state", "list", "c", "k", "x"}, "want CLUSTER [KEY], got 3 arguments"},
		{[]string{"state", "list", "", "k"}, "cluster name is empty"},
		{[]string{"state", "list", "c", ""}, "key is empty; give 1 to 1024 bytes"},
		{[]string{"state", "list", "c", key}, "key has 1025 bytes"},
		{[]string{"state", "list", "c", "k", "--prefix", ""}, "both KEY and --prefix; give one of them"},
		{[]string{"state", "list", "c", "--prefix", key}, "--prefix has 1025 bytes; give 1024 at most"},
		{[]string{"state", "list", "c", "--prefix", "\xe9"}, `--prefix "\xe9" is not UTF-8`},
		{[]string{"state", "list", "c", "--node", ""}, "--node is empty; give 1 to 256 bytes"},
		{[]string{"state", "list", "c", "--node", name}, "--node has 257 bytes; give 256 at most"},
		{[]string{"state", "watch"}, "want CLUSTER [KEY], got 0 arguments"},
		{[]string{"state", "watch", "c", "k", "--prefix", "p"}, "both KEY and --prefix; give one of them"},
		{[]string{"state", "watch", "c", key}, "key has 1025 bytes"},
		{[]string{"state", "watch", "c", "--prefix", key}, "--prefix has 1025 bytes"},
		{[]string{"state", "watch", "c", "--node", "n"}, "unknown flag: --node"},
		{[]string{"state", "put", "c", "n", "k"}, "want CLUSTER NODE KEY VALUE, got 3 arguments"},
		{[]string{"state", "put", "c", "n", "k", "v", "w"}, "want CLUSTER NODE KEY VALUE, got 5 arguments"},
		{[]string{"state", "put", "", "n", "k", "v"}, "cluster name is empty"},
		{[]string{"state", "put", "c", name, "k", "v"}, "node id has 257 bytes"},
		{[]string{"state", "put", "c", "n", key, "v"}, "key has 1025 bytes"},
		{[]string{"state", "put", "c", "n", "k", "-v"}, "unknown shorthand flag: 'v' in -v"},
		{[]string{"state", "delete", "c", "n"}, "want CLUSTER NODE KEY, got 2 arguments"},
		{[]string{"state", "delete", "c", "n", "k", "v"}, "want CLUSTER NODE KEY, got 4 arguments"},
		{[]string{"state", "delete", "c", "", "k"}, "node id is empty"},
		{[]string{"state", "delete", "c", "n", key}, "key has 1025 bytes"},
	} {
		expectOneError(t, w.do(c.args...).expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}

func TestStateWithoutACommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("state").expect(0)
	for _, says := range []string{"get", "list", "watch", "put", "delete", "base64"} {
		if !strings.Contains(p.stdout.String(), says) {
			t.Errorf("it does not name %q:\n%s", says, p.stdout.String())
		}
	}
}

// What a name, a key or a value may hold comes out of every command as it went in.
func TestUnusualNamesInClusters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{
		"a/b", "..", "%2F", "line\nbreak\tand tab", "-dash", "--", "--json", " ", `"quoted"`, "caf\u00e9 \U0001f411\u200b", "'\"$x`",
		strings.Repeat("x", cluster.MaxName),
	} {
		t.Run(fmt.Sprintf("%.30q", name), func(t *testing.T) {
			t.Parallel()
			testClusterName(t, newWorldOver(t, t.TempDir(), w.store), name)
		})
	}
}

func testClusterName(t *testing.T, w *world, name string) {
	n, _ := w.nodeOf(name, name, cluster.Options{NeverLead: true, Endpoint: name, Version: name, Tags: map[string]string{name: name}})
	nodes := w.start("nodes", "--watch", "--json", "--", name)
	state := w.start("state", "watch", "--json", "--prefix", name, "--", name)
	nodes.stdout.await(nodes, "ready")
	state.stdout.await(state, "ready")
	w.do("state", "put", "--", name, name, name, name).expect(0).says(plain(name) + " publishes " + plain(name) + "\n")
	if got, ok, err := n.Get(t.Context(), name); string(got) != name || !ok || err != nil {
		t.Errorf("the node has %q, %v, %v", got, ok, err)
	}
	w.do("state", "get", "--", name, name, name).expect(0).says(name)
	line := plain(name) + "\t" + plain(name) + "\t" + plain(name) + "\n"
	if strings.Count(line, "\n") != 1 || strings.Count(line, "\t") != 2 {
		t.Errorf("printed as %q", line)
	}
	w.do("state", "list", "--", name, name).expect(0).says(line)
	listed := decode[valueJSON](t, w.do("state", "list", "--json", "--node="+name, "--prefix="+name, "--", name).expect(0).stdout.String())
	if listed.Cluster != name || listed.Node != name || listed.Key != name || *listed.Value != name {
		t.Errorf("listed %+v", listed)
	}
	info := decode[nodeJSON](t, w.do("nodes", "--json", "--", name).expect(0).stdout.String())
	if info.Cluster != name || info.Node != name || info.Endpoint != name || info.Version != name || info.Tags[name] != name {
		t.Errorf("node %+v", info)
	}
	state.stdout.await(state, "added")
	w.do("state", "delete", "--", name, name, name).expect(0).says(plain(name) + " does not publish " + plain(name) + "\n")
	state.stdout.await(state, "deleted")
	events := values[stateEventJSON](t, state.stop(syscall.SIGTERM))
	if ev := events[1]; ev.Cluster != name || ev.Node != name || ev.Key != name || *ev.Value != name {
		t.Errorf("added %+v", ev)
	}
	if ev := events[2]; ev.Key != name || *ev.Old.Value != name {
		t.Errorf("deleted %+v", ev)
	}
	if ev := values[nodeEventJSON](t, nodes.stop(syscall.SIGINT))[0]; ev.Cluster != name || ev.Node != name || ev.Now.Node != name {
		t.Errorf("present %+v", ev)
	}
}

// Every command that wants a node that lives says which one does not.
func TestNoSuchNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node("other", follower)
	before := w.keys()
	for op, args := range map[string][]string{
		"get":        {"get", "c", "a\nb", "k"},
		"put":        {"put", "c", "a\nb", "k", "v"},
		"delete":     {"delete", "c", "a\nb", "k"},
		"list state": {"list", "c", "--node", "a\nb"},
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			p := w.do(append(append([]string{"state"}, args...), form...)...).expect(exitFailed).says("")
			expectOneError(t, p, op+`: cluster "c": cluster: no such node: "a\nb"`)
		}
	}
	if after := w.keys(); len(after) != len(before) {
		t.Errorf("there were %q, and now %q", before, after)
	}
}

// Two texts never look the same, and each is on one line.
func TestPlain(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, text := range []string{"", `""`, "a", `"a"`, `\"a\"`, "a\tb", `"a\tb"`, `a\tb`, "\xff", "\ufffd", `"\xff"`, `\xff`, `a "b"`, " ", "-"} {
		got := plain(text)
		if other, ok := seen[got]; ok || got == "" || strings.ContainsAny(got, "\t\n") || !utf8.ValidString(got) {
			t.Errorf("%q is printed as %s, as is %q", text, got, other)
		}
		seen[got] = text
	}
}
