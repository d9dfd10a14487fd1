//go:build unix

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// patience is for what takes milliseconds on an idle machine.
const patience = 20 * time.Second

// world is a store of its own and the processes that use it.
type world struct {
	t     testing.TB
	dir   string
	store string // URL
	env   []string
	mark  string // in the environment of every process

	binary string               // "": this one
	attr   *syscall.SysProcAttr // of some processes

	mu    sync.Mutex
	procs []*proc
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	return newWorldOver(t, dir, "sqlite:"+filepath.Join(dir, "tenure.db"))
}

// newWorldOver is a world in a folder, over a store whose URL is given.
func newWorldOver(t testing.TB, dir, url string) *world {
	t.Helper()
	w := &world{t: t, dir: dir, store: url}
	w.mark = "TENURE_TEST_WORLD=" + dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TENURE_") && !strings.HasPrefix(v, "XDG_") {
			w.env = append(w.env, v)
		}
	}
	w.env = append(w.env, w.mark, commandEnv+"=1", "TENURE_STORE="+w.store, "TENURE="+self(t), "WORKER="+workerPath,
		"GORACE=atexit_sleep_ms=10 "+os.Getenv("GORACE")) // or a race detector lets every process linger for a second
	t.Cleanup(w.end)
	return w
}

func self(t testing.TB) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// end kills what the test has started, and fails if anything else is left.
func (w *world) end() {
	for _, p := range w.procs {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
	}
	for _, p := range w.procs {
		p.wait()
	}
	w.expectNoProcess()
}

// expectNoProcess fails if a process of this world lives on, and kills it.
func (w *world) expectNoProcess() {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		left := marked(w.mark)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, pid := range left {
				name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				w.t.Errorf("process %d was left behind: %q", pid, name)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
		time.Sleep(2 * time.Millisecond) // a process that was killed takes a moment to go
	}
}

// marked lists the processes that carry a mark, where the system shows it.
func marked(mark string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// look opens the store for the test itself, for as long as fn runs.
func (w *world) look(fn func(st store.Store) error) {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	st, err := openStore(ctx, w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := errors.Join(fn(st), st.Close()); err != nil {
		w.t.Fatal(err)
	}
}

// keys lists what is in the store, but for histories: those stay for people to read, and
// are written when a member gets round to it.
func (w *world) keys() []string {
	w.t.Helper()
	var keys []string
	w.look(func(st store.Store) error {
		l, err := st.List(w.t.Context(), store.Prefix(""))
		for _, e := range l.Entries {
			if !strings.HasPrefix(e.Key, "history/") {
				keys = append(keys, e.Key)
			}
		}
		return err
	})
	return keys
}

// awaitCandidate waits until the store knows a member as a candidate.
func (w *world) awaitCandidate(id string) {
	w.t.Helper()
	w.look(func(st store.Store) (err error) {
		eventually(w.t, "candidate "+id, func() bool {
			var all []tenure.Status
			all, err = tenure.Survey(w.t.Context(), st)
			return err != nil || slices.ContainsFunc(all, func(s tenure.Status) bool {
				return slices.ContainsFunc(s.Candidates, func(c tenure.Candidate) bool { return c.Member == id })
			})
		})
		return err
	})
}

// expectEmpty fails if the store holds anything or a process lives.
func (w *world) expectEmpty() {
	w.t.Helper()
	if keys := w.keys(); len(keys) > 0 {
		w.t.Errorf("left in the store: %q", keys)
	}
	w.expectNoProcess()
}

// files lists what is in the world's folder.
func (w *world) files() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// proc is one process of the command.
type proc struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// command prepares a command line; begin starts it.
func (w *world) command(args ...string) *proc {
	p := &proc{t: w.t, cmd: exec.Command(cmp.Or(w.binary, self(w.t)), args...), ended: make(chan struct{})}
	p.cmd.Env = slices.Clone(w.env)
	p.cmd.Dir = w.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = patience
	p.stdout.init()
	p.stderr.init()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.procs = append(w.procs, p)
	return p
}

func (p *proc) setenv(vars ...string) *proc {
	p.cmd.Env = append(p.cmd.Env, vars...)
	return p
}

func (p *proc) begin() *proc {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // its state is read where it matters
		p.stdout.close()
		p.stderr.close()
	}()
	return p
}

func (w *world) start(args ...string) *proc {
	w.t.Helper()
	return w.command(args...).begin()
}

// do runs a command line to its end.
func (w *world) do(args ...string) *proc {
	w.t.Helper()
	p := w.start(args...)
	p.wait()
	return p
}

// member starts a run, and waits until it is a candidate.
func (w *world) member(id string, args ...string) *proc {
	w.t.Helper()
	p := w.start(append([]string{"run", "--id", id}, args...)...)
	p.stderr.await(p, "waits to lead")
	w.awaitCandidate(id)
	return p
}

// lead starts a run and waits until it leads.
func (w *world) lead(id string, args ...string) *proc {
	w.t.Helper()
	p := w.start(append([]string{"run", "--id", id}, args...)...)
	p.stderr.await(p, "elected, token")
	return p
}

func (p *proc) started() bool { return p.cmd.Process != nil }

func (p *proc) signal(sig syscall.Signal) {
	select {
	case <-p.ended:
		return
	default:
	}
	if p.started() {
		_ = p.cmd.Process.Signal(sig) // or it has just ended
	}
}

// signalAgain sends a signal that is another one, and not the first sent twice.
func (p *proc) signalAgain(sig syscall.Signal) {
	time.Sleep(sameSignal) // it is the time that makes it another
	p.signal(sig)
}

// wait returns the exit code, -1 after a signal.
func (p *proc) wait() int {
	p.t.Helper()
	if !p.started() {
		return -1
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%q does not end; stderr:\n%s", p.cmd.Args[1:], p.stderr.String())
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// expect fails unless the process ends with code.
func (p *proc) expect(code int) *proc {
	p.t.Helper()
	if got := p.wait(); got != code {
		p.t.Fatalf("%q: exit code %d, want %d; stdout:\n%s\nstderr:\n%s", p.cmd.Args[1:], got, code, p.stdout.String(), p.stderr.String())
	}
	return p
}

// says fails unless standard output is exactly text.
func (p *proc) says(text string) *proc {
	p.t.Helper()
	p.wait()
	if got := p.stdout.String(); got != text {
		p.t.Errorf("%q printed %q, want %q", p.cmd.Args[1:], got, text)
	}
	return p
}

// output collects what a process prints.
type output struct {
	mu    sync.Mutex
	more  *sync.Cond
	buf   bytes.Buffer
	ended bool
}

func (o *output) init() { o.more = sync.NewCond(&o.mu) }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.more.Broadcast()
	return o.buf.Write(b)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.more.Broadcast()
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until text has been printed.
func (o *output) await(p *proc, text string) {
	p.t.Helper()
	o.awaitTimes(p, text, 1)
}

// awaitTimes waits until text has been printed n times.
func (o *output) awaitTimes(p *proc, text string, n int) {
	p.t.Helper()
	timeout := time.AfterFunc(patience, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.more.Broadcast()
	})
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	o.mu.Lock()
	defer o.mu.Unlock()
	for strings.Count(o.buf.String(), text) < n {
		if o.ended || time.Now().After(deadline) {
			p.t.Fatalf("%q has not printed %q %d times, but:\n%s", p.cmd.Args[1:], text, n, o.buf.String())
		}
		o.more.Wait()
	}
}

// eventually waits for what has no event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

// line is what a worker has written.
type line struct {
	what      string
	token     int64
	member    string
	pid, ppid int
	at        int64 // ns of the system's clock
}

// journal reads the lines that workers append to a file.
type journal struct {
	t    testing.TB
	path string
	read int64
	rest []byte
}

// next returns the lines written since the last call.
func (j *journal) next() []line {
	j.t.Helper()
	f, err := os.Open(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		j.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		j.t.Fatal(err)
	}
	fresh := make([]byte, info.Size()-j.read)
	n, err := f.ReadAt(fresh, j.read)
	if n < len(fresh) {
		j.t.Fatal(err)
	}
	j.read += int64(n)
	text := slices.Concat(j.rest, fresh)
	end := bytes.LastIndexByte(text, '\n') + 1
	j.rest = slices.Clone(text[end:])
	var lines []line
	for l := range strings.Lines(string(text[:end])) {
		lines = append(lines, j.parse(l))
	}
	return lines
}

func (j *journal) parse(text string) line {
	var l line
	_, err := fmt.Sscan(text, &l.what, &l.token, &l.member, &l.pid, &l.ppid, &l.at)
	if err != nil {
		j.t.Fatalf("%s: line %q: %v", j.path, text, err)
	}
	return l
}

// quantile of a sample, by nearest rank.
func quantile(sample []time.Duration, q float64) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(sample), cmp.Compare[time.Duration])
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

func hash(data []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(data) // never fails
	return h.Sum64()
}

// count tells how often p has printed text on standard error.
func count(p *proc, text string) int { return strings.Count(p.stderr.String(), text) }
