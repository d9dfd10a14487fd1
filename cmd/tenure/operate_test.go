//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// token is that of an election's leader.
func (w *world) token(election string) tenure.Token {
	w.t.Helper()
	return decode[leaderJSON](w.t, w.do("leader", election, "--json").expect(0).stdout.String()).Token
}

// dead leaves the seat of n to a member that was killed, for longer than the test
// lasts: nobody clears it once that was deposed.
func (w *world) dead(id string) tenure.Token {
	w.t.Helper()
	p := w.lead(id, append([]string{"n", "--ttl", "1m", "--endpoint", "10.0.0.1:80"}, forever...)...)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGKILL)
	p.wait()
	return w.token("n")
}

func TestDepose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.member("a", append([]string{"n", "--ttl", "1m"}, forever...)...)
	token := w.token("n")
	b := w.member("b", append([]string{"n"}, forever...)...)
	w.do("depose", "n", "--yes", "--reason", "works no more").expect(0).
		says(fmt.Sprintf("the seat is vacant: a, token %d, was deposed by %s: works no more\n", token, operator()))
	b.stdout.await(b, "works")
	if next := w.token("n"); next <= token {
		t.Errorf("token %d after %d", next, token)
	}
}

func TestDeposeWaitsForTheNextLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"n", "--endpoint", "10.0.0.1:80"}, forever...)...)
	token := w.token("n")
	w.member("b", append([]string{"n", "--endpoint", "10.0.0.2:80"}, forever...)...)
	out := w.do("depose", "n", "--yes", "--json", "--wait", patience.String()).expect(0).stdout.String()
	lines := strings.SplitAfter(out, "\n")
	vacant, elected := decode[eventJSON](t, lines[0]), decode[eventJSON](t, lines[1])
	if want := (vacancyJSON{"a", "10.0.0.1:80", token, "10s", reasonJSON{By: operator()}}); vacant.Event != "vacant" || *vacant.Vacancy != want {
		t.Errorf("got %q, want the vacancy %+v", lines[0], want)
	}
	next := w.token("n")
	if want := (eventJSON{Event: "elected", Election: "n", Leader: "b", Endpoint: "10.0.0.2:80", Token: next}); elected != want {
		t.Errorf("got %+v, want %+v", elected, want)
	}
	// a stands back now, so nobody takes over at once.
	p := w.do("depose", "n", "--yes", "--wait", "50ms").expect(1).
		says(fmt.Sprintf("the seat is vacant: b, token %d, was deposed by %s\n", next, operator()))
	expectOneError(t, p, "nobody has been elected within 50ms")
}

func TestDeposeWaitSaysWhoLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"n"}, forever...)...)
	w.member("b", append([]string{"n", "--endpoint", "10.0.0.2:80"}, forever...)...)
	out := w.do("depose", "n", "--yes", "--wait", patience.String()).expect(0).stdout.String()
	if want := fmt.Sprintf("\nb at 10.0.0.2:80 leads, token %d\n", w.token("n")); !strings.HasSuffix(out, want) {
		t.Errorf("printed %q, want %q at its end", out, want)
	}
}

// Who wants to be rid of one leader must not be rid of another.
func TestDeposeIsOfTheLeaderThatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"n"}, forever...)...)
	token := w.token("n")
	p := w.do("depose", "n", "--yes", "--token", fmt.Sprint(token+1)).expect(1).says("")
	expectOneError(t, p, "the leader has changed", fmt.Sprintf("a leads, token %d", token))
	if got := w.token("n"); got != token {
		t.Fatalf("token %d, want %d as before", got, token)
	}
	w.do("depose", "n", "--yes", "--token", fmt.Sprint(token)).expect(0)
}

func TestVacancyIsShownWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.start("watch", "n")
	values := w.start("watch", "n", "--json")
	watch.stdout.await(watch, "vacant\n")
	values.stdout.await(values, "vacant")
	token := w.dead("a")
	by := operator()
	vacancy := fmt.Sprintf("a, token %d, was deposed by %s: %q", token, by, "does\nnot answer")
	w.do("depose", "n", "--yes", "--reason", "does\nnot answer").expect(0).says("the seat is vacant: " + vacancy + "\n")

	w.do("status", "n").expect(0).says(table(
		"MEMBER|STATE|PRIORITY|TOKEN|ENDPOINT", "a|deposed|0|-|10.0.0.1:80") + "vacant: " + vacancy + "\n")
	w.do("status").expect(0).says(table(
		"ELECTION|LEADER|TOKEN|ENDPOINT|WAITING|NOTE", "n|-|-|-|0|vacant: "+vacancy))
	want := vacancyJSON{"a", "10.0.0.1:80", token, "1m0s", reasonJSON{by, "does\nnot answer"}}
	s := decode[statusJSON](t, w.do("status", "n", "--json").expect(0).stdout.String())
	if s.Leader != nil || s.Vacancy == nil || *s.Vacancy != want || s.Candidates[0].State != "deposed" {
		t.Errorf("got %+v, want the vacancy %+v", s, want)
	}
	w.do("leader", "n").expect(exitNobody).says("")

	watch.stdout.awaitTimes(watch, "\n", 3)
	values.stdout.awaitTimes(values, "\n", 3)
	watch.says0(fmt.Sprintf("vacant\nelected a token %d 10.0.0.1:80\nvacant: %s\n", token, vacancy))
	ev := decode[eventJSON](t, strings.SplitAfter(values.stdout.String(), "\n")[2])
	if ev.Event != "vacant" || ev.Vacancy == nil || *ev.Vacancy != want {
		t.Errorf("got %+v, want the vacancy %+v", ev, want)
	}
	late := w.start("watch", "n")
	late.stdout.await(late, "vacant: "+vacancy+"\n")

	// What is vacant stays as it is, and its first reason with it.
	w.do("depose", "n", "--reason", "again", "--yes").expect(0).says("the seat is vacant already: " + vacancy + "\n")
	w.do("depose", "n", "--token", fmt.Sprint(token), "--yes").expect(0)
	expectOneError(t, w.do("depose", "n", "--token", "1", "--yes").expect(1).says(""), "the leader has changed")
	p := w.do("transfer", "n", "--to", "b", "--yes").expect(exitNobody).says("")
	expectOneError(t, p, "nobody leads: "+vacancy)
}

func TestNobodyLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.keys()
	for _, args := range [][]string{{"depose", "n"}, {"depose", "n", "--json"}, {"depose", "n", "--token", "1"}, {"transfer", "n", "--to", "a"}} {
		p := w.do(append(args, "--yes")...).expect(exitNobody).says("")
		expectOneError(t, p, args[0]+` "n": tenure: nobody leads`)
	}
	if after := w.keys(); len(after) != len(before) {
		t.Errorf("left %q", after)
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := []string{"n", "--", "sh", "-c",
		`trap 'sleep 0.1; echo $TENURE_MEMBER ended >>order; exit 0' TERM; echo $TENURE_MEMBER began >>order; echo works; while :; do sleep 0.01; done`}
	a := w.lead("a", cmd...)
	a.stdout.await(a, "works")
	b := w.member("b", cmd...)
	c := w.member("c", cmd...)
	w.do("transfer", "n", "--to", "c", "--yes", "--reason", "c is\nfaster").expect(0).says(fmt.Sprintf("c leads, token %d\n", w.token("n")))
	a.stderr.await(a, fmt.Sprintf(`given up: "tenure: transferred to c by %s: c is\nfaster"`, operator()))
	a.stderr.await(a, "command ended with exit code 0; waiting to lead again")
	s := decode[statusJSON](t, w.do("status", "n", "--json").expect(0).stdout.String())
	if got := s.Candidates[0]; got.Member != "c" || got.State != "leading" {
		t.Errorf("the first in the status is %+v", got)
	}
	// And back, between runs that have led or waited.
	token := w.token("n")
	for _, to := range []*proc{a, b, a} {
		id := to.cmd.Args[3]
		times := strings.Count(to.stdout.String(), "works")
		out := w.do("transfer", "n", "--to", id, "--yes", "--json").expect(0).stdout.String()
		ev := decode[eventJSON](t, out)
		if ev.Event != "elected" || ev.Leader != id || ev.Token <= token {
			t.Errorf("got %s", out)
		}
		token = ev.Token
		to.stdout.awaitTimes(to, "works", times+1)
	}
	w.do("transfer", "n", "--to", "a", "--yes").expect(0).says(fmt.Sprintf("a leads, token %d\n", token)) // already
	for _, p := range []*proc{b, c, a} {
		p.signal(syscall.SIGTERM)
		p.wait()
	}
	if got := strings.Join(strings.Split(w.read("order"), "\n"), ","); got !=
		"a began,a ended,c began,c ended,a began,a ended,b began,b ended,a began,a ended," {
		t.Errorf("order: %s", got)
	}
	w.expectEmpty()
}

// Each of these leaves the leader where it is.
func TestTransferThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"n"}, forever...)...)
	w.member("b", append([]string{"n"}, forever...)...)
	w.member("c", append([]string{"n"}, forever...)...)
	token := w.token("n")
	expectOneError(t, w.do("transfer", "n", "--to", "nobody", "--yes").expect(1).says(""), `not a candidate: "nobody"`)
	expectOneError(t, w.do("transfer", "n", "--to", "b", "--yes", "--token", "1").expect(1).says(""),
		"the leader has changed", fmt.Sprintf("a leads, token %d", token))
	w.do("drain", "c", "--yes").expect(0)
	w.awaitState("c", "draining")
	expectOneError(t, w.do("transfer", "n", "--to", "c", "--yes").expect(1).says(""), `not a candidate: "c" is draining`)
	w.do("pause", "n", "--yes", "--reason", "a move").expect(0)
	expectOneError(t, w.do("transfer", "n", "--to", "b", "--yes").expect(1).says(""),
		"paused by "+operator()+": a move", `until "tenure unpause"`)
	w.do("transfer", "n", "--to", "a", "--yes").expect(0).says(fmt.Sprintf("a leads, token %d\n", token)) // already
	if got := w.token("n"); got != token {
		t.Errorf("token %d, want %d as before", got, token)
	}
}

// awaitState waits until a candidate is in a state.
func (w *world) awaitState(id, state string) {
	w.t.Helper()
	eventually(w.t, id+" is "+state, func() bool {
		s := decode[statusJSON](w.t, w.do("status", "n", "--json").expect(0).stdout.String())
		for _, c := range s.Candidates {
			if c.Member == id && c.State == state {
				return true
			}
		}
		return false
	})
}

// slow is a CMD that ends, once it was told to, when the file "stay" has gone.
var slow = []string{"--", "sh", "-c", `trap 'echo told' TERM; echo works; while [ -e stay ]; do sleep 0.01; done`}

func TestTransferGoesOnWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("stay", "")
	a := w.lead("a", append([]string{"n"}, slow...)...)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	p := w.do("transfer", "n", "--to", "b", "--yes", "--timeout", "1s").expect(1).says("")
	expectOneError(t, p, "a has not handed over within 1s, and goes on with it")
	a.stdout.await(a, "told")
	w.remove("stay")
	b.stdout.await(b, "works")
}

func TestTransferWentElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("stay", "")
	a := w.lead("a", append([]string{"n"}, slow...)...)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	c := w.member("c", append([]string{"n"}, forever...)...)
	p := w.start("transfer", "n", "--to", "c", "--yes")
	a.stdout.await(a, "told")
	c.signal(syscall.SIGTERM)
	c.wait()
	w.remove("stay")
	expectOneError(t, p.expect(1).says(""), `went to another: "b" leads`)
	b.stdout.await(b, "works")
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := []string{"--", "sh", "-c", `trap 'echo told; exit 0' TERM; echo works; while :; do sleep 0.01; done`}
	a := w.lead("a", append([]string{"n"}, cmd...)...)
	a.stdout.await(a, "works")
	w.do("drain", "a", "--yes", "--reason", "new disk").expect(0).
		says("a is draining: it gives up its seats, and takes none until it is undrained\n")
	a.stdout.await(a, "told\n")
	a.stderr.await(a, "given up: tenure: member drained by "+operator()+": new disk")
	a.stderr.await(a, "command ended with exit code 0; waiting to lead again")
	w.awaitState("a", "draining")
	if runtime.GOOS == "linux" { // which shows it
		eventually(t, "a guard for the next term", func() bool { return w.guards() == 1 })
	}
	w.do("leader", "n").expect(exitNobody) // though nobody else could lead
	w.do("status", "n").expect(0).says(table("MEMBER|STATE|PRIORITY|TOKEN|ENDPOINT", "a|draining|0|-|-"))
	b := w.lead("b", append([]string{"n"}, cmd...)...)
	w.do("undrain", "a").expect(0).says("a is not drained\n")
	w.awaitState("a", "waiting")
	b.signal(syscall.SIGTERM)
	b.wait()
	a.stdout.awaitTimes(a, "works", 2)
	if got := count(a, "waiting to lead again"); got != 1 {
		t.Errorf("it has waited again %d times:\n%s", got, a.stderr.String())
	}
	a.signal(syscall.SIGTERM)
	a.expect(0)
	w.expectEmpty()
}

// guards counts the guards that live.
func (w *world) guards() int {
	n := 0
	for _, pid := range marked(w.mark) {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended
		if strings.Contains(string(args), "\x00"+guardArg) {
			n++
		}
	}
	return n
}

func TestDrainOfAMemberThatDoesNotRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := decode[orderJSON](t, w.do("drain", "a", "--yes", "--reason", "r", "--json").expect(0).stdout.String())
	if want := (orderJSON{Event: "draining", Member: "a", reasonJSON: reasonJSON{operator(), "r"}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a := w.member("a", append([]string{"n"}, forever...)...)
	w.awaitState("a", "draining")
	w.do("leader", "n").expect(exitNobody)
	got = decode[orderJSON](t, w.do("undrain", "a", "--json").expect(0).stdout.String())
	if want := (orderJSON{Event: "undrained", Member: "a"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a.stdout.await(a, "works")
	w.do("undrain", "a").expect(0) // which is no more
}

func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := decode[orderJSON](t, w.do("pause", "n", "--yes", "--reason", "a\tmove", "--json").expect(0).stdout.String())
	if want := (orderJSON{Event: "paused", Election: "n", reasonJSON: reasonJSON{operator(), "a\tmove"}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a := w.member("a", append([]string{"n"}, forever...)...)
	w.do("leader", "n").expect(exitNobody)
	paused := `paused by ` + operator() + `: "a\tmove"`
	w.do("status", "n").expect(0).says(table("MEMBER|STATE|PRIORITY|TOKEN|ENDPOINT", "a|waiting|0|-|-") + paused + "\n")
	w.do("status").expect(0).says(table("ELECTION|LEADER|TOKEN|ENDPOINT|WAITING|NOTE", "n|-|-|-|1|"+paused))
	s := decode[statusJSON](t, w.do("status", "n", "--json").expect(0).stdout.String())
	if s.Paused == nil || *s.Paused != (reasonJSON{operator(), "a\tmove"}) {
		t.Errorf("got %+v", s)
	}
	w.do("unpause", "n").expect(0).says("n is not paused\n")
	a.stdout.await(a, "works")
	w.do("unpause", "n", "--json").expect(0).says(`{"event":"unpaused","election":"n"}` + "\n")
	w.do("pause", "n", "--yes").expect(0).says("n is paused: nobody is elected until it is unpaused\n")
	if w.token("n") == 0 { // the leader goes on
		t.Error("nobody leads")
	}
	p := w.do("depose", "n", "--yes", "--wait", "50ms").expect(1)
	expectOneError(t, p, "nobody has been elected within 50ms; the election is paused by "+operator())
}

// A confirmation that nobody can give is refused before anything is made, as are
// arguments that cannot be used.
func TestBadOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reason := strings.Repeat("x", tenure.MaxReason+1)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"depose", "n"}, "no terminal to ask on whether this is meant; give --yes if it is"},
		{[]string{"transfer", "n", "--to", "a"}, "give --yes"},
		{[]string{"pause", "n"}, "give --yes"},
		{[]string{"drain", "a"}, "give --yes"},
		{[]string{"depose", "--yes"}, "want the name of one election, got 0 arguments"},
		{[]string{"depose", "", "--yes"}, "election name is empty; give 1 to 1024 bytes"},
		{[]string{"depose", long, "--yes"}, "election name has 1025 bytes; give 1024 at most"},
		{[]string{"depose", "caf\xe9", "--yes"}, `election name "caf\xe9" is not UTF-8`},
		{[]string{"depose", "n", "--yes", "--token", "-1"}, `--token is -1; give one that "tenure leader --json" has shown`},
		{[]string{"depose", "n", "--yes", "--token", "x"}, `invalid argument "x" for "--token"`},
		{[]string{"depose", "n", "--yes", "--wait", "-1s"}, "--wait is -1s; give one that is not negative"},
		{[]string{"depose", "n", "--yes", "--reason", reason}, "--reason has 1025 bytes; give 1024 at most"},
		{[]string{"depose", "n", "--yes", "--reason", "\xe9"}, `--reason "\xe9" is not UTF-8`},
		{[]string{"transfer", "n", "m", "--yes", "--to", "a"}, "want the name of one election, got 2 arguments"},
		{[]string{"transfer", "n", "--yes"}, "want --to MEMBER"},
		{[]string{"transfer", "n", "--yes", "--to", ""}, "--to is empty; give 1 to 1024 bytes"},
		{[]string{"transfer", "n", "--yes", "--to", long}, "--to has 1025 bytes"},
		{[]string{"transfer", "n", "--yes", "--to", "a", "--timeout", "0"}, "--timeout is 0s; give one above 0"},
		{[]string{"transfer", "n", "--yes", "--to", "a", "--token", "-1"}, "--token is -1"},
		{[]string{"transfer", "n", "--yes", "--to", "a", "--reason", reason}, "--reason has 1025 bytes"},
		{[]string{"transfer", "", "--yes", "--to", "a"}, "election name is empty"},
		{[]string{"pause", "--yes"}, "want the name of one election"},
		{[]string{"pause", "", "--yes"}, "election name is empty"},
		{[]string{"pause", "n", "--yes", "--reason", reason}, "--reason has 1025 bytes"},
		{[]string{"unpause"}, "want the name of one election"},
		{[]string{"unpause", long}, "election name has 1025 bytes"},
		{[]string{"unpause", "n", "--reason", "r"}, "unknown flag: --reason"},
		{[]string{"drain", "--yes"}, "want the id of one member, got 0 arguments"},
		{[]string{"drain", "a", "b", "--yes"}, "want the id of one member, got 2 arguments"},
		{[]string{"drain", "", "--yes"}, "member id is empty; give 1 to 1024 bytes"},
		{[]string{"drain", long, "--yes"}, "member id has 1025 bytes"},
		{[]string{"drain", "a", "--yes", "--reason", reason}, "--reason has 1025 bytes"},
		{[]string{"undrain"}, "want the id of one member"},
		{[]string{"undrain", ""}, "member id is empty"},
	} {
		expectOneError(t, w.do(c.args...).expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}

// endless is a store that never answers.
type endless struct{ store.Store }

func (endless) Commit(ctx context.Context, _ store.Tx) (store.Result, error) {
	<-ctx.Done()
	return store.Result{}, ctx.Err()
}

// A request that was not answered has asked nobody for certain.
func TestAskingKnowsWhatWasWritten(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	a := asking{Store: endless{}}
	if _, err := a.Commit(ctx, store.Tx{}); !errors.Is(err, context.DeadlineExceeded) || a.asked {
		t.Errorf("got %v, asked: %v", err, a.asked)
	}
}

func TestOperatorIsNamed(t *testing.T) {
	t.Parallel()
	if by := operator(); by == "" || len(by) > tenure.MaxReason || !strings.Contains(by, "@") {
		t.Errorf("got %q", by)
	}
}
