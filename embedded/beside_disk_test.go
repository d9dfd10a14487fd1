//go:build linux

package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/internal/requirestore"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// Disks that hang: a file system of the test's own, which the kernel freezes. What
// writes to it waits until it is thawed, and cannot be ended before, not even by SIGKILL.

const (
	fiFreeze = 0xC0045877 // _IOWR('X', 119, int)
	fiThaw   = 0xC0045878
)

type disk string // where it is mounted

// newDisk mounts a disk. Whatever becomes of the test, a process of its own thaws it and
// takes it away.
func newDisk(t *testing.T) disk {
	t.Helper()
	folder := t.TempDir()
	image, at := filepath.Join(folder, "image"), filepath.Join(folder, "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 512<<20), os.Mkdir(at, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, at}} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			requirestore.Skip(t, "disk", fmt.Sprintf("%s: %v: %s", strings.Join(command, " "), err, out))
		}
	}
	keeper := startChild(t, "keeper", at)
	d := disk(at)
	t.Cleanup(func() {
		d.thaw(t)
		keeper.end(t)
		if err := unix.Unmount(at, 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("still mounted: %v", err)
		}
	})
	return d
}

func (d disk) freeze(t *testing.T) {
	t.Helper()
	if err := control(string(d), fiFreeze); err != nil {
		t.Fatalf("freeze: %v", err)
	}
}

// thaw may be called again.
func (d disk) thaw(t *testing.T) {
	t.Helper()
	if err := control(string(d), fiThaw); err != nil && !errors.Is(err, unix.EINVAL) {
		t.Errorf("thaw: %v", err)
	}
}

func control(at string, request uint) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	return errors.Join(unix.IoctlSetInt(int(f.Fd()), request, 0), f.Close())
}

// keep thaws a disk and takes it away when the test has ended, or its process has.
func keep(at string) int {
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = control(at, fiThaw) // mostly it is not frozen
	for range 100 {
		if err := unix.Unmount(at, 0); err == nil {
			return 0
		}
		time.Sleep(100 * time.Millisecond) // who uses it is about to end, now that it is thawed
	}
	fmt.Fprintln(os.Stderr, at, "is busy:", unix.Unmount(at, unix.MNT_DETACH))
	return 1
}

// monotonic is a clock that all processes of the host share.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

const childInput = "TENURE_EMBEDDED_INPUT"

// process is a child seen from the test.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	wait  func() error
}

// startChild starts a process, which ends when its standard input does.
func startChild(t *testing.T, role, input string) *process {
	t.Helper()
	// Should TestMain ever not take the role, the child must not run the tests again.
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^$"), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), childRole+"="+role, childInput+"="+input)
	p.cmd.Stderr = t.Output()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(func() error {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			p.lines <- scan.Text()
		}
		close(p.lines)
		return p.cmd.Wait()
	})
	var reader sync.WaitGroup
	reader.Go(func() { _ = p.wait() })
	t.Cleanup(func() {
		_ = p.in.Close()
		reader.Wait()
	})
	return p
}

func (p *process) end(t *testing.T) {
	t.Helper()
	_ = p.in.Close() // or it has been
	if err := p.wait(); err != nil {
		t.Error(err)
	}
}

// hears waits for a line that begins with a word, and reads the rest of it.
func (p *process) hears(t *testing.T, word string, into ...any) {
	t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("the process has ended before it said %q", word)
			}
			t.Log("the member: ", line)
			first, rest, _ := strings.Cut(line, " ")
			if first != word {
				continue
			}
			if _, err := fmt.Sscan(rest, into...); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return
		case <-late.C:
			t.Fatalf("not within %v: %s", within, word)
		}
	}
}

// orders are what a member in a process of its own is to do.
type orders struct {
	Config    embedded.Config
	Endpoints []string // of the store; none: that of its server
}

const hungTTL = short

func child(role string) int {
	input := os.Getenv(childInput)
	if role == "keeper" {
		return keep(input)
	}
	var o orders
	if err := json.Unmarshal([]byte(input), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		if err := lives(o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0 // as it is: what hangs is not waited for
}

// lives leads beside etcd's leader for as long as the process lives, and says so.
func lives(o orders) error {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o.Config.Logger = logger
	s, err := embedded.Start(ctx, o.Config)
	if err != nil {
		return err
	}
	st, err := s.Store(ctx, "")
	if len(o.Endpoints) > 0 {
		st, err = etcdstore.Open(ctx, etcdstore.Config{Endpoints: o.Endpoints})
	}
	if err != nil {
		return err
	}
	m, err := tenure.Join(ctx, st, s.Options(tenure.Options{TTL: hungTTL, Logger: logger}))
	if err != nil {
		return err
	}
	fmt.Println("joined")
	return m.Lead(ctx, "nightly", func(_ context.Context, t tenure.Term) error {
		fmt.Println("elected", t.Token(), monotonic())
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		var held, told int64
		for {
			now := monotonic()
			if !t.Held() {
				break
			}
			held = now
			if held-told > int64(hungTTL)/10 {
				fmt.Println("held", t.Token(), held)
				told = held
			}
			<-look.C
		}
		<-t.Context().Done() // the cause comes with it
		fmt.Println("lost", t.Token(), held, errors.Is(t.Cause(), tenure.ErrLost), errors.Is(t.Cause(), tenure.ErrDeposed))
		return t.Cause()
	}, tenure.LeadOptions{Policy: s.Policy()})
}

// scene is a cluster in which the member on a, a process of its own on a disk that can
// hang, leads beside etcd's leader.
type scene struct {
	disk  disk
	b, c  *embedded.Server
	hung  *process
	token tenure.Token
}

func newScene(t *testing.T, elsewhere bool) *scene {
	t.Helper()
	confs := trio(t)
	var endpoints []string
	for i := range confs {
		confs[i].ElectionTimeout = time.Second
		endpoints = append(endpoints, confs[i].Client)
	}
	sc := &scene{disk: newDisk(t)}
	o := orders{Config: confs[0]}
	o.Config.Dir, o.Config.Logger = filepath.Join(string(sc.disk), "a"), nil
	if elsewhere {
		o.Endpoints = endpoints[1:]
	}
	input, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	sc.hung = startChild(t, "member", string(input))
	others := startAll(t, confs[1:])
	sc.b, sc.c = others[0], others[1]
	t.Cleanup(func() { sc.disk.thaw(t) })
	sc.hung.hears(t, "joined")
	sc.bring(t)
	var at int64
	for now := monotonic(); at < now; { // a busy machine may end a term before
		sc.hung.hears(t, "held", &sc.token, &at)
	}
	return sc
}

// bring makes a etcd's leader.
func (sc *scene) bring(t *testing.T) {
	t.Helper()
	eventually(t, "etcd's leader is on a", func() bool {
		for _, s := range []*embedded.Server{sc.b, sc.c} {
			if s.Leader() == s.Name() {
				_ = s.MoveLeader(t.Context(), "a") // or it is not the leader any more
			}
		}
		return sc.b.Leader() == "a" && sc.c.Leader() == "a"
	})
}

// hang freezes the disk, and waits until the others have elected a leader of etcd, for
// which there must be something to write. It returns when that was.
func (sc *scene) hang(t *testing.T) int64 {
	t.Helper()
	sc.disk.freeze(t)
	var written sync.WaitGroup
	written.Go(func() { _ = sc.b.SetPriority(t.Context(), 0) }) // it goes down with the leader, perhaps
	eventually(t, "etcd's leader is on b or c", func() bool {
		lead := sc.b.Leader()
		return lead == sc.c.Leader() && (lead == "b" || lead == "c")
	})
	elected := monotonic()
	written.Wait()
	return elected
}

func TestBesideADiskThatHangs(t *testing.T) {
	t.Parallel()
	sc := newScene(t, false)
	p := play{clock: monotonic}
	p.beside(t, hungTTL, sc.b, sc.c)
	elected := sc.hang(t)
	lead := sc.b.Leader()

	var token tenure.Token
	var held int64
	var lost, deposed bool
	sc.hung.hears(t, "lost", &token, &held, &lost, &deposed)
	if token != sc.token || !lost || deposed {
		t.Errorf("token %d after %d, lost: %v, deposed: %v; want its own deadline", token, sc.token, lost, deposed)
	}
	eventually(t, "a healthy member leads", func() bool {
		if now := sc.b.Leader(); now != lead && len(p.all()) == 0 { // all begins anew, on a busy machine
			lead, elected = now, monotonic()
		}
		return p.leads() != ""
	})
	first := p.all()[0]
	if first.began <= held {
		t.Errorf("the next term began %v before the hung member stopped", time.Duration(held-first.began))
	}
	bounds, err := tenure.Options{TTL: hungTTL}.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	// Whichever is first: the store ends the lease, by a new leader's count, or the
	// policies have deposed the leader elsewhere, which they do in the round after the next.
	const busy = 10 * time.Second // this machine, and etcd's search for leases
	if took := time.Duration(first.began - elected); took > bounds.Crash+bounds.Round+busy {
		t.Errorf("a healthy member leads after %v", took)
	} else {
		t.Logf("a healthy member leads %v after etcd's new leader, %v after the hung one stopped", took, time.Duration(first.began-held))
	}

	sc.disk.thaw(t)
	sc.bring(t)
	var again tenure.Token
	var at int64
	sc.hung.hears(t, "elected", &again, &at)
	before := sc.token
	for _, one := range p.all() {
		if !one.over || one.ended > at || one.term.Token() <= before || one.term.Token() >= again {
			t.Errorf("%+v, before token %d at %d", one, again, at)
		}
		before = one.term.Token()
	}
	if p.twice {
		t.Error("a function began before another had returned")
	}
}

// The control: a member that other servers serve leads on, although its own disk hangs and
// etcd's leader has long been elsewhere (tikv/pd#10671). That is also what becomes of a
// client of all servers that leaves out those which do not answer.
func TestBesideADiskThatHangsUnseen(t *testing.T) {
	t.Parallel()
	sc := newScene(t, true)
	elected := sc.hang(t)
	var token tenure.Token
	for held := int64(0); held < elected+int64(2*hungTTL); {
		sc.hung.hears(t, "held", &token, &held)
		if token != sc.token {
			t.Fatalf("token %d, after %d", token, sc.token)
		}
	}
	// Those who are beside etcd's leader end it.
	var p play
	p.beside(t, hungTTL, sc.b, sc.c)
	var held int64
	var lost, deposed bool
	sc.hung.hears(t, "lost", &token, &held, &lost, &deposed)
	if token != sc.token || !deposed {
		t.Errorf("token %d after %d, deposed: %v", token, sc.token, deposed)
	}
	eventually(t, "a healthy member leads", func() bool { return p.leads() != "" })
}

// transfers counts how often a server was asked to pass etcd's leader on.
type transfers struct {
	slog.Handler
	n *atomic.Int64
}

func (transfers) Enabled(context.Context, slog.Level) bool { return true }

func (tr transfers) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "leadership transfer starting") {
		tr.n.Add(1)
	}
	return nil
}

// Who cannot read does not want to lead.
func TestBesideADiskThatHangsAttractsNothing(t *testing.T) {
	t.Parallel()
	confs, d := trio(t), newDisk(t)
	confs[0].Dir = filepath.Join(string(d), "a")
	var asked atomic.Int64
	for i := range confs {
		confs[i].Logger = slog.New(transfers{slog.DiscardHandler, &asked})
	}
	servers := byName(startAll(t, confs))
	t.Cleanup(func() { d.thaw(t) })
	put(t, servers, "b", nil)
	d.freeze(t)
	eventually(t, "a cannot read", func() bool {
		set(t, servers["b"], 0) // there must be something to write
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return errors.Is(servers["a"].CanRead(ctx), context.DeadlineExceeded)
	})
	asked.Store(0)
	if servers["a"].Pull() || asked.Load() != 0 {
		t.Errorf("a server that cannot read wants etcd's leader: asked %d times", asked.Load())
	}
	d.thaw(t)
	set(t, servers["a"], 1)
	eventually(t, "etcd's leader comes to a, by its priority", func() bool { return servers["b"].Leader() == "a" && asked.Load() > 0 })
}
