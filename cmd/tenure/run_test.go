//go:build unix

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forever is a CMD that works until it is told to stop.
var forever = []string{"--", "sh", "-c", "echo works; exec sleep 1000"}

func TestCommandKnowsItsTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("run", "nightly", "--id", "a", "--", "sh", "-c",
		`echo "$TENURE_ELECTION|$TENURE_MEMBER|$TENURE_STORE|$TENURE_TOKEN"; "$TENURE" leader nightly --json`).expect(0)
	lines := strings.Split(p.stdout.String(), "\n")
	got := decode[leaderJSON](t, lines[1])
	want := fmt.Sprintf("nightly|a|%s|%d", w.store, got.Token)
	if lines[0] != want {
		t.Errorf("the environment says %q, want %q", lines[0], want)
	}
	w.expectEmpty()
}

func TestCommandIsToldOfTheSameStoreInAnyFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("run", "--store", "sqlite:here.db", "n", "--", "sh", "-c", `cd / && "$TENURE" leader n >/dev/null && echo "$TENURE_STORE"`).
		expect(0).says("sqlite:" + w.path("here.db") + "\n")
}

func TestStreamsPassThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("run", "-q", "n", "--", "sh", "-c", "cat; echo complaint >&2")
	p.cmd.Stdin = strings.NewReader("from outside\n")
	p.begin().expect(0).says("from outside\n")
	if got := p.stderr.String(); got != "complaint\n" {
		t.Errorf("standard error: %q", got)
	}
}

func TestRunTellsWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("run", "n", "--id", "a", "--json", "--", "true").expect(0)
	var events []string
	for l := range strings.Lines(p.stderr.String()) {
		ev := decode[struct{ Event, Election, Message string }](t, l)
		if ev.Election != "n" || ev.Message == "" {
			t.Errorf("got %+v", ev)
		}
		events = append(events, ev.Event)
	}
	if got := strings.Join(events, " "); got != "waiting elected" {
		t.Errorf("events: %s", got)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string // on standard error
	}{
		{"success", []string{"n", "--", "true"}, 0, ""},
		{"the command's own", []string{"n", "--", "sh", "-c", "exit 3"}, 3, ""},
		{"a signal", []string{"n", "--", "sh", "-c", "kill -TERM $$"}, 128 + 15, ""},
		{"killed", []string{"n", "--", "sh", "-c", "kill -KILL $$"}, 128 + 9, ""},
		{"cannot be executed", []string{"n", "--", "./plain"}, 126, "tenure: ./plain: "},
		{"a folder", []string{"n", "--", "/"}, 126, "tenure: /: "},
		{"is not there", []string{"n", "--", "no-such-command"}, 127, "tenure: no-such-command: executable file not found"},
		{"is not there either", []string{"n", "--", "./no-such-command"}, 127, "tenure: ./no-such-command: "},
		{"no dashes", []string{"n", "true"}, 125, "want NAME -- CMD"},
		{"no command", []string{"n", "--"}, 125, "no command"},
		{"no name", []string{"--", "true"}, 125, "want NAME -- CMD"},
		{"unknown flag", []string{"n", "--no-such-flag", "--", "true"}, 125, "unknown flag: --no-such-flag"},
		{"unknown policy", []string{"n", "--restart", "often", "--", "true"}, 125, "want no, on-failure or always"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := os.WriteFile(w.path("plain"), []byte("#!/bin/sh\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := w.do(append([]string{"run", "-q"}, c.args...)...).expect(c.code)
			if got := p.stderr.String(); !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
				t.Errorf("standard error %q, want one with %q", got, c.says)
			}
			w.expectEmpty()
		})
	}
}

func TestExitCodesOfOtherCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{}, 0},
		{[]string{"help"}, 0},
		{[]string{"no-such-command"}, 2},
		{[]string{"leader"}, 2},
		{[]string{"leader", "a", "b"}, 2},
		{[]string{"leader", "--no-such-flag", "a"}, 2},
		{[]string{"watch"}, 2},
		{[]string{"status", "a", "b"}, 2},
		{[]string{"version", "a"}, 2},
		{[]string{guardArg}, 2},
		{[]string{"leader", "nobody"}, 3},
		{[]string{"depose", "nobody", "--yes"}, 3},
		{[]string{"transfer", "nobody", "--to", "a", "--yes"}, 3},
		{[]string{"pause", "nobody", "--yes"}, 0},
		{[]string{"unpause", "nobody"}, 0},
		{[]string{"drain", "nobody", "--yes"}, 0},
		{[]string{"undrain", "nobody"}, 0},
	} {
		p := w.do(c.args...).expect(c.code)
		if c.code != 0 && p.stdout.String() != "" {
			t.Errorf("%q printed %q", c.args, p.stdout.String())
		}
	}
}

func TestHelpSaysWhatOneMustKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	help := w.do("run", "--help").expect(0).stdout.String()
	for _, part := range []string{"Exit codes:", "124 when", "128+N", "126", "127", "125", "processes that leave the group", "Signals:",
		"TENURE_ENDPOINT", "NOTIFY_SOCKET", "--pre-stop is", "--health-cmd is", "--max-hold has", "--wait-timeout ends"} {
		if !strings.Contains(help, part) {
			t.Errorf("tenure run --help does not mention %q", part)
		}
	}
	help = w.do("--help").expect(0).stdout.String()
	for _, part := range []string{"Exit codes:", "TENURE_STORE", "user's state directory", "nobody leads"} {
		if !strings.Contains(help, part) {
			t.Errorf("tenure --help does not mention %q", part)
		}
	}
}

// A member whose command cannot even start must not keep the others from leading.
func TestCommandThatCannotStartHandsOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		argv []string
		code int
	}{
		{"not found", []string{"no-such-command"}, 127},
		{"not executable", []string{"/"}, 126},
		{"exits at once", []string{"sh", "-c", "exit 5"}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.lead("first", append([]string{"n"}, forever...)...)
			broken := w.member("broken", append([]string{"n", "--"}, c.argv...)...)
			next := w.member("next", append([]string{"n"}, forever...)...)
			first.signal(syscall.SIGTERM)
			broken.expect(c.code)
			next.stdout.await(next, "works")
			next.signal(syscall.SIGTERM)
			next.expect(128 + 15)
			w.expectEmpty()
		})
	}
}

func TestPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.lead("first", append([]string{"n"}, forever...)...)
	low := w.member("low", append([]string{"n"}, forever...)...)
	high := w.member("high", append([]string{"n", "--priority", "1"}, forever...)...)
	first.signal(syscall.SIGTERM)
	high.stderr.await(high, "elected")
	if low.stdout.String() != "" {
		t.Error("both work")
	}
}

// What the command has started in its group ends with it, however it ends.
func TestGrandchildrenEndWithTheTerm(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *proc){
		"run is killed":         func(p *proc) { p.signal(syscall.SIGKILL) },
		"run is asked to stop":  func(p *proc) { p.signal(syscall.SIGTERM) },
		"the command goes away": func(p *proc) { _ = os.Remove(p.cmd.Dir + "/stay") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := os.WriteFile(w.path("stay"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			// The TTL is beyond patience: it is not the deadline that ends them.
			p := w.lead("a", "n", "--ttl", "1m", "--", "sh", "-c",
				`(trap "" HUP; sleep 1000 & sleep 1000) & echo works; while [ -e stay ]; do sleep 0.01; done`)
			p.stdout.await(p, "works")
			end(p)
			p.wait()
			w.expectNoProcess()
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	// Its third run succeeds.
	const third = `echo run >>runs; [ $(wc -l <runs) -eq 3 ]`
	t.Run("no", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.do("run", "n", "--", "sh", "-c", third).expect(1)
		expectRuns(t, w, 1)
	})
	t.Run("on failure", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		began := time.Now()
		p := w.do("run", "n", "--restart", "on-failure", "--", "sh", "-c", third).expect(0)
		expectRuns(t, w, 3)
		took := time.Since(began)
		told := regexp.MustCompile(`exit code 1; campaigning again in (.*)`).FindAllStringSubmatch(p.stderr.String(), -1)
		var sum time.Duration
		for i, match := range told {
			wait, err := time.ParseDuration(match[1])
			if most := restartMin << i; err != nil || wait < most/2 || wait > most {
				t.Errorf("pause %d is %s, want one from %v to %v", i+1, match[1], most/2, most)
			}
			sum += wait
		}
		if len(told) != 2 || took < sum-time.Millisecond {
			t.Errorf("three runs took %v: %q", took, p.stderr.String())
		}
		w.expectEmpty()
	})
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p := w.start("run", "n", "--restart", "always", "--", "sh", "-c", "echo ran")
		p.stdout.awaitTimes(p, "ran", 3)
		p.signal(syscall.SIGTERM)
		p.wait()
		w.expectEmpty()
	})
	t.Run("lets another lead meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.lead("first", append([]string{"n"}, forever...)...)
		failing := w.member("failing", "n", "--restart", "always", "--", "false")
		other := w.member("other", append([]string{"n"}, forever...)...)
		first.signal(syscall.SIGTERM)
		other.stdout.await(other, "works")
		failing.stderr.awaitTimes(failing, "waits to lead", 2)
		failing.signal(syscall.SIGTERM)
		failing.expect(128 + 15)
	})
	t.Run("does not follow what cannot start", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.do("run", "n", "--restart", "always", "--", "no-such-command").expect(127)
	})
}

func expectRuns(t *testing.T, w *world, n int) {
	t.Helper()
	runs, err := os.ReadFile(w.path("runs"))
	if err != nil || strings.Count(string(runs), "\n") != n {
		t.Errorf("the command ran %d times, want %d (%v)", strings.Count(string(runs), "\n"), n, err)
	}
}

func TestMemberIDIsUnique(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("twin", append([]string{"n", "--ttl", shortTTL.String(), "--endpoint", "10.0.0.1:80"}, forever...)...)
	p := w.do("run", "other", "--id", "twin", "--", "echo", "works").expect(125).says("")
	for _, part := range []string{`"twin" is alive at 10.0.0.1:80`, "give this member another id, or stop that one", "waiting up to"} {
		if !strings.Contains(p.stderr.String(), part) {
			t.Errorf("standard error does not say %q: %s", part, p.stderr.String())
		}
	}
}

// A supervisor that starts a killed member again gives it the same id.
func TestMemberIDOutlivesACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := append([]string{"n", "--ttl", shortTTL.String()}, forever...)
	first := w.lead("a", args...)
	first.signal(syscall.SIGKILL)
	first.wait()
	again := w.start(append([]string{"run", "--id", "a"}, args...)...)
	again.stdout.await(again, "works")
	again.signal(syscall.SIGTERM)
	again.expect(128 + 15)
	w.expectEmpty()
}

func TestDefaultStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  func(w *world) []string
		file string
	}{
		{"XDG_STATE_HOME", func(w *world) []string {
			return []string{"XDG_STATE_HOME=" + w.path("state"), "HOME=" + w.path("home")}
		}, "state/tenure/tenure.db"},
		{"HOME", func(w *world) []string { return []string{"HOME=" + w.path("home")} }, "home/.local/state/tenure/tenure.db"},
		{"a relative XDG_STATE_HOME is ignored", func(w *world) []string { return []string{"XDG_STATE_HOME=state", "HOME=" + w.path("home")} }, "home/.local/state/tenure/tenure.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			env := append(c.env(w), "TENURE_STORE=")
			p := w.command("run", "n", "--", "sh", "-c", `echo "$TENURE_STORE"`).setenv(env...).begin()
			p.expect(0).says("sqlite:" + w.path(c.file) + "\n")
			for path, want := range map[string]os.FileMode{c.file: 0o600, c.file[:len(c.file)-len("/tenure.db")]: os.ModeDir | 0o700} {
				info, err := os.Stat(w.path(path))
				if err != nil || info.Mode() != want {
					t.Errorf("%s: %v, want mode %v (%v)", path, info, want, err)
				}
			}
		})
	}
}

func TestStoreFlagBeatsTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("run", "n", "--store", "sqlite:"+w.path("other.db"), "--", "true").expect(0)
	if got := fmt.Sprint(w.files()); got != "[other.db other.db-bell]" {
		t.Errorf("files: %s", got)
	}
	w.do("run", "n", "--", "true").expect(0)
	if _, err := os.Stat(w.path("tenure.db")); err != nil {
		t.Errorf("TENURE_STORE was not used: %v", err)
	}
}

func TestNoHomeForTheDefaultStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("run", "n", "--", "true")
	p.cmd.Env = []string{w.mark, commandEnv + "=1", "GOCOVERDIR=" + os.Getenv("GOCOVERDIR")}
	if got := p.begin().expect(125).stderr.String(); !strings.Contains(got, "use --store sqlite:PATH") {
		t.Errorf("standard error: %q", got)
	}
}

// The README's example, shortened: no flag, no configuration.
func TestTwoMembersWithoutConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := []string{"TENURE_STORE=", "HOME=" + w.dir}
	cmd := []string{"run", "nightly", "--", "sh", "-c", `echo "$TENURE_MEMBER leads, token $TENURE_TOKEN"; exec sleep 1000`}
	first := w.command(cmd...).setenv(env...).begin()
	first.stdout.await(first, "leads, token")
	second := w.command(cmd...).setenv(env...).begin()
	second.stderr.await(second, "waits to lead")
	if got := second.stdout.String(); got != "" {
		t.Errorf("both work: %s", got)
	}
	first.signal(syscall.SIGINT)
	second.stdout.await(second, "leads, token")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s-%d-", host, second.cmd.Process.Pid); !strings.HasPrefix(second.stdout.String(), want) {
		t.Errorf("%q does not begin with %q", second.stdout.String(), want)
	}
}
