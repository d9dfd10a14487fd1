//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// decode reads one JSON value, in which it knows every field.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if d.More() {
		t.Fatalf("%q is more than one value", text)
	}
	return v
}

func TestLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("leader", "n").expect(3).says("")
	w.do("leader", "n", "--json").expect(3).says("")
	w.lead("plain", append([]string{"n"}, forever...)...)
	w.lead("with-endpoint", append([]string{"m", "--endpoint", "10.0.0.1:80", "--ttl", "2s"}, forever...)...)
	w.do("leader", "n").expect(0).says("plain\n")
	w.do("leader", "m").expect(0).says("with-endpoint\t10.0.0.1:80\n")
	got := decode[leaderJSON](t, w.do("leader", "m", "--json").expect(0).stdout.String())
	if got.Token == 0 {
		t.Error("no token")
	}
	got.Token = 0
	if want := (leaderJSON{Election: "m", Leader: "with-endpoint", Endpoint: "10.0.0.1:80", TTL: "2s"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("status").expect(0).says("ELECTION  LEADER  TOKEN  ENDPOINT  WAITING  NOTE\n")
	w.do("status", "--json").expect(0).says("")
	w.do("status", "n").expect(0).says("MEMBER  STATE  PRIORITY  TOKEN  ENDPOINT\n")
	w.do("status", "n", "--json").expect(0).says(`{"election":"n","leader":null,"candidates":[]}` + "\n")
	w.lead("a", append([]string{"n", "--endpoint", "10.0.0.1:80"}, forever...)...)
	w.member("b", append([]string{"n"}, forever...)...)
	w.member("c", append([]string{"n", "--priority", "2"}, forever...)...)
	w.lead("d", append([]string{"other"}, forever...)...)
	s := decode[statusJSON](t, w.do("status", "n", "--json").expect(0).stdout.String())
	token := s.Leader.Token
	if got := fmt.Sprint(s.Candidates); got != "[{a 10.0.0.1:80 0 leading} {c  2 waiting} {b  0 waiting}]" {
		t.Errorf("candidates: %s", got)
	}
	w.do("status", "n").expect(0).says(table(
		"MEMBER|STATE|PRIORITY|TOKEN|ENDPOINT",
		fmt.Sprintf("a|leading|0|%d|10.0.0.1:80", token), "c|waiting|2|-|-", "b|waiting|0|-|-"))
	all := strings.SplitAfter(w.do("status", "--json").expect(0).stdout.String(), "\n")
	if len(all) != 3 || decode[statusJSON](t, all[0]).Leader.Leader != "a" || decode[statusJSON](t, all[1]).Leader.Leader != "d" {
		t.Errorf("got %q", all)
	}
	other := decode[statusJSON](t, all[1]).Leader.Token
	w.do("status").expect(0).says(table(
		"ELECTION|LEADER|TOKEN|ENDPOINT|WAITING|NOTE",
		fmt.Sprintf("n|a|%d|10.0.0.1:80|2|-", token), fmt.Sprintf("other|d|%d|-|0|-", other)))
}

// table aligns rows of cells as the command does.
func table(rows ...string) string {
	var width []int
	for _, row := range rows {
		for i, cell := range strings.Split(row, "|") {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		cells := strings.Split(row, "|")
		for i, cell := range cells[:len(cells)-1] {
			fmt.Fprintf(&b, "%-*s", width[i]+2, cell)
		}
		b.WriteString(cells[len(cells)-1] + "\n")
	}
	return b.String()
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lines := w.start("watch", "n")
	values := w.start("watch", "n", "--json")
	lines.stdout.await(lines, "vacant\n")
	values.stdout.await(values, "\n")
	a := w.lead("a", append([]string{"n", "--endpoint", "10.0.0.1:80"}, forever...)...)
	b := w.member("b", append([]string{"n"}, forever...)...)
	a.signal(syscall.SIGTERM)
	b.stdout.await(b, "works")
	b.signal(syscall.SIGTERM)
	b.wait()
	lines.stdout.awaitTimes(lines, "\n", 4)
	values.stdout.awaitTimes(values, "\n", 4)
	lines.signal(syscall.SIGTERM)
	values.signal(syscall.SIGINT)
	values.expect(0)
	var tokens []any
	var kinds []string
	for l := range strings.Lines(values.stdout.String()) {
		ev := decode[eventJSON](t, l)
		kinds = append(kinds, ev.Event+" "+ev.Leader+ev.Endpoint)
		if ev.Token != 0 {
			tokens = append(tokens, ev.Token)
		}
	}
	if got := strings.Join(kinds, ", "); got != "vacant , elected a10.0.0.1:80, elected b, vacant " {
		t.Errorf("events: %s", got)
	}
	lines.expect(0).says(fmt.Sprintf("vacant\nelected a token %d 10.0.0.1:80\nelected b token %d\nvacant\n", tokens...))
}

func TestVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := decode[versionJSON](t, w.do("version", "--json").expect(0).stdout.String())
	if got.Version == "" || got.Go != runtime.Version() || got.System != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("got %+v", got)
	}
	if p := w.do("version").expect(0); !strings.HasPrefix(p.stdout.String(), "tenure "+got.Version) {
		t.Errorf("printed %q", p.stdout.String())
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}
