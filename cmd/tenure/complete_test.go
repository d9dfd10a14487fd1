//go:build unix

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
)

// completed are the suggestions for the last of args, without what is said of them.
func (w *world) completed(args ...string) []string {
	w.t.Helper()
	return completions(w.do(append([]string{"__complete"}, args...)...))
}

func completions(p *proc) []string {
	p.t.Helper()
	p.expect(0)
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
		p.t.Fatalf("%q printed %q", p.cmd.Args[1:], p.stdout.String())
	}
	var all []string
	for _, line := range lines[:len(lines)-1] {
		name, _, _ := strings.Cut(line, "\t")
		all = append(all, name)
	}
	return all
}

func TestCompletionSuggestsWhatIsInTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lead("a", append([]string{"nightly"}, forever...)...)
	w.member("b", append([]string{"nightly"}, forever...)...)
	w.lead("z", append([]string{"other"}, forever...)...)
	n1 := w.node("n1", cluster.Options{Tick: time.Minute})
	n2 := w.node("n2", cluster.Options{NeverLead: true, Tick: time.Minute})
	for n, keys := range map[*cluster.Clustered][]string{n1: {"load/1", "load/5"}, n2: {"disk"}} {
		for _, key := range keys {
			if err := n.Put(t.Context(), key, []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.awaitCandidate("c/n1")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"leader", ""}, []string{"c", "nightly", "other"}},
		{[]string{"watch", "n"}, []string{"nightly"}},
		{[]string{"run", "o"}, []string{"other"}},
		{[]string{"status", ""}, []string{"c", "nightly", "other"}},
		{[]string{"depose", "nightly", ""}, nil},
		{[]string{"transfer", "nightly", "--to", ""}, []string{"a", "b"}},
		{[]string{"transfer", "--to", ""}, []string{"a", "b", "c/n1", "z"}},
		{[]string{"drain", ""}, []string{"a", "b", "c/n1", "z"}},
		{[]string{"nodes", ""}, []string{"c"}},
		{[]string{"state", "get", "c", ""}, []string{"n1", "n2"}},
		{[]string{"state", "get", "c", "n1", ""}, []string{"load/1", "load/5"}},
		{[]string{"state", "get", "c", "n1", "load/5"}, []string{"load/5"}},
		{[]string{"state", "put", "c", "n2", "disk", ""}, nil},
		{[]string{"state", "list", "c", ""}, []string{"disk", "load/1", "load/5"}},
		{[]string{"state", "list", "c", "--node", "n"}, []string{"n1", "n2"}},
		{[]string{"state", "watch", "c", "--prefix", "load"}, []string{"load/1", "load/5"}},
		{[]string{"run", "--restart", ""}, []string{"no", "on-failure", "always"}},
		{[]string{"leader", "--store", "etcd"}, []string{"etcd://", "etcds://"}},
		{[]string{"leader", "--store", "sqlite:" + w.dir + "/tenure.db"}, []string{
			"sqlite:" + w.dir + "/tenure.db", "sqlite:" + w.dir + "/tenure.db-bell",
			"sqlite:" + w.dir + "/tenure.db-shm", "sqlite:" + w.dir + "/tenure.db-wal",
		}},
	} {
		if got := w.completed(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
	elsewhere := w.command("__complete", "--store", w.store, "leader", "").setenv("TENURE_STORE=sqlite:none").begin()
	if got := completions(elsewhere); len(got) != 3 {
		t.Errorf("of the store in --store: got %q", got)
	}
}

// Who presses a key has asked for nothing yet.
func TestCompletionMakesNoStoreAndChangesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := []string{"HOME=" + w.path("home"), "TENURE_STORE="}
	if got := completions(w.command("__complete", "leader", "").setenv(home...).begin()); got != nil {
		t.Errorf("got %q", got)
	}
	empty := w.path("empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"sqlite:" + w.path("none"), "sqlite:" + empty, "sqlite:" + w.dir, "sqlite:", "nonsense", "mem:"} {
		for _, args := range [][]string{{"leader", ""}, {"nodes", ""}, {"state", "list", "c", ""}} {
			if got := w.completed(append([]string{"--store", url}, args...)...); got != nil {
				t.Errorf("%q: got %q", url, got)
			}
		}
	}
	if got := w.files(); !slices.Equal(got, []string{"empty"}) {
		t.Errorf("completion made %q", got)
	}
	if info, err := os.Stat(empty); err != nil || info.Size() != 0 {
		t.Errorf("completion wrote %v, %v", info, err)
	}

	w.do("pause", "n", "--yes").expect(0)
	content := func() string {
		text, err := os.ReadFile(w.path("tenure.db"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, files := content(), w.files()
	if got := w.completed("leader", ""); !slices.Equal(got, []string{"n"}) {
		t.Errorf("got %q", got)
	}
	if content() != before || !slices.Equal(w.files(), files) {
		t.Errorf("completion changed the store; files before %q, now %q", files, w.files())
	}
}

// A store that takes connections and never answers must not hold up a prompt for as long
// as it holds up a command.
func TestCompletionDoesNotWaitForAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begun := time.Now()
	p := w.do("__complete", "--store", "etcd://"+silent.Addr().String(), "leader", "").expect(0).says(":4\n")
	if took, most := time.Since(begun), 5*time.Second; took >= most { // which is what opening it takes
		t.Errorf("took %v", took)
	}
	if text := p.stderr.String(); strings.Contains(text, "rror") {
		t.Errorf("said %q", text)
	}
}

// What the store holds others have written. A shell inserts it into a command line.
func TestCompletionSuggestsNothingThatAShellWouldRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"good-1.2_x/é:7", "$(touch x)1", "$(touch x)2", "`touch x`", "a;b", "a b", "a\nb", "a\tb", "~", "'", "-n", "*"} {
		w.do("pause", "--yes", "--", name).expect(0)
	}
	if got := w.completed("leader", ""); !slices.Equal(got, []string{"good-1.2_x/é:7"}) {
		t.Errorf("got %q", got)
	}
	if got := w.completed("leader", "--", "-"); !slices.Equal(got, []string{"-n"}) {
		t.Errorf("got %q", got)
	}
}

func TestTheWordsOfAUsageLineAreItsArguments(t *testing.T) {
	t.Parallel()
	for use, want := range map[string][]string{
		"version":                             nil,
		"leader NAME":                         {"NAME"},
		"status [NAME]":                       {"NAME"},
		"run NAME [flags] -- CMD [ARG...]":    {"NAME"},
		"transfer NAME --to MEMBER":           {"NAME"},
		"serve --name NAME --data DIR":        nil,
		"wait NAME [--for leader|ID|change]":  {"NAME"},
		"wait [--for WHOM] NAME [--timeout]":  {"NAME"},
		"put CLUSTER NODE KEY VALUE":          {"CLUSTER", "NODE", "KEY", "VALUE"},
		"list CLUSTER [KEY]":                  {"CLUSTER", "KEY"},
		"several MEMBER...":                   {"MEMBER"},
		"campaign NAME -q [flags] -- [CMD] X": {"NAME"},
	} {
		if got := argumentsOf(&cobra.Command{Use: use}); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", use, got, want)
		}
	}
}

// bashCompletion completes a command line as a key press does. The one function that the
// script wants of the package bash-completion is there in the simplest form.
const bashCompletion = `
_init_completion() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}; }
compopt() { :; }
source <(tenure completion bash) || exit
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9 COMP_LINE="$*" COLUMNS=80
__start_tenure
printf '%s\n' "${COMPREPLY[@]}"
`

func TestCompletionWorksInBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	w := newWorld(t)
	if err := os.Symlink(self(t), w.path("tenure")); err != nil {
		t.Fatal(err)
	}
	w.do("pause", "nightly", "--yes").expect(0)
	w.do("pause", "hourly", "--yes").expect(0)
	for _, c := range []struct{ args, want []string }{
		{[]string{"dep"}, []string{"depose"}},
		{[]string{"leader", "n"}, []string{"nightly"}},
		{[]string{"status", ""}, []string{"hourly   (nobody leads)", "nightly  (nobody leads)"}},
		{[]string{"run", "nightly", "--restart", "on"}, []string{"on-failure"}},
		{[]string{"leader", "--js"}, []string{"--json"}},
	} {
		cmd := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", bashCompletion, "bash", "tenure"}, c.args...)...)
		cmd.Env = append(slices.Clone(w.env), "PATH="+w.dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
		cmd.Dir = w.dir
		out, err := cmd.CombinedOutput()
		if got := strings.Split(strings.TrimSpace(string(out)), "\n"); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.args, got, err, c.want)
		}
	}
}

func TestEveryShellHasAScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := w.do("completion", shell).expect(0).stdout.String(); !strings.Contains(script, cobra.ShellCompRequestCmd) {
			t.Errorf("%s: got %q", shell, script)
		}
	}
	expectOneError(t, w.do("completion", "tcsh").expect(exitUsage).says(""), `unknown command "tcsh"`)
	expectOneError(t, w.do("completion", "bash", "more").expect(exitUsage).says(""), "want no arguments")
}
