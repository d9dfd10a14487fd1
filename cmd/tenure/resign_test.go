//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestResign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.hooked("a", "--on-lost", `echo "$TENURE_REASON"`)
	expectOneError(t, w.do("resign", "n", "--id", "a").expect(exitFailed).says(""), "nobody waits to take over; a goes on")
	w.hooked("low", "--priority", "-1")
	w.hooked("next", "--endpoint", "10.0.0.2:80")
	w.hooked("last")
	p := w.do("resign", "n", "--id", "a", "--reason", "had enough").expect(0)
	p.says(fmt.Sprintf("next at 10.0.0.2:80 leads, token %d\n", w.token("n")))
	a.stdout.await(a, fmt.Sprintf("transferred to next by %s: had enough", operator()))
	w.awaitState("a", "waiting") // it may be elected again

	p = w.do("resign", "n", "--id", "a").expect(exitNobody).says("")
	expectOneError(t, p, `resign "n": a does not lead: next at 10.0.0.2:80 leads`)
	ev := decode[eventJSON](t, w.do("resign", "n", "--id", "next", "--json").expect(0).stdout.String())
	if ev.Event != "elected" || ev.Leader != "last" {
		t.Errorf("got %+v", ev)
	}
	w.do("pause", "n", "--yes", "--reason", "a move").expect(0)
	p = w.do("resign", "n", "--id", "last").expect(exitFailed).says("")
	expectOneError(t, p, "paused by "+operator()+": a move; last goes on")
	w.do("leader", "n").expect(0).says("last\n")
	expectOneError(t, w.do("resign", "other", "--id", "a").expect(exitNobody), "a does not lead: nobody does")
}

// CMD's own environment says who is to resign, from what, and in which term.
func TestResignKnowsItsTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A program of the member's that CMD has started, and that outlives it.
	a := w.lead("a", "n", "--", "sh", "-c", `env | grep ^TENURE_ >env; trap 'echo told; exit 0' TERM; echo works; while :; do sleep 0.01; done`)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	env := strings.Split(strings.TrimSuffix(w.read("env"), "\n"), "\n")
	w.command("resign").setenv(env...).begin().expect(0).says(fmt.Sprintf("b leads, token %d\n", w.token("n")))
	a.stdout.await(a, "told")
	b.stdout.await(b, "works")

	// It comes late: the member leads again, in a term that is none of its.
	w.do("transfer", "n", "--to", "a", "--yes").expect(0)
	p := w.command("resign").setenv(env...).begin().expect(exitNobody).says("")
	expectOneError(t, p, "a does not lead any more in the term of token", "a leads, token")
	// What is said of another member, or election, does not know the token.
	w.command("resign", "--id", "b").setenv(env...).begin().expect(exitNobody)
	w.command("resign", "n", "--id", "a").setenv("TENURE_TOKEN=1", "TENURE_ELECTION=n").begin().expect(0)
}

// A CMD that resigns is told to end like any other.
func TestCommandResignsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", "n", "--", "sh", "-c", `echo works; while ! [ -e go ]; do sleep 0.01; done; "$TENURE" resign`)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	w.write("go", "")
	b.stdout.await(b, "works")
	a.stderr.await(a, "waiting to lead again")
	w.awaitState("a", "waiting")
}

// An --on-follower hook does not end the term of the leader that it is told of.
func TestAFollowersHookCannotResign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hooked("a")
	b := w.hooked("b", "--on-follower", `"$TENURE" resign; echo "exit code $?"`)
	b.stdout.await(b, "exit code 3")
	w.do("leader", "n").expect(0).says("a\n")
}

func TestResignIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.hooked("a", "--on-elected", "echo works", "--on-lost", "while ! [ -e go ]; do sleep 0.01; done")
	a.stdout.await(a, "works")
	b := w.hooked("b", "--on-elected", "echo works")
	began := time.Now()
	p := w.do("resign", "n", "--id", "a", "--timeout", "200ms").expect(exitFailed).says("")
	expectOneError(t, p, "a has not handed over within 200ms, and goes on with it")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("it gave up after %v", took)
	}
	w.write("go", "")
	b.stdout.await(b, "works")
}

func TestBadResignations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		env  string
		says string
	}{
		{nil, "", "want the name of one election; TENURE_ELECTION has none"},
		{[]string{"n", "m"}, "", "got 2 arguments"},
		{[]string{"n"}, "", "want --id ID, the member's; TENURE_MEMBER has none"},
		{[]string{"n", "--id", long}, "", "--id has 1025 bytes"},
		{nil, "TENURE_ELECTION=" + long, "election name has 1025 bytes"},
		{[]string{"n", "--id", "a", "--timeout", "0"}, "", "--timeout is 0s"},
		{[]string{"n", "--id", "a", "--reason", "\xe9"}, "", "--reason \"\\xe9\" is not UTF-8"},
		{nil, "TENURE_TOKEN=x", `TENURE_TOKEN is "x"`},
		{nil, "TENURE_TOKEN=-1", `TENURE_TOKEN is "-1"`},
	} {
		p := w.command(append([]string{"resign"}, c.args...)...)
		if strings.HasPrefix(c.env, "TENURE_TOKEN") {
			p.setenv("TENURE_ELECTION=n", "TENURE_MEMBER=a")
		}
		if strings.HasPrefix(c.env, "TENURE_ELECTION") {
			p.setenv("TENURE_MEMBER=a")
		}
		expectOneError(t, p.setenv(c.env).begin().expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}
