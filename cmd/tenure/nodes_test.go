//go:build unix

package main

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
)

// startOf is when a node was started, as the command says it.
func startOf(n cluster.Node) string { return n.Self().Started.UTC().Format("2006-01-02T15:04:05Z") }

func TestNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("nodes", "c").expect(exitNobody).says("")
	w.do("nodes", "c", "--json").expect(exitNobody).says("")
	b := w.node("b", cluster.Options{NeverLead: true, Tick: time.Minute})
	a := w.node("a", cluster.Options{Endpoint: "10.0.0.1:80", Version: "v1.2.3", Tags: map[string]string{"zone": "eu 1", "disk": ""}})
	w.nodeOf("other", "z", follower)
	eventually(t, "a leads", func() bool { return a.Self().Role == cluster.Leader && b.Self().Role == cluster.Follower })
	w.do("nodes", "c").expect(0).says(table("NODE|ROLE|ENDPOINT|VERSION|TAGS|STARTED",
		`a|leader|10.0.0.1:80|v1.2.3|disk="",zone=eu 1|`+startOf(a), "b|follower|-|-|-|"+startOf(b)))
	got := values[nodeJSON](t, w.do("nodes", "c", "--json").expect(0))
	want := []nodeJSON{*newNodeJSON("c", a.Self()), *newNodeJSON("c", b.Self())}
	for i := range want { // whose clock has a monotonic reading that JSON has not
		if i >= len(got) || !got[i].Started.Equal(want[i].Started) {
			t.Fatalf("got %+v", got)
		}
		want[i].Started = got[i].Started
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if b := got[1]; b.Tick != "1m0s" || b.Incarnation == "" || b.Revision == 0 || b.Tags == nil {
		t.Errorf("got %+v", b)
	}
}

func TestNodesWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", cluster.Options{NeverLead: true, Endpoint: "10.0.0.1:80"})
	lines := w.start("nodes", "c", "--watch")
	values := w.start("nodes", "c", "--watch", "--json")
	both := func(text string) {
		t.Helper()
		lines.stdout.await(lines, text)
		values.stdout.await(values, text)
	}
	both("ready")
	b := w.node("b", follower)
	bAt := startOf(b) // it forgets when it ends
	both("joined")
	if err := b.SetTags(t.Context(), map[string]string{"zone": "eu"}); err != nil {
		t.Fatal(err)
	}
	both("changed")
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	both("left")
	dead, st := w.nodeOf("c", "dead", cluster.Options{NeverLead: true, TTL: time.Second})
	deadAt := startOf(dead)
	lines.stdout.awaitTimes(lines, "joined", 2)
	if err := st.Close(); err != nil { // it can renew nothing any more
		t.Fatal(err)
	}
	both("expired")
	lines.stop(syscall.SIGTERM)
	lines.says(strings.Join([]string{
		"present\ta\tfollower\t10.0.0.1:80\t-\t-\t" + startOf(a),
		"ready",
		"joined\tb\tfollower\t-\t-\t-\t" + bAt,
		"changed\tb\tfollower\t-\t-\tzone=eu\t" + bAt,
		"left\tb\tfollower\t-\t-\tzone=eu\t" + bAt,
		"joined\tdead\tfollower\t-\t-\t-\t" + deadAt,
		"expired\tdead\tfollower\t-\t-\t-\t" + deadAt,
	}, "\n") + "\n")
	values.stop(syscall.SIGINT)
	tags := func(n *nodeJSON) string {
		if n == nil {
			return "-"
		}
		return n.Node + fmt.Sprint(n.Tags)
	}
	var got []string
	for l := range strings.Lines(values.stdout.String()) {
		ev := decode[nodeEventJSON](t, l)
		if ev.Cluster != "c" || ev.Revision == 0 {
			t.Errorf("event %s", l)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s", ev.Event, ev.Node, tags(ev.Now), tags(ev.Old)))
	}
	if want := "present a amap[] -, ready  - -, joined b bmap[] -, changed b bmap[zone:eu] bmap[], left b - bmap[zone:eu], " +
		"joined dead deadmap[] -, expired dead - deadmap[]"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

// Who leads is part of what is told.
func TestNodesWatchShowsTheLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a", cluster.Options{})
	eventually(t, "a leads", func() bool { return a.Self().Role == cluster.Leader })
	watch := w.start("nodes", "c", "--watch")
	watch.stdout.await(watch, "present\ta\tleader\t")
	watch.stdout.await(watch, "ready\n")
	b := w.node("b", cluster.Options{})
	watch.stdout.await(watch, "joined\tb\tfollower\t")
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	watch.stdout.await(watch, "left\ta\t")
	watch.stdout.await(watch, "changed\tb\tleader\t")
	if b.Self().Role != cluster.Leader {
		t.Errorf("b is %q", b.Self().Role)
	}
	watch.stop(syscall.SIGTERM)
}

// printed returns what an event is as a line and as JSON.
func printed(t *testing.T, show func(*common, *cobra.Command) error) (line, value string) {
	t.Helper()
	for json, text := range map[bool]*string{false: &line, true: &value} {
		var out strings.Builder
		var cmd cobra.Command
		cmd.SetOut(&out)
		if err := show(&common{json: json}, &cmd); err != nil {
			t.Fatal(err)
		}
		*text = out.String()
	}
	return line, value
}

// What takes a store that has lost its history, or one that skips changes.
func TestRareNodeEvents(t *testing.T) {
	t.Parallel()
	line, value := printed(t, func(c *common, cmd *cobra.Command) error {
		return c.printNodeEvent(cmd, "c", cluster.NodeEvent{Kind: cluster.NodesGap, Revision: 7, Since: 3})
	})
	if line != "gap\n" || value != `{"event":"gap","cluster":"c","revision":7,"since":3}`+"\n" {
		t.Errorf("got %s%s", line, value)
	}
	n := cluster.Info{ID: "a", Role: cluster.Follower, Started: time.Unix(0, 0), Tick: time.Second}
	line, value = printed(t, func(c *common, cmd *cobra.Command) error {
		return c.printNodeEvent(cmd, "c", cluster.NodeEvent{Kind: cluster.NodeGone, Node: n, Revision: 7})
	})
	ev := decode[nodeEventJSON](t, value)
	if line != "gone\ta\tfollower\t-\t-\t-\t1970-01-01T00:00:00Z\n" || ev.Event != "gone" || ev.Now != nil || !reflect.DeepEqual(ev.Old, newNodeJSON("c", n)) {
		t.Errorf("got %s%s", line, value)
	}
}
