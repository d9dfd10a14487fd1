//go:build unix

package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Guard is a guard process seen from its parent. It runs one command.
type Guard struct {
	streams  Streams
	proc     *os.Process
	commands *os.File
	reports  *os.File
	answers  chan report   // to Start and Run
	done     chan struct{} // closed when CMD and its group are gone, or never will be there
	reaped   chan struct{} // closed when the guard process is gone, too

	mu       sync.Mutex // never held over anything that can block
	state    state
	adopted  bool // this process is a subreaper on our behalf
	pgid     int
	deadline Deadline
	expiry   *time.Timer
	killed   Reason // by this process
	exited   bool   // exit holds the main process's end
	exit     Exit
	tty      *terminal
	held     []command // for the guard, until it has started CMD
}

type state int

const (
	standby state = iota
	starting
	running
	over
)

// startTimeout bounds the start of a guard process, which takes milliseconds.
const startTimeout = 10 * time.Second

// Start starts a guard process that waits for a command, and returns when it is
// ready. args is the whole command line, program name included, that makes this
// program call Main. Starting the guard before the election is won makes winning
// cost one write and one fork.
func Start(ctx context.Context, args ...string) (*Guard, error) {
	return StartWith(ctx, Streams{os.Stdin, os.Stdout, os.Stderr}, args...)
}

// StartWith is Start for a command whose standard streams are not the parent's. It is
// never given the terminal.
func StartWith(ctx context.Context, streams Streams, args ...string) (*Guard, error) {
	g := &Guard{
		streams: streams,
		answers: make(chan report, 4),
		done:    make(chan struct{}),
		reaped:  make(chan struct{}),
	}
	if err := g.spawn(args); err != nil {
		return nil, fmt.Errorf("start guard process: %w", err)
	}
	go g.watch()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := g.greet(ctx); err != nil {
		g.Close()
		return nil, fmt.Errorf("start guard process: %w", err)
	}
	return g, nil
}

func (g *Guard) spawn(args []string) error {
	self, err := selfPath()
	if err != nil {
		return err
	}
	commandEnd, commands, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = commandEnd.Close() }()
	reports, reportEnd, err := os.Pipe()
	if err != nil {
		_ = commands.Close()
		return err
	}
	defer func() { _ = reportEnd.Close() }()
	g.proc, err = g.fork(self, args, &os.ProcAttr{
		Files: []*os.File{g.streams.In, g.streams.Out, g.streams.Err, commandEnd, reportEnd},
		// Not in our group: what ends that must not end the guard.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		_, _ = commands.Close(), reports.Close()
		return err
	}
	g.commands, g.reports = commands, reports
	return nil
}

func (g *Guard) greet(ctx context.Context) error {
	select {
	case r := <-g.answers:
		if r.Op != opHello || r.Version != protocolVersion {
			return fmt.Errorf("%w: it speaks version %d, not %d", ErrLost, r.Version, protocolVersion)
		}
		return nil
	case <-g.done:
		return fmt.Errorf("%w: it ended at once", ErrLost)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run starts cmd and returns its process id, which is its group's, too. It
// returns when cmd runs, cannot, or d has passed. Errors are ErrNotFound,
// ErrNotExecutable, ErrDeadline, ErrLost or what the system said; the guard is
// of no further use then.
func (g *Guard) Run(cmd Command, d Deadline) (pid int, err error) {
	if len(cmd.Args) == 0 {
		return 0, errors.New("no command given")
	}
	if err := g.begin(d); err != nil {
		return 0, err
	}
	if err := g.request(cmd, d); err != nil {
		g.end(ByLoss)
		<-g.done
		return 0, g.lossError(err)
	}
	select {
	case r := <-g.answers:
		return g.begun(r)
	case <-g.done:
	}
	select {
	case r := <-g.answers: // it was faster than its end
		return g.begun(r)
	default:
		return 0, g.lossError(nil)
	}
}

func (g *Guard) begin(d Deadline) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == over:
		return g.lossErrorLocked(nil)
	case g.state != standby:
		return errors.New("a guard runs one command")
	case d.passed():
		return ErrDeadline
	}
	g.state, g.deadline = starting, d
	g.expiry = time.AfterFunc(d.remaining(), g.expire)
	if g.streams.In == os.Stdin {
		g.tty = lendable()
	}
	// Before the fork: whatever becomes of the guard, its orphans are ours.
	adoptOrphans()
	g.adopted = true
	return nil
}

// request may block, since an environment can be larger than a pipe, but not
// beyond the deadline.
func (g *Guard) request(cmd Command, d Deadline) error {
	line := encode(command{Op: opRun, Run: pack(cmd, g.tty != nil), Until: &d})
	if err := g.commands.SetWriteDeadline(time.Now().Add(d.remaining())); err != nil {
		return err
	}
	if _, err := g.commands.Write(line); err != nil {
		return err
	}
	return g.commands.SetWriteDeadline(time.Time{})
}

func (g *Guard) begun(r report) (int, error) {
	if r.Op != opStarted {
		g.end(r.Killed)
		<-g.done
		return 0, failure(r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != starting {
		return r.Pid, nil // and is over already
	}
	g.state = running
	for _, c := range g.held {
		_ = g.send(c) // a guard that cannot be told is lost, and that shows in time
	}
	g.held = nil
	if g.tty != nil {
		go g.relend()
	}
	return r.Pid, nil
}

func failure(r report) error {
	switch {
	case r.Killed == ByDeadline:
		return ErrDeadline
	case r.Code == CodeNotFound:
		return &startError{sentinel: ErrNotFound, text: r.Error}
	case r.Code == CodeNotExecutable:
		return &startError{sentinel: ErrNotExecutable, text: r.Error}
	default:
		return errors.New(r.Error)
	}
}

// startError has the guard's words and the parent's sentinel.
type startError struct {
	sentinel error
	text     string
}

func (e *startError) Error() string { return e.text }
func (e *startError) Unwrap() error { return e.sentinel }

func (g *Guard) lossError(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lossErrorLocked(err)
}

func (g *Guard) lossErrorLocked(err error) error {
	switch {
	case g.killed == ByDeadline:
		return ErrDeadline
	case err != nil:
		return fmt.Errorf("%w: %w", ErrLost, err)
	default:
		return ErrLost
	}
}

// Extend moves the deadline. It never blocks. A deadline that has passed stays
// passed. On ErrBusy or ErrLost the old deadline goes on to hold for the guard.
func (g *Guard) Extend(d Deadline) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == standby || g.state == over:
		return os.ErrProcessDone
	case g.deadline.passed():
		return ErrDeadline
	}
	g.deadline = d
	g.expiry.Reset(d.remaining())
	return g.send(command{Op: opExtend, Until: &d})
}

// Signal sends sig to the command's group.
func (g *Guard) Signal(sig os.Signal) error {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal %v: %w", sig, ErrUnsupported)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == standby || g.state == over {
		return os.ErrProcessDone
	}
	return g.send(command{Op: opSignal, Signal: int(number)})
}

// stopSlack is what a guard may be late with the end of a grace before its
// parent does it.
const stopSlack = 100 * time.Millisecond

// Stop asks the group to end with SIGTERM, and kills it after grace, or at the
// deadline if that is earlier. It does not wait. Without a command it does what
// Kill does.
func (g *Guard) Stop(grace time.Duration) {
	grace = max(0, grace)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == over {
		return
	}
	if g.state == standby || g.send(command{Op: opStop, Grace: grace}) != nil {
		g.endLocked(ByKill)
		return
	}
	timer := time.AfterFunc(grace+stopSlack, func() { g.end(ByGrace) })
	go func() {
		<-g.done
		timer.Stop()
	}()
}

// Kill kills the group at once. It does so by killing the guard, which takes CMD
// with it and leaves the rest of the group to this process: that works also when
// the guard does not.
func (g *Guard) Kill() { g.end(ByKill) }

// Done is closed when the command and everything in its group are gone, or when
// the guard ended without having run one.
func (g *Guard) Done() <-chan struct{} { return g.done }

// Wait waits for Done and tells how the command ended. The terminal is the
// parent's again.
func (g *Guard) Wait() Exit {
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.exit
}

// Close kills what still runs and waits until all of it, and the guard, is gone.
func (g *Guard) Close() {
	g.end(ByKill)
	<-g.reaped
}

func (g *Guard) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.deadline.remaining(); left > 0 {
		g.expiry.Reset(left)
		return
	}
	g.endLocked(ByDeadline)
}

func (g *Guard) end(why Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endLocked(why)
}

// endLocked makes watch see the end of the guard.
func (g *Guard) endLocked(why Reason) {
	if g.state == over {
		return
	}
	if g.killed == NotKilled {
		g.killed = why
	}
	killFirst(g)
	_ = g.proc.Kill()
}

// send writes one short line. A pipe takes it whole or not at all, so a guard
// that does not read costs no time here. While the request to run is being
// written, which may take several writes, other commands wait.
func (g *Guard) send(c command) error {
	if g.state == starting {
		g.held = append(g.held, c)
		return nil
	}
	raw, err := g.commands.SyscallConn()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		_, sent = unix.Write(int(fd), encode(c))
		return true
	})
	switch err = errors.Join(err, sent); {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EAGAIN):
		return ErrBusy
	default:
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
}

// relend gives the terminal to CMD again after the shell has brought the parent
// back to the foreground.
func (g *Guard) relend() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	for {
		select {
		case <-continued:
			g.mu.Lock()
			if g.state == running {
				g.tty.lend(g.pgid)
			}
			g.mu.Unlock()
			_ = g.Signal(syscall.SIGCONT) // it may have asked for the terminal and been stopped
		case <-g.done:
			return
		}
	}
}
