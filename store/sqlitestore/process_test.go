package sqlitestore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	childRole = "SQLITESTORE_TEST_CHILD"
	childFile = "SQLITESTORE_TEST_FILE"
	childTTL  = 400 * time.Millisecond
)

// child is a process that a test has started. It lives until its input ends.
func child(role string) int {
	ctx, cancel := context.WithCancel(context.Background())
	lines := make(chan string)
	go func() {
		defer cancel()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	s, err := Open(ctx, os.Getenv(childFile), Options{})
	if err == nil {
		err = roles[role](ctx, s, lines)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

var roles = map[string]func(context.Context, *Store, <-chan string) error{
	"increment": childIncrement,
	"put":       childPut,
	"hold":      childHold,
	"write":     childWrite,
	"lead":      childLead,
	"depose":    childDepose,
}

// childIncrement adds one to a counter, as often as it is told.
func childIncrement(ctx context.Context, s *Store, lines <-chan string) error {
	n, err := strconv.Atoi(<-lines)
	for range n {
		if err == nil {
			err = increment(ctx, s, "counter")
		}
	}
	if err == nil {
		fmt.Println("done")
	}
	return err
}

func increment(ctx context.Context, s store.Store, key string) error {
	for {
		l, err := s.List(ctx, store.Keys(key))
		if err != nil {
			return err
		}
		cond, n := store.Absent(key), 0
		if e := l.Entry(key); e != nil {
			cond = store.ModifiedAt(key, e.Modified)
			if n, err = strconv.Atoi(string(e.Value)); err != nil {
				return err
			}
		}
		res, err := s.Commit(ctx, store.Tx{
			If:   []store.Cond{cond},
			Then: []store.Op{store.Put(key, strconv.AppendInt(nil, int64(n+1), 10), store.NoLease)},
		})
		if err != nil || res.Committed {
			return err
		}
	}
}

// childPut writes each line it is told and prints the revision.
func childPut(ctx context.Context, s *Store, lines <-chan string) error {
	fmt.Println("ready")
	for {
		select {
		case line := <-lines:
			res, err := s.Commit(ctx, store.Tx{Then: []store.Op{store.Put("line", []byte(line), store.NoLease)}})
			if err != nil {
				return err
			}
			fmt.Println(res.Revision)
		case <-ctx.Done():
			return nil
		}
	}
}

// childHold holds a key by a lease. It prints when, by the clock of the host,
// each renewal was sent that succeeded.
func childHold(ctx context.Context, s *Store, _ <-chan string) error {
	l, err := s.Grant(ctx, childTTL)
	if err != nil {
		return err
	}
	if _, err := s.Commit(ctx, store.Tx{Then: []store.Op{store.Put("held", nil, l.ID)}}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		sent := s.clock.now()
		if _, err := s.Renew(ctx, l.ID); err != nil {
			return err
		}
		fmt.Println(int64(sent))
		time.Sleep(childTTL / 20) // the pace of renewals
	}
	return nil
}

// childWrite commits and grants as fast as it can and prints what it is given.
func childWrite(ctx context.Context, s *Store, _ <-chan string) error {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("key/%d/%d", os.Getpid(), i%10)
		res, err := s.Commit(ctx, store.Tx{Then: []store.Op{store.Put(key, make([]byte, i%5000), store.NoLease)}})
		if err != nil {
			return err
		}
		l, err := s.Grant(ctx, time.Hour)
		if err != nil {
			return err
		}
		fmt.Println(res.Revision, l.ID)
	}
	return nil
}

// process is a child seen from the test.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func (f file) start(t testing.TB, role string) *process {
	t.Helper()
	// Should TestMain ever not take the role, the child must not run the tests again.
	p := &process{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	p.cmd.Env = append(os.Environ(), childRole+"="+role, childFile+"="+string(f))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the process with SIGKILL, wherever it is.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func TestProcessesLoseNoIncrement(t *testing.T) {
	t.Parallel()
	const processes, times = 4, 100
	f := newFile(t)
	var all []*process
	for range processes {
		p := f.start(t, "increment") // all of them make the file at once
		p.tell(strconv.Itoa(times))
		all = append(all, p)
	}
	for _, p := range all {
		if !p.out.Scan() || p.out.Text() != "done" {
			t.Fatalf("a process ended: %q", p.out.Text())
		}
	}
	s := f.open(t, Options{})
	l := list(t, s, store.Keys("counter"))
	if e := l.Entry("counter"); e == nil || string(e.Value) != strconv.Itoa(processes*times) {
		t.Fatalf("%d increments by each of %d processes gave %+v", times, processes, e)
	}
	if want := store.Revision(processes * times); l.Revision != want {
		t.Errorf("revision is %d after %d commits", l.Revision, want)
	}
}

func TestCommitOfAnotherProcessIsSeenPromptly(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	p := f.start(t, "put")
	if !p.out.Scan() {
		t.Fatal("the process ended")
	}
	w := watch(t, f.open(t, Options{}), "line", 0)
	w.next(t)
	const times = 20
	start := time.Now()
	for i := range times {
		p.tell(strconv.Itoa(i))
		ch := w.event(t)
		if got := string(ch.Events[0].Entry.Value); got != strconv.Itoa(i) {
			t.Fatalf("event %d carries %q", i, got)
		}
	}
	// By the slow round alone, each would take half of it on average.
	if took := time.Since(start); took > times*slowRound/4 {
		t.Errorf("%d commits took %v to be seen", times, took)
	}
}

func TestLeaseOfKilledProcessEndsInTime(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s := f.open(t, Options{})
	w := watch(t, s, "", 0)
	p := f.start(t, "hold")
	w.event(t)
	for range 30 { // well over one TTL
		if !p.out.Scan() {
			t.Fatal("the process ended")
		}
	}
	p.kill()
	var sent time.Duration
	for text := p.out.Text(); ; text = p.out.Text() { // what the pipe still held
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sent = time.Duration(n)
		if !p.out.Scan() {
			break
		}
	}
	ch := w.event(t)
	lived := s.clock.now() - sent
	if len(ch.Events) != 1 || !ch.Events[0].Deleted || ch.Events[0].Entry.Key != "held" {
		t.Fatalf("the end of the lease gave %+v", ch)
	}
	// The renewal after the last one printed may have taken effect, too.
	if late := lived - childTTL; late < 0 || late > slowRound {
		t.Errorf("the lease of %v ended %v after its last renewal was sent", childTTL, lived)
	}
}

func TestKilledWritersRepeatNothing(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s := f.open(t, Options{}) // else the first to come repairs the file: also below
	revisions, leases := map[string]bool{}, map[string]bool{}
	var last int
	for round := range 15 {
		writers := []*process{f.start(t, "write"), f.start(t, "write")}
		for range 5 + rand.N(30) {
			writers[0].out.Scan()
			record(t, writers[0].out.Text(), revisions, leases)
		}
		for _, p := range writers {
			_ = p.cmd.Process.Kill()
			for p.out.Scan() {
				record(t, p.out.Text(), revisions, leases)
			}
			p.kill()
		}
		if round%3 == 1 { // nobody has it open: the next one recovers the log
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = f.open(t, Options{})
		}
		now := int(list(t, s, store.Prefix("")).Revision)
		if now < last || now < len(revisions) {
			t.Fatalf("revision is %d; it was %d, and %d commits were acknowledged", now, last, len(revisions))
		}
		last = now
		intact(t, s)
	}
	if len(revisions) < 100 {
		t.Errorf("only %d commits were tried", len(revisions))
	}
}

// record notes one line of childWrite.
func record(t *testing.T, line string, revisions, leases map[string]bool) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 2 {
		t.Fatalf("a writer said %q", line)
	}
	if revisions[f[0]] || leases[f[1]] {
		t.Fatalf("revision %s or lease %s was given twice", f[0], f[1])
	}
	revisions[f[0]], leases[f[1]] = true, true
}

func intact(t *testing.T, s *Store) {
	t.Helper()
	c := <-s.writer
	defer func() { s.writer <- c }()
	row, err := c.first("PRAGMA integrity_check")
	if err != nil || row[0] != "ok" {
		t.Fatalf("integrity check: %v, %v", row, err)
	}
}
