//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/hook"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// noted is a hook that writes what it is told into a file.
const noted = `echo "$TENURE_EVENT ${TENURE_TOKEN:-0} $TENURE_MEMBER" >>hooks`

// allNoted are hooks that write all that happens into one file.
var allNoted = []string{"--on-elected", noted, "--on-lost", noted, "--on-follower", noted, "--on-error", noted}

// hooked starts a campaign with hooks, and waits until it is a candidate.
func (w *world) hooked(id string, args ...string) *proc {
	w.t.Helper()
	p := w.start(append([]string{"campaign", "n", "--id", id}, args...)...)
	p.stderr.await(p, "waits to lead")
	w.awaitCandidate(id)
	return p
}

// awaitHooks waits until the hooks have written a text.
func (w *world) awaitHooks(text string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%q from the hooks", text), func() bool {
		all, _ := os.ReadFile(w.path("hooks")) // it may not be there yet
		return strings.Contains(string(all), text)
	})
}

// ends tells a process to stop, and fails unless it then ends as one that was.
func (p *proc) ends() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.expect(0)
}

// A hook finds each variable once, whatever the campaign's own environment holds, and
// without what the variable does not apply to.
func TestHooksKnowTheElection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const dump = `tr '\0' '\n' </proc/$$/environ | grep -E '^TENURE_(EVENT|ROLE|ELECTION|MEMBER|STORE|LEADER|ENDPOINT|TOKEN|REASON)=' | sort >$TENURE_MEMBER.$TENURE_EVENT.new && mv $TENURE_MEMBER.$TENURE_EVENT.new $TENURE_MEMBER.$TENURE_EVENT`
	stale := []string{"TENURE_TOKEN=999", "TENURE_LEADER=nobody", "TENURE_REASON=none", "TENURE_EVENT=x", "TENURE_MEMBER=other", "TENURE_ELECTION=other"}
	expect := func(file string, want ...string) {
		t.Helper()
		eventually(t, "hook "+file, func() bool { _, err := os.Stat(w.path(file)); return err == nil })
		want = append(want, "TENURE_ELECTION=n", "TENURE_STORE="+w.store)
		slices.Sort(want)
		if got := w.read(file); got != strings.Join(want, "\n")+"\n" {
			t.Errorf("%s: got\n%swant %q", file, got, want)
		}
	}
	a := w.command("campaign", "n", "--id", "a", "--endpoint", "10.0.0.1:80",
		"--on-elected", dump, "--on-lost", dump, "--on-follower", dump+"; exit 7", "--on-error", dump).setenv(stale...).begin()
	a.stderr.await(a, "elected")
	first := w.token("n")
	expect("a.elected", "TENURE_EVENT=elected", "TENURE_ROLE=leader", "TENURE_MEMBER=a", "TENURE_LEADER=a",
		"TENURE_ENDPOINT=10.0.0.1:80", fmt.Sprint("TENURE_TOKEN=", first), "TENURE_REASON=")

	observer := w.command("campaign", "n", "--observe", "--on-follower", dump).setenv(stale...).begin()
	expect(".follower", "TENURE_EVENT=follower", "TENURE_ROLE=observer", "TENURE_MEMBER=", "TENURE_LEADER=a",
		"TENURE_ENDPOINT=10.0.0.1:80", fmt.Sprint("TENURE_TOKEN=", first), "TENURE_REASON=")
	observer.ends()

	b := w.hooked("b", "--endpoint", `10.0.0.2:80 "$x"`)
	w.do("transfer", "n", "--to", "b", "--yes", "--reason", "a move").expect(0)
	second := w.token("n")
	expect("a.lost", "TENURE_EVENT=lost", "TENURE_ROLE=follower", "TENURE_MEMBER=a", "TENURE_LEADER=",
		"TENURE_ENDPOINT=", fmt.Sprint("TENURE_TOKEN=", first), "TENURE_REASON=tenure: transferred to b by "+operator()+": a move")
	expect("a.follower", "TENURE_EVENT=follower", "TENURE_ROLE=follower", "TENURE_MEMBER=a", "TENURE_LEADER=b",
		`TENURE_ENDPOINT=10.0.0.2:80 "$x"`, fmt.Sprint("TENURE_TOKEN=", second), "TENURE_REASON=")
	expect("a.error", "TENURE_EVENT=error", "TENURE_ROLE=follower", "TENURE_MEMBER=a", "TENURE_LEADER=b",
		`TENURE_ENDPOINT=10.0.0.2:80 "$x"`, fmt.Sprint("TENURE_TOKEN=", second), "TENURE_REASON=on-follower: exit code 7")
	b.ends()
	a.ends()
	w.expectEmpty()
}

// hookLine is one line of noted.
type hookLine struct {
	event  string
	token  tenure.Token
	member string
}

// expectPairs fails unless elected and lost come in pairs that do not overlap, whoever's
// they are, with tokens that rise, and followers are told of each term once at most.
func (w *world) expectPairs() (terms int) {
	w.t.Helper()
	var leads, last tenure.Token
	told := map[hookLine]bool{}
	for text := range strings.Lines(w.read("hooks")) {
		var l hookLine
		if _, err := fmt.Sscan(text, &l.event, &l.token, &l.member); err != nil {
			w.t.Fatalf("line %q: %v", text, err)
		}
		if told[l] && l.event != "error" {
			w.t.Errorf("twice: %q", text)
		}
		told[l] = true
		switch l.event {
		case "elected":
			if leads != 0 || l.token <= last {
				w.t.Errorf("%q while %d leads, and after %d", text, leads, last)
			}
			leads, last = l.token, l.token
			terms++
		case "lost":
			if l.token != leads {
				w.t.Errorf("%q while %d leads", text, leads)
			}
			leads = 0
		case "follower":
			if told[hookLine{"elected", l.token, l.member}] {
				w.t.Errorf("of its own term: %q", text)
			}
		}
	}
	if leads != 0 {
		w.t.Errorf("the term of token %d was not lost", leads)
	}
	return terms
}

// What the hooks of two members do is one history, over any store.
func TestHooksOfAHandOverAreInOrder(t *testing.T) {
	t.Parallel()
	for name, world := range map[string]func(t *testing.T) *world{
		"sqlite": func(t *testing.T) *world { return newWorld(t) },
		"etcd": func(t *testing.T) *world {
			_, hosts := startEtcd(t, etcdtest.Options{Members: 1})
			return newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/hooks")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t)
			// A lost hook takes its time: the next elected one must not begin before its end.
			args := append(slices.Clone(allNoted), "--on-lost", "sleep 0.05; "+noted, "--ttl", "2s")
			a := w.hooked("a", args...)
			w.awaitHooks("elected")
			b := w.hooked("b", args...)
			const moves = 6
			for i := range moves {
				from, to := "a", "b"
				if i%2 == 1 {
					from, to = to, from
				}
				w.awaitHooks(fmt.Sprintf("elected %d %s\n", w.token("n"), from)) // the hook has ended, or nearly
				w.do("transfer", "n", "--to", to, "--yes").expect(0)
			}
			w.awaitHooks(fmt.Sprintf("elected %d a\n", w.token("n")))
			a.ends()
			w.awaitHooks(fmt.Sprintf("elected %d b\n", w.token("n")))
			b.ends()
			if terms := w.expectPairs(); terms != moves+2 {
				t.Errorf("%d terms, want %d:\n%s", terms, moves+2, w.read("hooks"))
			}
			w.expectEmpty()
		})
	}
}

// Leaders that are over before their turn comes are left out, and the hook of one that
// is over is stopped.
func TestAFollowerHookIsSuperseded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	observer := w.start("campaign", "n", "--observe", "--on-follower",
		`case $TENURE_LEADER in a) trap '' TERM; echo begun; while :; do sleep 0.01; done;; esac; echo $TENURE_LEADER leads`, "--on-error", "echo an error")
	a := w.hooked("a")
	observer.stdout.await(observer, "begun")
	w.hooked("b")
	w.hooked("c")
	for _, to := range []string{"b", "c"} { // within the grace of a hook that ignores TERM
		w.do("transfer", "n", "--to", to, "--yes").expect(0)
	}
	observer.stdout.await(observer, "leads\n")
	if got := observer.stdout.String(); got != "begun\nc leads\n" {
		t.Errorf("the hooks have printed %q", got)
	}
	observer.ends()
	a.ends()
}

func TestAFailingElectedHookHandsOverAndStandsBack(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]string{
		"exit code": "exit 3", "signal": "kill -9 $$", "no such command": "no-such-command",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.hooked("first")
			failing := w.hooked("failing", append(slices.Clone(allNoted), "--on-elected", "echo tried; "+hook)...)
			next := w.hooked("next", "--on-elected", "echo works")
			first.ends()
			next.stdout.await(next, "works")
			if n := strings.Count(failing.stdout.String(), "tried"); n != 1 {
				t.Errorf("tried %d times, while another waited", n)
			}
			w.awaitHooks("error")
			next.ends()
			failing.stderr.await(failing, "standing back for") // alone, too
			if n := strings.Count(failing.stdout.String(), "tried"); n > tenure.DefaultFlapLimit+2 {
				t.Errorf("tried %d times before that", n)
			}
			failing.ends()
			if got := w.read("hooks"); strings.Contains(got, "lost") || strings.Count(got, "error") != 1 {
				t.Errorf("hooks: %s", got)
			}
			w.expectEmpty()
		})
	}
}

// One that hangs with what it has started, and ignores TERM, refuses the term all the
// same, and leaves nothing behind.
func TestAnElectedHookThatHangsIsKilledAndRefusesTheTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.hooked("first")
	hanging := w.hooked("hanging", "--hook-timeout", "200ms", "--on-error", `echo "$TENURE_REASON"`,
		"--on-elected", `trap '' TERM; (sleep 1000; sleep 1000) & echo begun; while :; do sleep 0.01; done`, "--on-lost", "echo lost")
	next := w.hooked("next", "--on-elected", "echo works")
	first.ends()
	began := time.Now()
	next.stdout.await(next, "works")
	if took := time.Since(began); took < hook.Grace {
		t.Errorf("the next leads after %v, and a hook may still have run", took)
	}
	hanging.stdout.await(hanging, "on-elected: stopped, because it has not ended within 200ms")
	hanging.ends()
	next.ends()
	if got := hanging.stdout.String(); strings.Contains(got, "lost") {
		t.Errorf("a term that never was is lost: %s", got)
	}
	w.expectEmpty()
}

// The end of the term stops what was begun for it, and only then is the seat passed on.
func TestACleanEndStopsTheElectedHookFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.hooked("a", "--on-elected", `trap 'echo a stopped >>order; exit 1' TERM; echo begun; while :; do sleep 0.01; done`,
		"--on-lost", `sleep 0.2; echo "a lost" >>order`)
	a.stdout.await(a, "begun")
	b := w.hooked("b", "--on-elected", "echo b elected >>order; echo works")
	a.ends()
	b.stdout.await(b, "works")
	if got := w.read("order"); got != "a stopped\na lost\nb elected\n" {
		t.Errorf("order: %q", got)
	}
	b.ends()
	w.expectEmpty()
}

// A hook of a leadership that was lost works no more when another leads, whatever has
// become of the campaign; and on-lost is told why.
func TestAForcedEndKillsTheElectedHookInTime(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	for _, c := range []struct {
		name   string
		strike func(w *world, a *proc)
		reason string
	}{
		{"deposed", func(w *world, _ *proc) { w.do("depose", "n", "--yes").expect(0) }, "deposed"},
		{"stopped", func(_ *world, a *proc) { stopUnlocked(a) }, "session expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const work = `trap 'echo asked' TERM; echo works; while :; do echo $TENURE_MEMBER >>lines; sleep 0.005; done`
			args := []string{"--ttl", ttl.String(), "--on-elected", work, "--on-lost", `echo "lost: $TENURE_REASON"`}
			a := w.hooked("a", args...)
			a.stdout.await(a, "works")
			b := w.hooked("b", args...)
			c.strike(w, a)
			b.stdout.await(b, "works")
			eventually(t, "work of b", func() bool { return strings.Count(w.read("lines"), "b\n") > 3 })
			if first := strings.Index(w.read("lines"), "b"); strings.Contains(w.read("lines")[first:], "a") {
				t.Error("both work")
			}
			a.signal(syscall.SIGCONT)
			a.stdout.await(a, "lost: ")
			a.stdout.await(a, c.reason)
			if got := a.stdout.String(); strings.Count(got, "lost: ") != 1 || strings.Contains(got, "asked") {
				t.Errorf("the hooks have printed %q", got) // there is no time to ask
			}
			w.awaitCandidate("a")
		})
	}
}

func TestSignalsEndACampaignThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leader := w.hooked("leader")
	before := w.keys()
	for _, sig := range endings {
		id := fmt.Sprint("waits for ", sig)
		p := w.hooked(id, allNoted...)
		w.awaitHooks(id) // it knows the leader
		p.signal(sig)
		p.expect(0)
	}
	if after := w.keys(); !slices.Equal(before, after) {
		t.Errorf("the store held %q, and holds %q", before, after)
	}
	if strings.Contains(w.read("hooks"), "lost") {
		t.Errorf("who never led has lost: %s", w.read("hooks"))
	}
	leader.ends()
	w.expectEmpty()
}

// timeout(1) sends its signal twice. That is no second one.
func TestASignalThatIsSentTwiceIsOne(t *testing.T) {
	t.Parallel()
	asked := 0
	s := &stopper{quit: make(chan struct{}), atOnce: func() { asked++ }}
	s.ctx, s.cancel = context.WithCancelCause(t.Context())
	close(s.quit) // the command has nothing left to do
	s.take(syscall.SIGTERM)
	s.take(syscall.SIGTERM)
	if err := s.result(s.ctx.Err()); err != nil || asked != 0 {
		t.Errorf("it has ended with %v, asked %d times", err, asked)
	}
	s.first = s.first.Add(-sameSignal)
	s.take(syscall.SIGINT)
	if exit, ok := errors.AsType[*exitError](s.result(nil)); !ok || exit.code != 128+2 || asked != 1 {
		t.Errorf("after a second signal it has ended with %v, asked %d times", exit, asked)
	}
}

func TestASecondSignalKillsTheHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.hooked("a", "--on-elected", "echo works", "--on-lost", `trap '' TERM INT; (sleep 1000) & echo ending; while :; do sleep 0.01; done`)
	p.stdout.await(p, "works")
	p.signal(syscall.SIGTERM)
	p.stdout.await(p, "ending")
	p.signalAgain(syscall.SIGINT)
	p.expect(128 + int(syscall.SIGINT))
	w.expectEmpty() // the seat was handed over
}

// No hook outlives a campaign that was killed, nor what the hook has started.
func TestHooksDieWithTheCampaign(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"elected", "follower", "lost", "error"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			// The TTL is beyond patience: it is not the deadline that ends them.
			args := []string{"--ttl", "1m", "--on-" + event, `trap '' TERM HUP; (sleep 1000; sleep 1000) & echo begun; sleep 1000`}
			if event == "follower" {
				w.hooked("leader")
			}
			switch event {
			case "error":
				args = append(args, "--on-elected", "exit 1")
			case "lost":
				args = append(args, "--on-elected", "echo works")
			}
			p := w.start(append([]string{"campaign", "n", "--id", "a"}, args...)...)
			if event == "lost" {
				p.stdout.await(p, "works")
				p.signal(syscall.SIGTERM)
			}
			p.stdout.await(p, "begun")
			p.signal(syscall.SIGKILL)
			p.wait()
			if event == "follower" {
				w.procs[0].ends()
			}
			w.expectNoProcess()
		})
	}
}

// What a hook leaves in the background ends with it.
func TestAHookLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.hooked("a", "--on-elected", `(trap '' HUP; sleep 1000) & echo works`, "--on-follower", "true")
	p.stdout.await(p, "works")
	eventually(t, "the end of the background job", func() bool { return len(marked(w.mark)) == 2 }) // the campaign and its guard
	p.ends()
}

// Hooks have no input, and are not slowed down by output, nor do they slow down the
// renewals that a hook needs which takes longer than the TTL.
func TestInputAndOutputOfHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const seconds, second = 3, 1 << 20
	p := w.command("campaign", "n", "-q", "--ttl", "2s", "--on-elected", fmt.Sprintf(
		`cat; for i in $(seq %d); do head -c %d /dev/zero; sleep 1; done; echo end`, seconds, second), "--on-lost", "echo lost >&2")
	p.cmd.Stdin = strings.NewReader("for somebody else\n")
	p.begin()
	p.stdout.await(p, "end\n")
	out := []byte(p.stdout.String())
	if n := bytes.Count(out, []byte{0}); n != seconds*second || len(out) != n+len("end\n") {
		t.Errorf("%d bytes, of them %d zeros, want %d", len(out), n, seconds*second)
	}
	if got := p.stderr.String(); got != "" {
		t.Errorf("standard error: %q", got)
	}
	p.ends()
}

// Nobody reads what a campaign says: it goes on, and still ends cleanly.
func TestACampaignOutlivesTheReaderOfItsOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := w.command("campaign", "n", "--id", "a", "--on-elected", noted, "--on-lost", noted)
	p.cmd.Stdout, p.cmd.Stderr = pipe, pipe
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	p.begin()
	_ = pipe.Close() // ours
	w.awaitHooks("elected")
	p.ends()
	w.awaitHooks("lost")
	w.expectPairs()
}

func TestOnceEndsWithTheFirstTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.hooked("a", append(slices.Clone(allNoted), "--once")...)
	w.awaitHooks("elected")
	b := w.hooked("b", "--on-elected", "echo works")
	w.do("transfer", "n", "--to", "b", "--yes").expect(0)
	a.expect(0)
	b.ends()
	if terms := w.expectPairs(); terms != 1 {
		t.Errorf("%d terms", terms)
	}
	w.expectEmpty()
}

// The store is away for longer than the TTL, and for less: the term is lost, or it is not;
// neither ends the campaign, and on-error is told of it once.
func TestACampaignOutlivesTheStore(t *testing.T) {
	t.Parallel()
	const away = 10 * time.Second
	for _, c := range []struct {
		name string
		ttl  time.Duration
		lost bool
	}{{"shorter than the TTL", 3 * away, false}, {"longer", away / 3, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			etcd, hosts := startEtcd(t, etcdtest.Options{Members: 1})
			server, err := etcd.Leader(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/away")
			p := w.hooked("a", append(slices.Clone(allNoted), "--ttl", c.ttl.Round(time.Second).String())...)
			w.awaitHooks("elected")
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(away) // how long it is away is the point
			if err := server.Cont(); err != nil {
				t.Fatal(err)
			}
			if c.lost {
				w.awaitHooks("lost")
				w.awaitHooks("error")
				p.stderr.awaitTimes(p, "elected, token", 2)
				w.awaitHooks(fmt.Sprintf("elected %d a", w.token("n")))
			} else {
				w.do("leader", "n").expect(0).says("a\n")
			}
			p.ends()
			want := 1
			if c.lost {
				want = 2
			}
			if terms := w.expectPairs(); terms != want {
				t.Errorf("%d terms, want %d:\n%s", terms, want, w.read("hooks"))
			}
			if n := strings.Count(w.read("hooks"), "error"); n > 6 { // each of a few requests, once
				t.Errorf("%d errors in %v:\n%s", n, away, p.stderr.String())
			}
		})
	}
}

// A seat that cannot be read is told of, and looked at again.
func TestACampaignOutlivesASeatThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(store.Put("leaders/n", []byte("?"), store.NoLease))
	p := w.start("campaign", "n", "--observe", "--on-follower", "echo $TENURE_LEADER leads", "--on-error", `echo "$TENURE_REASON"`)
	p.stdout.await(p, "tenure: corrupt record")
	w.put(store.Delete("leaders/n"))
	w.hooked("a")
	p.stdout.await(p, "a leads\n")
	p.ends()
	if got := p.stdout.String(); strings.Count(got, "\n") != 2 {
		t.Errorf("hooks: %s", got)
	}
}

// put writes to the store, past all rules.
func (w *world) put(ops ...store.Op) {
	w.t.Helper()
	w.look(func(st store.Store) error {
		_, err := st.Commit(w.t.Context(), store.Tx{Then: ops})
		return err
	})
}

func TestBadCampaigns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "want the name of one election, got 0 arguments"},
		{[]string{""}, "election name is empty"},
		{[]string{"n", "m"}, "got 2 arguments"},
		{[]string{"n", "--on-elected", ""}, "--on-elected is empty; give a command, or leave it out"},
		{[]string{"n", "--hook-timeout", "0"}, "--hook-timeout is 0s; give one above 0, and 24h0m0s at most"},
		{[]string{"n", "--hook-timeout", "2000000h"}, "--hook-timeout is 2000000h0m0s"},
		{[]string{"n", "--ttl", "1ms"}, "--ttl is 1ms"},
		{[]string{"n", "--id", long}, "--id has 1025 bytes"},
		{[]string{"n", "--observe"}, "--observe without --on-follower does nothing"},
		{[]string{"n", "--observe", "--on-follower", "x", "--on-elected", "x"}, "--on-elected is for members"},
		{[]string{"n", "--observe", "--on-follower", "x", "--on-lost", "x"}, "--on-lost is for members"},
		{[]string{"n", "--observe", "--on-follower", "x", "--id", "x"}, "--id is for members"},
		{[]string{"n", "--observe", "--on-follower", "x", "--once"}, "--once is for members"},
	} {
		expectOneError(t, w.do(append([]string{"campaign"}, c.args...)...).expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}

func TestACampaignThatFailsForGoodSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hooked("twin", "--ttl", shortTTL.String())
	p := w.do("campaign", "n", "--id", "twin", "--on-error", "echo an error").expect(exitFailed).says("")
	if !strings.Contains(p.stderr.String(), `"twin" is alive`) {
		t.Errorf("standard error: %s", p.stderr.String())
	}
}
