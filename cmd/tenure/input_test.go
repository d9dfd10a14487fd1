//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/tenure-go/tenure"
)

var long = strings.Repeat("x", tenure.MaxName+1)

// Each refusal is one error that names the thing, the limit and the remedy, and
// makes nothing: not even a store.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	work := []string{"--", "sh", "-c", "echo works; exec sleep 1000"}
	for _, c := range []struct {
		name string
		args []string // of run
		says string
	}{
		{"TTL of zero", []string{"n", "--ttl", "0"}, "--ttl is 0s; give one from 100ms to 1h0m0s"},
		{"negative TTL", []string{"n", "--ttl", "-1s"}, "--ttl is -1s; give one from 100ms to 1h0m0s"},
		{"TTL of a nanosecond", []string{"n", "--ttl", "1ns"}, "--ttl is 1ns; give one from 100ms to 1h0m0s"},
		{"TTL of a century", []string{"n", "--ttl", "876000h"}, "--ttl is 876000h0m0s; give one from 100ms to 1h0m0s"},
		{"TTL of an eternity", []string{"n", "--ttl", "9999999999h"}, `invalid argument "9999999999h" for "--ttl"`},
		{"empty election", []string{""}, "election name is empty; give 1 to 1024 bytes"},
		{"long election", []string{long}, "election name has 1025 bytes; give 1024 at most"},
		{"election in Latin-1", []string{"caf\xe9"}, `election name "caf\xe9" is not UTF-8; give one that is`},
		{"empty id", []string{"n", "--id", ""}, "--id is empty; give 1 to 1024 bytes"},
		{"long id", []string{"n", "--id", long}, "--id has 1025 bytes; give 1024 at most"},
		{"id in Latin-1", []string{"n", "--id", "caf\xe9"}, `--id "caf\xe9" is not UTF-8; give one that is`},
		{"long endpoint", []string{"n", "--endpoint", strings.Repeat(long, 5)}, "--endpoint has 5125 bytes; give 4096 at most"},
		{"endpoint in Latin-1", []string{"n", "--endpoint", "\xe9"}, `--endpoint "\xe9" is not UTF-8; give one that is`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.do(append(append([]string{"run"}, c.args...), work...)...).expect(exitRunFailed).says("")
			expectOneError(t, p, c.says)
			if files := w.files(); len(files) > 0 {
				t.Errorf("left %q", files)
			}
			w.expectNoProcess()
		})
	}
}

func TestBadElectionNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, says := range map[string]string{
		"":        "election name is empty; give 1 to 1024 bytes",
		long:      "election name has 1025 bytes; give 1024 at most",
		"caf\xe9": `election name "caf\xe9" is not UTF-8; give one that is`,
	} {
		for _, command := range []string{"leader", "watch", "status"} {
			expectOneError(t, w.do(command, name).expect(exitUsage).says(""), says)
		}
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}

// expectOneError fails unless standard error is one message with the given words,
// and at most a hint where to find help after it.
func expectOneError(t *testing.T, p *proc, words ...string) {
	t.Helper()
	lines := strings.SplitAfter(p.stderr.String(), "\n")
	if len(lines) == 3 && strings.HasPrefix(lines[1], `run "tenure `) {
		lines = append(lines[:1], lines[2])
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "tenure: ") {
		t.Errorf("want one line of an error, got %q", p.stderr.String())
	}
	for _, part := range words {
		if !strings.Contains(lines[0], part) {
			t.Errorf("the error does not say %q: %s", part, lines[0])
		}
	}
}

// What a name may hold comes out of every command as it went in.
func TestUnusualNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{
		"a/b", "/", "..", "../../etc/passwd", "%", "%2F", "100%", "line\nbreak", "-dash", "--", "--json", " ", "tab\there",
		"caf\u00e9", "\U0001f411", "\u200b", "'\"$x`", strings.Repeat("x", tenure.MaxName),
	} {
		t.Run(fmt.Sprintf("%.30q", name), func(t *testing.T) {
			t.Parallel()
			testName(t, w, name)
		})
	}
}

func testName(t *testing.T, w *world, name string) {
	watch := w.start("watch", "--json", "--", name)
	watch.stdout.await(watch, "vacant")
	p := w.start("run", "-q", "--id="+name, "--endpoint="+name, "--", name, "--",
		"sh", "-c", `printf '%s|%s' "$TENURE_ELECTION" "$TENURE_MEMBER"; echo works; exec sleep 1000`)
	p.stdout.await(p, "works")
	p.says0(name + "|" + name + "works\n")
	leader := decode[leaderJSON](t, w.do("leader", "--json", "--", name).expect(0).stdout.String())
	if leader.Election != name || leader.Leader != name || leader.Endpoint != name {
		t.Errorf("leader: %+v", leader)
	}
	status := decode[statusJSON](t, w.do("status", "--json", "--", name).expect(0).stdout.String())
	if status.Election != name || *status.Leader != leader || len(status.Candidates) != 1 || status.Candidates[0].Member != name {
		t.Errorf("status: %+v", status)
	}
	w.do("leader", "--", name).expect(0).says(plain(name) + "\t" + plain(name) + "\n")
	if plainly := plain(name); strings.ContainsAny(plainly, "\n\t") {
		t.Errorf("%q is printed as %q", name, plainly)
	}
	listed := false
	for l := range strings.Lines(w.do("status", "--json").expect(0).stdout.String()) {
		s := decode[statusJSON](t, l)
		listed = listed || s.Election == name && s.Leader.Leader == name
	}
	if !listed {
		t.Error("it is not in the list of all elections")
	}
	watch.stdout.await(watch, "elected")
	watch.signal(syscall.SIGTERM)
	watch.expect(0)
	events := strings.SplitAfter(watch.stdout.String(), "\n")
	if ev := decode[eventJSON](t, events[1]); ev.Election != name || ev.Leader != name || ev.Token != leader.Token {
		t.Errorf("event: %+v", ev)
	}
	testOrders(t, w, name, leader.Token)
	p.signal(syscall.SIGTERM)
	p.expect(128 + 15)
}

// testOrders gives orders that concern the leader of an election, whose name is its
// own, too, and leaves all as it was.
func testOrders(t *testing.T, w *world, name string, token tenure.Token) {
	t.Helper()
	led := fmt.Sprintf("%s at %s leads, token %d\n", plain(name), plain(name), token)
	w.do("transfer", "--yes", "--to="+name, "--", name).expect(0).says(led)
	w.do("pause", "--yes", "--", name).expect(0).says(plain(name) + " is paused: nobody is elected until it is unpaused\n")
	status := decode[statusJSON](t, w.do("status", "--json", "--", name).expect(0).stdout.String())
	if status.Paused == nil {
		t.Errorf("not paused: %+v", status)
	}
	w.do("unpause", "--", name).expect(0).says(plain(name) + " is not paused\n")
	w.do("depose", "--yes", "--token", "1", "--", name).expect(1).says("")
	_, first := utf8.DecodeRuneInString(name)
	other := "q" + name[first:] // no member's
	drained := decode[orderJSON](t, w.do("drain", "--yes", "--json", "--", other).expect(0).stdout.String())
	if drained.Member != other {
		t.Errorf("drained: %+v", drained)
	}
	w.do("undrain", "--", other).expect(0).says(plain(other) + " is not drained\n")
}

// says0 is says of a process that still runs.
func (p *proc) says0(text string) {
	p.t.Helper()
	if got := p.stdout.String(); got != text {
		p.t.Errorf("%q printed %q, want %q", p.cmd.Args[1:], got, text)
	}
}

func TestBadStores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		store func(t *testing.T, w *world) string
		says  []string
	}{
		{"unknown scheme", fixed("redis://localhost"), []string{`"redis://localhost"`, "unknown scheme", "want sqlite:PATH, etcd://HOST"}},
		{"no scheme", fixed("/var/lib/tenure.db"), []string{`"/var/lib/tenure.db"`, "unknown scheme", "want sqlite:PATH"}},
		{"memory", fixed("mem:"), []string{`"mem:"`, "lives in one process", "use sqlite:PATH", "etcd://HOST"}},
		{"no path", fixed("sqlite:"), []string{`"sqlite:"`, "no path", "want sqlite:PATH"}},
		{"a folder", func(_ *testing.T, w *world) string { return "sqlite:" + w.dir }, []string{"is a folder", "name a file inside it"}},
		{"no folder", func(_ *testing.T, w *world) string { return "sqlite:" + w.path("none/tenure.db") }, []string{"folder does not exist", "make it first"}},
		{"a file below a file", func(t *testing.T, w *world) string {
			w.write("plain", "text")
			return "sqlite:" + w.path("plain/tenure.db")
		}, []string{"plain/tenure.db", "folder cannot be used", "name another"}},
		{"no database", func(t *testing.T, w *world) string {
			return "sqlite:" + w.write("text.db", strings.Repeat("no database\n", 100))
		}, []string{"text.db", "is not a SQLite database", "choose another path"}},
		{"another program's database", func(t *testing.T, w *world) string {
			return w.patched("other.db", 68, 0x12, 0x34, 0x56, 0x78)
		}, []string{"other.db", "another program", "0x12345678", "choose another path"}},
		{"a newer version's database", func(t *testing.T, w *world) string {
			return w.patched("newer.db", 60, 0, 0, 0, 99)
		}, []string{"newer.db", "format 99", "newer version", "upgrade this program"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			url := c.store(t, w)
			w.expectRefused(t, url, c.says...)
		})
	}
}

func fixed(url string) func(*testing.T, *world) string {
	return func(*testing.T, *world) string { return url }
}

// expectRefused tries a store with every command, and fails unless each of them
// refuses it in words, and leaves all as it was.
func (w *world) expectRefused(t *testing.T, url string, words ...string) {
	t.Helper()
	before := w.contents()
	for _, args := range [][]string{
		{"run", "n", "--", "echo", "works"}, {"leader", "n"}, {"watch", "n"}, {"status"}, {"status", "n"},
		{"depose", "n", "--yes"}, {"transfer", "n", "--to", "a", "--yes"}, {"pause", "n", "--yes"}, {"unpause", "n"}, {"drain", "a", "--yes"}, {"undrain", "a"},
		{"nodes", "c"}, {"nodes", "c", "--watch"}, {"state", "get", "c", "a", "k"}, {"state", "list", "c"}, {"state", "watch", "c", "k"},
		{"state", "put", "c", "a", "k", "v"}, {"state", "delete", "c", "a", "k"},
	} {
		code := exitFailed
		if args[0] == "run" {
			code = exitRunFailed
		}
		p := w.command(append([]string{"--store", url}, args...)...)
		p.cmd.SysProcAttr = w.attr
		p.begin().expect(code).says("")
		expectOneError(t, p, words...)
	}
	if after := w.contents(); after != before {
		t.Errorf("the folder held %s\nand holds %s", before, after)
	}
	w.expectNoProcess()
}

// contents describes all files of the world.
func (w *world) contents() string {
	w.t.Helper()
	var all strings.Builder
	for _, name := range w.files() {
		data, err := os.ReadFile(w.path(name))
		if err != nil {
			data = []byte(err.Error())
		}
		fmt.Fprintf(&all, "%s (%d bytes, %x) ", name, len(data), hash(data))
	}
	return all.String()
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// patched makes a store, and overwrites a field of its file's header (see
// "Database File Format" in SQLite's documentation).
func (w *world) patched(name string, offset int64, value ...byte) string {
	w.t.Helper()
	url := "sqlite:" + w.path(name)
	w.do("--store", url, "run", "-q", "n", "--", "true").expect(0)
	f, err := os.OpenFile(w.path(name), os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(value, offset); err != nil {
		w.t.Fatal(err)
	}
	return url
}

func TestReadOnlyStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := "sqlite:" + w.path("tenure.db")
	w.do("--store", url, "run", "-q", "n", "--", "true").expect(0)
	if err := os.Chmod(w.path("tenure.db"), 0o444); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // who may write everything
		w.asNobody(t)
	}
	w.expectRefused(t, url, "tenure.db", "cannot be written")
}

// asNobody has the processes of the world run without root's rights.
func (w *world) asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	w.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	// t.TempDir's parent, which is the test's own, is closed to others, and so
	// may be the folder of the test binary.
	for _, dir := range []string{filepath.Dir(w.dir), w.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	coverage := t.TempDir()
	if err := os.Chmod(coverage, 0o777); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "GOCOVERDIR="+coverage)
	binary, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	w.binary = w.path("tenure")
	if err := os.WriteFile(w.binary, binary, 0o755); err != nil {
		t.Fatal(err)
	}
}
