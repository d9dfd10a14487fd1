package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// victimName is the command that "tenure bench" starts in order to kill it.
const victimName = "__lead"

// What a victim says, one a line: that it leads, and of each renewal that was answered
// when it was sent, in nanoseconds of the system's clock.
const (
	victimLeads   = "leads"
	victimRenewed = "renewed "
)

// victimTime is how long a victim may take to lead, and to end when it is told to.
const victimTime = 20 * time.Second

type victimFlags struct {
	*common
	prefix, election string
	ttl              time.Duration
}

// newVictim is the command that leads until its standard input ends, as it does when
// whoever has started it has gone.
func newVictim(c *common) *cobra.Command {
	f := victimFlags{common: c}
	cmd := &cobra.Command{
		Use:    victimName,
		Hidden: true,
		Args:   noArguments,
		RunE:   func(cmd *cobra.Command, _ []string) error { return f.lead(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.prefix, "prefix", "", "prefix of all keys")
	flags.StringVar(&f.election, "election", "", "election to lead")
	flags.DurationVar(&f.ttl, "ttl", tenure.DefaultTTL, "TTL of the session")
	return cmd
}

func (f *victimFlags) lead(cmd *cobra.Command) (err error) {
	// A terminal sends its signals to all; who has started this one says when to end.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	go func() { // ends with this process, if not before
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	st, _, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	bounds, err := tenure.Options{TTL: f.ttl}.Bounds()
	if err != nil {
		return err
	}
	say := func(line string) { _, _ = fmt.Fprintln(os.Stdout, line) } // or nobody listens any more
	m, err := tenure.Join(ctx, store.Sub(st, f.prefix), tenure.Options{
		ID: "victim-" + strconv.Itoa(os.Getpid()), TTL: f.ttl,
		Trace: &tenure.Trace{Round: func(r tenure.RoundInfo) {
			if r.Err == nil {
				sent := r.Until.Add(-bounds.Trust)
				say(victimRenewed + strconv.FormatInt(sent.UnixNano(), 10))
			}
		}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	err = m.Lead(ctx, f.election, func(ctx context.Context, _ tenure.Term) error {
		say(victimLeads)
		<-ctx.Done()
		return nil
	}, tenure.LeadOptions{})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// victim is such a process, as whoever has started it sees it.
type victim struct {
	ttl    time.Duration
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	leads  chan struct{} // closed once it does
	ended  chan struct{}
	err    error // once ended is closed

	mu      sync.Mutex
	renewed time.Time
}

// startVictim starts a process, and returns once it leads.
func startVictim(ctx context.Context, t *trial, election string) (*victim, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v := &victim{ttl: t.ttl, leads: make(chan struct{}), ended: make(chan struct{})}
	v.cmd = exec.Command(self, victimName, "--store", t.url, "--prefix", t.space.Prefix(), "--election", election, "--ttl", t.ttl.String())
	v.cmd.Stderr = &v.stderr
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if v.stdin, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(v.ended)
		v.listen(stdout)
		v.err = v.cmd.Wait()
	}()
	late := time.NewTimer(victimTime)
	defer late.Stop()
	select {
	case <-v.leads:
		return v, nil
	case <-v.ended:
		return nil, fmt.Errorf("%w: %w: %s", errVictim, v.err, strings.TrimSpace(v.stderr.String()))
	case <-late.C:
		err = fmt.Errorf("%w does not lead within %v", errVictim, victimTime)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, v.Stop())
}

// listen hears what the process says, until it ends.
func (v *victim) listen(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	leads := sync.OnceFunc(func() { close(v.leads) })
	for lines.Scan() {
		line := lines.Text()
		if line == victimLeads {
			leads()
		}
		if text, ok := strings.CutPrefix(line, victimRenewed); ok {
			sent, _ := strconv.ParseInt(text, 10, 64) // it is a process of ours
			v.mu.Lock()
			v.renewed = time.Unix(0, sent)
			v.mu.Unlock()
		}
	}
}

// Renewed implements measure.Victim.
func (v *victim) Renewed() (time.Time, time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.renewed, v.ttl
}

// Kill implements measure.Victim.
func (v *victim) Kill() error {
	if err := v.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("%w: %w", errVictim, err)
	}
	<-v.ended
	return nil
}

// Stop implements measure.Victim.
func (v *victim) Stop() error {
	_ = v.stdin.Close() // where it has ended, that is closed, too
	late := time.NewTimer(victimTime)
	defer late.Stop()
	select {
	case <-v.ended:
		return nil
	case <-late.C:
		return errors.Join(fmt.Errorf("%w does not end within %v when it is told to", errVictim, victimTime), v.Kill())
	}
}
