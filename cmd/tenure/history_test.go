//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

const noWord = "no word of its end (crashed, cut off, or just over)"

// history returns the terms of an election as the command prints them.
func (w *world) history(election string) []termJSON {
	w.t.Helper()
	var all []termJSON
	for line := range strings.Lines(w.do("history", election, "--json").expect(0).stdout.String()) {
		term := decode[termJSON](w.t, line)
		if n := len(all); term.Election != election || n > 0 && term.Token <= all[n-1].Token {
			w.t.Errorf("%+v after %+v", term, all)
		}
		all = append(all, term)
	}
	return all
}

// tells fails unless the history comes to be that of these terms: "MEMBER: CAUSE".
func (w *world) tells(election string, want ...string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("history %q", want), func() bool {
		var got []string
		for _, term := range w.history(election) {
			got = append(got, term.Member+": "+term.Cause)
		}
		return slices.Equal(got, want)
	})
}

func TestHistoryHasEachTermWithItsCause(t *testing.T) {
	t.Parallel()
	everyEnd(newWorld(t))
}

func TestHistoryOverEtcd(t *testing.T) {
	t.Parallel()
	_, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	everyEnd(newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/history"))
}

// everyEnd has terms end in each way that there is.
func everyEnd(w *world) {
	w.t.Helper()
	var want []string
	w.do("run", "n", "--id", "done", "--", "true").expect(0)
	want = append(want, "done: tenure: resigned")
	if got := w.history("n"); len(got) != 1 || got[0].Cause != "tenure: resigned" { // at once: the run has waited for it
		w.t.Errorf("got %+v", got)
	}
	args := append([]string{"n", "--ttl", "2s"}, forever...)
	a := w.lead("a", args...)
	b := w.member("b", args...)
	w.do("transfer", "n", "--to", "b", "--yes", "--reason", "b is faster").expect(0)
	want = append(want, "a: tenure: transferred to b by "+operator()+": b is faster")
	b.stdout.await(b, "works")
	w.do("depose", "n", "--yes", "--reason", "it hangs").expect(0)
	want = append(want, "b: tenure: deposed by "+operator()+": it hangs")
	a.stdout.awaitTimes(a, "works", 2)
	w.awaitState("b", "waiting")
	a.signal(syscall.SIGKILL)
	want = append(want, "a: "+noWord)
	b.stdout.awaitTimes(b, "works", 2)
	w.tells("n", append(want, "b: ")...)
	b.signal(syscall.SIGTERM)
	b.wait()
	want = append(want, "b: told to stop by a signal: terminated")
	w.tells("n", want...)
	for i, term := range w.history("n") {
		if term.From.IsZero() || term.To.Before(term.From) || time.Since(term.To) > patience {
			w.t.Errorf("term %d: from %v to %v", i, term.From, term.To)
		}
	}
}

func TestHistoryAsATable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("history", "n").expect(0).says("")
	w.do("history", "n", "--json").expect(0).says("")
	w.look(func(st store.Store) error {
		_, err := st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("history/n", []byte(`{"v":1,"terms":[
			{"token":3,"member":"a\nb","endpoint":"10.0.0.1:80","from":"2026-11-30T23:59:59.1Z","to":"2026-12-01T01:02:03.6Z","cause":"tenure: resigned"},
			{"token":5,"member":"c","from":"2026-12-01T01:02:04+02:00","to":"2026-11-30T23:02:04.25Z","cause":"a\tb"},
			{"token":9,"member":"d","from":"2026-12-01T01:02:05Z"}]}`), store.NoLease)}})
		return err
	})
	rows := []string{
		"TOKEN|MEMBER|ENDPOINT|FROM|TO|LASTED|CAUSE",
		`3|"a\nb"|10.0.0.1:80|2026-11-30 23:59:59Z|2026-12-01 01:02:03Z|1h2m5s|tenure: resigned`,
		`5|c|-|2026-11-30 23:02:04Z|2026-11-30 23:02:04Z|250ms|"a\tb"`,
		"9|d|-|2026-12-01 01:02:05Z|-|-|" + noWord,
	}
	w.do("history", "n").expect(0).says(table(rows...))
	w.do("history", "n", "-n", "1").expect(0).says(table(rows[0], rows[3]))
	w.do("history", "n", "-n", "4").expect(0).says(table(rows...))
	w.do("history", "n", "--json", "-n", "1").expect(0).
		says(`{"election":"n","token":9,"member":"d","endpoint":"","from":"2026-12-01T01:02:05Z","cause":"` + noWord + `"}` + "\n")

	w.do("history", "n", "--clear", "--yes").expect(0).says("")
	w.do("history", "n").expect(0).says("")

	w.lead("e", append([]string{"n", "--endpoint", "10.0.0.2:80"}, forever...)...)
	eventually(t, "a term that goes on", func() bool { return !w.history("n")[0].From.IsZero() })
	e := w.history("n")[0]
	w.do("history", "n").expect(0).says(table(rows[0],
		fmt.Sprintf("%d|e|10.0.0.2:80|%s|-|-|-", e.Token, e.From.Format("2006-01-02 15:04:05Z"))))
}

func TestHistoryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.look(func(st store.Store) error {
		_, err := st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("history/n", []byte("?"), store.NoLease)}})
		return err
	})
	expectOneError(t, w.do("history", "n").expect(exitFailed).says(""), `read history of "n": tenure: corrupt record`)
	a := w.lead("a", append([]string{"n"}, forever...)...) // all the same
	a.stderr.await(a, "leave terms out of history: tenure: corrupt record")
	token := w.token("n")
	p := w.do("history", "n").expect(exitFailed).says(table("TOKEN|MEMBER|ENDPOINT|FROM|TO|LASTED|CAUSE", fmt.Sprintf("%d|a|-|-|-|-|-", token)))
	expectOneError(t, p, "corrupt record")
	w.do("history", "n", "--clear", "--yes").expect(0)
	a.signal(syscall.SIGTERM)
	a.wait()
	w.tells("n", "a: told to stop by a signal: terminated")
}

func TestHistoryFlagsThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "want the name of one election"},
		{[]string{"n", "-n", "0"}, "-n is 0; give one that is above zero"},
		{[]string{"n", "-n", "many"}, "many"},
		{[]string{"n", "--clear", "-n", "1", "--yes"}, "leave -n out"},
		{[]string{"n", "--clear"}, "give --yes if it is"},
		{[]string{"n", "--yes"}, "--yes without --clear"},
		{[]string{strings.Repeat("n", tenure.MaxName+1)}, "election name has 1025 bytes"},
	} {
		p := w.do(append([]string{"history"}, c.args...)...).expect(exitUsage).says("")
		if got := p.stderr.String(); !strings.Contains(got, c.says) {
			t.Errorf("%q says %q, want %q", c.args, got, c.says)
		}
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}
