//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/internal/etcdtest"
)

// binary is no text in any encoding that this program knows.
const binary = "\x00\xff\n\xfe"

// doWith is do with something to read.
func (w *world) doWith(input []byte, args ...string) *proc {
	w.t.Helper()
	p := w.command(args...)
	p.cmd.Stdin = bytes.NewReader(input)
	p.begin().wait()
	return p
}

func TestStateGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put(t, w.node("a", follower), "load", "0.3", "empty", "", "binary", binary, "null", "\x00")
	put(t, w.node("b", follower), "load", "0.4")
	w.do("state", "get", "c", "a", "load").expect(0).says("0.3")
	w.do("state", "get", "c", "b", "load").expect(0).says("0.4")
	w.do("state", "get", "c", "a", "binary").expect(0).says(binary)
	w.do("state", "get", "c", "a", "load", "--json").expect(0).says(`{"cluster":"c","node":"a","key":"load","value":"0.3"}` + "\n")
	w.do("state", "get", "c", "a", "null", "--json").expect(0).says(`{"cluster":"c","node":"a","key":"null","value":"\u0000"}` + "\n")
	w.do("state", "get", "c", "a", "binary", "--json").expect(0).says(`{"cluster":"c","node":"a","key":"binary","base64":"AP8K/g=="}` + "\n")
	// Empty and absent print the same, and end differently.
	w.do("state", "get", "c", "a", "empty").expect(0).says("")
	w.do("state", "get", "c", "a", "empty", "--json").expect(0).says(`{"cluster":"c","node":"a","key":"empty","value":""}` + "\n")
	for _, form := range []string{"--json", "--json=false"} {
		p := w.do("state", "get", "c", "a", "none", form).expect(exitNoKey).says("")
		if p.stderr.String() != "" {
			t.Errorf("says %q", p.stderr.String())
		}
	}
}

func TestStateList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{{"k"}, {}, {"--prefix", "k"}, {"--json"}} {
		w.do(append([]string{"state", "list", "c"}, args...)...).expect(exitNobody).says("")
	}
	put(t, w.node("b", follower), "shards/1", "one", "load", "0.4", "shards/2", binary)
	put(t, w.node("a", follower), "shards/1", "", "load", "0 .3")
	w.node("none", follower)
	for _, c := range []struct{ args, says string }{
		{"load", "a|load|0 .3;b|load|0.4;none"},
		{"shards/1", `a|shards/1|"";b|shards/1|one;none`},
		{"shards", "a;b;none"},
		{"--prefix shards", `a|shards/1|"";b|shards/1|one;b|shards/2|"\x00\xff\n\xfe";none`},
		{"--prefix shards/2", `a;b|shards/2|"\x00\xff\n\xfe";none`},
		{"", `a|load|0 .3;a|shards/1|"";b|load|0.4;b|shards/1|one;b|shards/2|"\x00\xff\n\xfe";none`},
		{"--node a", `a|load|0 .3;a|shards/1|""`},
		{"load --node b", "b|load|0.4"},
		{"--prefix l --node none", "none"},
	} {
		want := strings.NewReplacer(";", "\n", "|", "\t").Replace(c.says) + "\n"
		w.do(append([]string{"state", "list", "c"}, strings.Fields(c.args)...)...).expect(0).says(want)
	}
	text := func(s string) dataJSON { return dataJSON{Value: &s} }
	want := []valueJSON{
		{Cluster: "c", Node: "a", Key: "shards/1", dataJSON: text("")},
		{Cluster: "c", Node: "b", Key: "shards/1", dataJSON: text("one")},
		{Cluster: "c", Node: "b", Key: "shards/2", dataJSON: dataJSON{Base64: []byte(binary)}},
		{Cluster: "c", Node: "none"},
	}
	got := values[valueJSON](t, w.do("state", "list", "c", "--prefix", "shards/", "--json").expect(0))
	for i := range got {
		if (got[i].Revision == 0) != (got[i].Key == "") {
			t.Errorf("revision of %+v", got[i])
		}
		got[i].Revision = 0
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStateWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", follower)
	put(t, a, "load", "0.3", "other", "x")
	all := w.start("state", "watch", "c")
	one := w.start("state", "watch", "c", "load", "--json")
	some := w.start("state", "watch", "c", "--prefix", "lo")
	for _, p := range []*proc{all, one, some} {
		p.stdout.await(p, "ready")
	}
	b := w.node("b", follower)
	put(t, b, "load", binary)
	put(t, b, "load", "", "log", "l")
	w.do("state", "put", "c", "a", "other", "y z").expect(0)
	w.do("state", "delete", "c", "a", "load").expect(0)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.stdout.awaitTimes(all, "deleted", 3)
	one.stdout.awaitTimes(one, "deleted", 2)
	some.stdout.awaitTimes(some, "deleted", 3)
	quoted := plain(binary)
	expectLines(t, all.stop(syscall.SIGTERM), "present|a|load|0.3", "present|a|other|x", "ready",
		"added|b|load|"+quoted, `modified|b|load|""|`+quoted, "added|b|log|l", "modified|a|other|y z|x", "deleted|a|load|0.3", `deleted|b|load|""`, "deleted|b|log|l")
	expectLines(t, some.stop(syscall.SIGINT), "present|a|load|0.3", "ready",
		"added|b|load|"+quoted, `modified|b|load|""|`+quoted, "added|b|log|l", "deleted|a|load|0.3", `deleted|b|load|""`, "deleted|b|log|l")

	text := func(s string) dataJSON { return dataJSON{Value: &s} }
	old := func(d dataJSON) *dataJSON { return &d }
	raw := dataJSON{Base64: []byte(binary)}
	want := []stateEventJSON{
		{Event: "present", Cluster: "c", Node: "a", Key: "load", dataJSON: text("0.3")},
		{Event: "ready", Cluster: "c"},
		{Event: "added", Cluster: "c", Node: "b", Key: "load", dataJSON: raw},
		{Event: "modified", Cluster: "c", Node: "b", Key: "load", dataJSON: text(""), Old: &raw},
		{Event: "deleted", Cluster: "c", Node: "a", Key: "load", Old: old(text("0.3"))},
		{Event: "deleted", Cluster: "c", Node: "b", Key: "load", Old: old(text(""))},
	}
	got := values[stateEventJSON](t, one.stop(syscall.SIGINT))
	for i := range got {
		if got[i].Revision == 0 {
			t.Errorf("no revision of %+v", got[i])
		}
		got[i].Revision = 0
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// expectLines fails unless p has printed lines whose parts are given with bars between
// them.
func expectLines(t *testing.T, p *proc, want ...string) {
	t.Helper()
	p.says(strings.ReplaceAll(strings.Join(want, "\n"), "|", "\t") + "\n")
}

// What takes a store that has lost its history.
func TestStateGap(t *testing.T) {
	t.Parallel()
	line, value := printed(t, func(c *common, cmd *cobra.Command) error {
		return c.printStateEvent(cmd, "c", cluster.Event{Kind: cluster.Gap, Revision: 7, Since: 3})
	})
	if line != "gap\n" || value != `{"event":"gap","cluster":"c","revision":7,"since":3}`+"\n" {
		t.Errorf("got %s%s", line, value)
	}
}

func TestStatePut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", follower)
	put(t, a, "mine", "x")
	expect := func(key, value string) {
		t.Helper()
		if got, ok, err := a.Get(t.Context(), key); string(got) != value || !ok || err != nil {
			t.Errorf("the node has %.20q, %v, %v; want %.20q", got, ok, err, value)
		}
	}
	w.do("state", "put", "c", "a", "mine", "yours").expect(0).says("a publishes mine\n")
	expect("mine", "yours")
	w.do("state", "put", "c", "a", "new", "v", "--json").expect(0).says(`{"event":"put","cluster":"c","node":"a","key":"new"}` + "\n")
	expect("new", "v")
	w.do("state", "put", "c", "a", "new", "").expect(0)
	expect("new", "")
	w.do("state", "put", "c", "a", "new", "\xff\n").expect(0)
	expect("new", "\xff\n")
	w.do("state", "put", "c", "a", "new", "--", "-1").expect(0)
	expect("new", "-1")
	w.doWith([]byte(binary), "state", "put", "c", "a", "new", "-").expect(0)
	expect("new", binary)
	w.doWith([]byte("-"), "state", "put", "--", "c", "a", "new", "-").expect(0)
	expect("new", "-")
	w.doWith(nil, "state", "put", "c", "a", "new", "-").expect(0)
	expect("new", "")

	w.do("state", "delete", "c", "a", "mine").expect(0).says("a does not publish mine\n")
	w.do("state", "get", "c", "a", "mine").expect(exitNoKey)
	w.do("state", "delete", "c", "a", "mine", "--json").expect(0).says(`{"event":"deleted","cluster":"c","node":"a","key":"mine"}` + "\n")
}

// What others have set a node publishes as its own: it can put another, and it goes with it.
func TestStatePutIsTheNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", follower)
	w.do("state", "put", "c", "a", "k", "v").expect(0)
	w.do("state", "get", "c", "a", "k").expect(0).says("v")
	put(t, a, "k", "w")
	w.do("state", "get", "c", "a", "k").expect(0).says("w")
	w.do("state", "put", "c", "a", "k", "x").expect(0)
	w.do("state", "get", "c", "a", "k").expect(0).says("x")
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.do("state", "get", "c", "a", "k").expect(exitFailed)
	w.expectEmpty()
}

func TestLargeValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", follower)
	testLargeValues(t, w, a)
}

// testLargeValues puts as much as there may be, and one byte more.
func testLargeValues(t *testing.T, w *world, a cluster.Node) {
	t.Helper()
	most := make([]byte, cluster.MaxValue)
	_, _ = rand.NewChaCha8([32]byte{}).Read(most) // never fails
	w.doWith(most, "state", "put", "c", "a", "big", "-").expect(0)
	if got := w.do("state", "get", "c", "a", "big").expect(0).stdout.String(); got != string(most) {
		t.Errorf("got %d bytes", len(got))
	}
	if got := values[valueJSON](t, w.do("state", "list", "c", "big", "--json", "--node", "a").expect(0)); len(got) != 1 || !bytes.Equal(got[0].Base64, most) {
		t.Errorf("listed %d values", len(got))
	}
	for _, more := range []int{1, 10 * cluster.MaxValue} {
		p := w.doWith(slices.Concat(most, make([]byte, more)), "state", "put", "c", "a", "big", "-").expect(exitUsage).says("")
		expectOneError(t, p, "value has more than 524288 bytes; give 524288 at most, or keep it elsewhere and put where")
	}
	if got, _, err := a.Get(t.Context(), "big"); !bytes.Equal(got, most) || err != nil {
		t.Errorf("the node has %d bytes, %v", len(got), err)
	}
}

func TestValueThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("state", "put", "c", "a", "k", "-")
	dir, err := os.Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	p.cmd.Stdin = dir
	p.begin().expect(exitFailed).says("")
	expectOneError(t, p, "read the value from standard input", "is a directory")
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}

func TestClusterOverEtcd(t *testing.T) {
	t.Parallel()
	_, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/clusters")
	w.do("nodes", "c").expect(exitNobody).says("")
	nodes := w.start("nodes", "c", "--watch")
	state := w.start("state", "watch", "c", "--prefix", "")
	nodes.stdout.await(nodes, "ready\n")
	state.stdout.await(state, "ready\n")
	a := w.node("a", cluster.Options{})
	b, st := w.nodeOf("c", "b", cluster.Options{NeverLead: true, TTL: 3 * time.Second})
	nodes.stdout.awaitTimes(nodes, "joined", 2)
	nodes.stdout.await(nodes, "\ta\tleader\t")
	w.do("state", "put", "c", "b", "load", "1").expect(0)
	w.do("state", "put", "c", "b", "load", "2").expect(0)
	w.do("state", "get", "c", "b", "load").expect(0).says("2")
	w.do("state", "get", "c", "a", "load").expect(exitNoKey).says("")
	w.do("state", "list", "c", "load").expect(0).says("a\nb\tload\t2\n")
	expectOneError(t, w.do("state", "get", "c", "none", "load").expect(exitFailed), `no such node: "none"`)
	testLargeValues(t, w, a)
	w.do("state", "delete", "c", "a", "big").expect(0)
	if got := values[nodeJSON](t, w.do("nodes", "c", "--json").expect(0)); len(got) != 2 || got[0].Role != cluster.Leader || got[1].Node != "b" {
		t.Errorf("got %+v", got)
	}
	if got, _, err := b.Get(t.Context(), "load"); string(got) != "2" || err != nil {
		t.Errorf("b has %q, %v", got, err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	nodes.stdout.await(nodes, "expired\tb\t")
	state.stdout.await(state, "deleted\tb\tload\t2\n")
	nodes.stop(syscall.SIGINT)
	got := state.stop(syscall.SIGTERM).stdout.String()
	if want := "ready\nadded\tb\tload\t1\nmodified\tb\tload\t2\t1\nadded\ta\tbig\t"; !strings.HasPrefix(got, want) {
		t.Errorf("printed %.100q, want %q first", got, want)
	}
}
