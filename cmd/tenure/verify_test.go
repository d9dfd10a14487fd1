//go:build unix

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure/cmd/tenure/internal/rules"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// trialTime is how long a verify may take on a machine that does much else.
const trialTime = 4 * time.Minute

// end waits for a process that takes longer than others, and returns its exit code.
func (p *proc) endWithin(t *testing.T, d time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(d):
		t.Errorf("%q does not end; stderr:\n%s", p.cmd.Args[1:], p.stderr.String())
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// inUse puts something of somebody else's into a world's store.
func (w *world) inUse() {
	w.t.Helper()
	w.look(func(st store.Store) error {
		_, err := st.Commit(w.t.Context(), store.Tx{Then: []store.Op{store.Put("of others", []byte("kept"), store.NoLease)}})
		return err
	})
}

// expectAsBefore fails unless the store holds what others have put, as it was, and no
// lease; nor may a process live.
func (w *world) expectAsBefore(leases func() int) {
	w.t.Helper()
	w.look(func(st store.Store) error {
		l, err := st.List(w.t.Context(), store.Prefix(""))
		if len(l.Entries) != 1 || string(l.Entries[0].Value) != "kept" || l.Entries[0].Created != l.Entries[0].Modified {
			w.t.Errorf("the store holds %+v, want what others had put", l.Entries)
		}
		return err
	})
	eventually(w.t, "no lease is left", func() bool { return leases() == 0 })
	w.expectNoProcess()
}

// sqliteLeases counts the leases in the file of a world.
func (w *world) sqliteLeases() int {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "tenure.db")) // the driver of sqlitestore
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM leases").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// etcdLeases counts the leases of a cluster. Each handle on it has made one when it was
// opened, which ends by itself.
func etcdLeases(t *testing.T, c *etcdtest.Cluster) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoints()[0]+"/v3/lease/leases", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Leases []any }
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", text, err)
	}
	return len(out.Leases)
}

// passed fails unless a verify has found nothing to object to.
func passed(t *testing.T, p *proc) verificationJSON {
	t.Helper()
	if code := p.endWithin(t, trialTime); code != 0 {
		t.Fatalf("exit code %d; stdout:\n%s\nstderr:\n%s", code, p.stdout.String(), p.stderr.String())
	}
	v := decode[verificationJSON](t, p.stdout.String())
	left := map[string]bool{}
	for _, r := range v.Rules {
		if r.Outcome == rules.Broken || r.Rule == "" {
			t.Errorf("%+v", r)
		}
		if r.Outcome == rules.NotExercised {
			left[r.Name] = true
			if !strings.Contains(r.Why, "does not compact") && !strings.Contains(r.Why, "too slow") {
				t.Errorf("%+v", r)
			}
		}
	}
	if len(v.Rules) != rules.Contract()+rules.Elected() || !v.OK || !left["watch/compacted"] || !left["watch/after-compaction"] {
		t.Errorf("%d rules, of which were not exercised: %v", len(v.Rules), left)
	}
	for what, f := range map[string]*figuresJSON{"renewal": v.Renewal, "round": v.Round, "hand-over": v.HandOver} {
		if f == nil || f.N == 0 || f.Min <= 0 || f.P50 < f.Min || f.P99 < f.P50 || f.Max < f.P99 {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if v.Advice == nil || len(v.Advice.Needs) != 3 || v.Advice.TTL == "" || v.Advice.Patience == "" || v.Default.TTL != "10s" {
		t.Errorf("advice: %+v, default: %+v", v.Advice, v.Default)
	}
	if v.Requests == 0 || v.Requests > verifyRequests || v.Handles == 0 {
		t.Errorf("%d requests, %d handles", v.Requests, v.Handles)
	}
	return v
}

func TestVerifyPassesOnSQLite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inUse()
	p := w.start("verify", "--json", "--quiet")
	passed(t, p)
	if p.stderr.String() != "" {
		t.Errorf("--quiet, and it says %s", p.stderr.String())
	}
	w.expectAsBefore(w.sqliteLeases)
}

func TestVerifyPassesOnEtcd(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/some/prefix")
	w.inUse()
	p := w.start("verify", "--json")
	v := passed(t, p)
	if v.Kind != "etcd" || v.Store != w.store {
		t.Errorf("%+v", v)
	}
	for line := range strings.Lines(p.stderr.String()) { // one value a line
		ev := decode[struct {
			Event, Phase string
			Done, Of     int
		}](t, line)
		if ev.Event != "progress" || ev.Phase == "" || ev.Done > ev.Of {
			t.Errorf("progress: %s", line)
		}
	}
	w.expectAsBefore(func() int { return etcdLeases(t, c) })
}

// What a person sees: everything by name, and the formula with its numbers.
func TestVerifyTellsWhatItHasFound(t *testing.T) {
	t.Parallel()
	w := newWorldOver(t, t.TempDir(), "broken:none")
	p := w.start("verify", "--outage", "3s")
	if code := p.endWithin(t, trialTime); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	for _, text := range []string{
		"memory store broken:none", "rules hold:\n", "one-holder", "made-again",
		"2 rules not exercised:\n  watch/compacted: Watch ends with ErrCompacted",
		"MEDIAN", "renewal ", "round: renewal and read ", "hand-over: function returned to next called ",
		"--ttl 10s suits this store", "at least 3s + 2 x ", "PATIENCE", "default  10s  3.33s",
	} {
		if !strings.Contains(p.stdout.String(), text) {
			t.Errorf("does not say %q:\n%s", text, p.stdout.String())
		}
	}
	p.stderr.await(p, "tenure: rules of a store: 1 of")
	p.stderr.await(p, "tenure: hand-overs: 40 of 40\n")
	p.stderr.await(p, "left: 0 keys, <nil>")
}

// Each store breaks what its name says, and nothing else is blamed.
func TestVerifyNamesTheRuleThatIsBroken(t *testing.T) {
	t.Parallel()
	for name, f := range flaws {
		if len(f.rules) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOver(t, t.TempDir(), "broken:"+name)
			asJSON := name != "unsorted-lists"
			args := []string{"verify", "--quiet"}
			if asJSON {
				args = append(args, "--json")
			}
			p := w.start(args...)
			if code := p.endWithin(t, trialTime); code != exitFailed {
				t.Errorf("exit code %d, want %d", code, exitFailed)
			}
			for _, rule := range f.rules {
				p.stderr.await(p, rule) // the error names it
			}
			p.stderr.await(p, "tenure: the store breaks ")
			p.stderr.await(p, "left: 0 keys, <nil>")
			if !asJSON {
				if text := "\nBROKEN list/sorted: A Listing is sorted by key, byte by byte.\n      "; !strings.Contains(p.stdout.String(), text) {
					t.Errorf("does not say %q:\n%s", text, p.stdout.String())
				}
				return
			}
			v := decode[verificationJSON](t, p.stdout.String())
			var broken []string
			for _, r := range v.Rules {
				if r.Outcome == rules.Broken {
					broken = append(broken, r.Name)
					if r.Why == "" || r.Rule == "" || strings.Contains(r.Why, r.Rule) {
						t.Errorf("%+v", r)
					}
				}
			}
			broken = slices.DeleteFunc(broken, func(name string) bool { return slices.Contains(f.may, name) })
			slices.Sort(broken)
			if want := slices.Sorted(slices.Values(f.rules)); !slices.Equal(broken, want) || v.OK {
				t.Errorf("broken: %q, want %q\n%+v", broken, want, v.Rules)
			}
		})
	}
}

func TestVerifyNamesTheCapabilityThatIsLacking(t *testing.T) {
	t.Parallel()
	w := newWorldOver(t, t.TempDir(), "broken:one-key")
	p := w.start("verify", "--quiet")
	if code := p.endWithin(t, trialTime); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, text := range []string{
		"BROKEN election/needs: The store can do what an election needs.\n",
		"store: unsupported: a memory store has no transactions over several keys, which an election needs",
		"commit/atomic: All of Then takes effect at one revision: no reader sees a part of it.\n      memory has no transactions of several keys",
		"election/fail-over: When a leader falls silent, another is elected, within Bounds.Crash.\n      no election can be held",
	} {
		if !strings.Contains(p.stdout.String(), text) {
			t.Errorf("does not say %q:\n%s", text, p.stdout.String())
		}
	}
}

// A store of which nothing can be expected breaks many rules, and no program.
func TestVerifyOfAStoreThatDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorldOver(t, t.TempDir(), "broken:void")
	p := w.start("verify", "--quiet")
	if code := p.endWithin(t, trialTime); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	p.stderr.await(p, "commit/linearizable")
	p.stderr.await(p, "\nmore than 20000 requests\n") // of those who wait for what never comes
	p.stderr.await(p, "left: 0 keys, <nil>")
	if strings.Contains(p.stderr.String(), "goroutine") {
		t.Errorf("it panicked:\n%s", p.stderr.String())
	}
	if !strings.Contains(p.stdout.String(), "BROKEN commit/linearizable: ") {
		t.Errorf("stdout:\n%s", p.stdout.String())
	}
}

// Interrupted at any time, it leaves nothing behind, neither in the store nor of
// itself.
func TestVerifyThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for phase, sig := range map[string]syscall.Signal{
		"rules of a store: 1 of": syscall.SIGINT, "rules of elections: 1 of": syscall.SIGTERM,
		"renewals: 1 of": syscall.SIGHUP, "hand-overs: 0 of": syscall.SIGINT,
	} {
		t.Run(strings.Fields(phase)[0], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inUse()
			p := w.start("verify", "--ttl", "500ms")
			p.awaitLong(t, phase)
			p.signal(sig)
			p.expect(exitFailed).says("")
			if last := lastLine(p.stderr.String()); !strings.HasPrefix(last, "tenure: ") || !strings.HasSuffix(last, " signal received\n") {
				t.Errorf("its last words: %q", last)
			}
			w.expectAsBefore(w.sqliteLeases)
		})
	}
}

func TestVerifyOverEtcdThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/x")
	w.inUse()
	for _, phase := range []string{"rules of a store: 1 of", "rules of elections: 1 of"} {
		p := w.start("verify")
		p.awaitLong(t, phase)
		p.signal(syscall.SIGINT)
		p.expect(exitFailed).says("")
		w.expectAsBefore(func() int { return etcdLeases(t, c) })
	}
}

// awaitLong is await for what takes longer than others.
func (p *proc) awaitLong(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(trialTime)
	for !strings.Contains(p.stderr.String(), text) {
		select {
		case <-p.ended:
			t.Fatalf("ended without %q: %s", text, p.stderr.String())
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q: %s", text, p.stderr.String())
		}
	}
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, reportMark(text))
	i := bytes.LastIndexByte([]byte(strings.TrimSuffix(text, "\n")), '\n')
	return text[i+1:]
}

// reportMark is what the tests themselves have added to a text.
func reportMark(text string) string {
	if i := strings.Index(text, "left: "); i >= 0 {
		return text[i:]
	}
	return ""
}

// A store that hangs delays the end; a second signal does not wait.
func TestASecondSignalEndsVerifyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorldOver(t, t.TempDir(), "broken:silent")
	p := w.start("verify", "--ttl", "200ms")
	p.stderr.await(p, "asked")
	p.signal(syscall.SIGINT)
	eventually(t, "the first signal is taken", func() bool {
		p.signal(syscall.SIGINT)
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v; stderr: %s", p.cmd.ProcessState, p.stderr.String())
	}
}

// Nor can a store keep it that does not let go of its callers.
func TestVerifyOfAStoreThatHangsComesToAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorldOver(t, t.TempDir(), "broken:silent")
	p := w.start("verify", "--ttl", "200ms", "--timeout", "500ms", "--quiet")
	if code := p.endWithin(t, trialTime); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	p.stderr.await(p, "tenure: not done within 500ms; see --timeout\n") // and not that it was abandoned
}

// What cannot be done in time is not done; it takes no longer for that.
func TestVerifyKeepsItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inUse()
	p := w.start("verify", "--ttl", "500ms", "--timeout", "300ms", "--quiet")
	p.expect(exitFailed)
	if !strings.Contains(p.stdout.String(), "not done within 300ms; see --timeout") || strings.Contains(p.stdout.String(), "BROKEN") {
		t.Errorf("stdout:\n%s", p.stdout.String())
	}
	expectOneError(t, p, "not done within 300ms; see --timeout")
	w.expectAsBefore(w.sqliteLeases)
}

func TestVerifyOfAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // and never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, command := range []string{"verify", "bench"} {
		w := newWorldOver(t, t.TempDir(), "etcd://"+l.Addr().String())
		expectOneError(t, w.do(command, "--quiet").expect(exitFailed).says(""), l.Addr().String(), "no endpoint answers")
	}
}

func TestBadArgumentsOfTrials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ args, says string }{
		{"verify n", "want no arguments, got 1"},
		{"verify --ttl 0", "--ttl is 0s; give one from 100ms to 1h0m0s"},
		{"verify --timeout 0", "--timeout is 0s; give one above zero"},
		{"verify --outage -1s", "--outage is -1s; give one from 0s to 1h0m0s"},
		{"bench n", "want no arguments, got 1"},
		{"bench --ttl 1ns", "--ttl is 1ns; give one from 100ms to 1h0m0s"},
		{"bench --members 1", "--members is 1; give one from 2 to 100"},
		{"bench -n -1", "--hand-overs is -1; give one from 0 to 10000"},
		{"bench --fail-overs 101", "--fail-overs is 101; give one from 0 to 100"},
	} {
		expectOneError(t, w.do(strings.Fields(c.args)...).expect(exitUsage).says(""), c.says)
	}
	if files := w.files(); len(files) > 0 {
		t.Errorf("left %q", files)
	}
}
