//go:build unix

package shellcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// The test binary is also the guard.
const guardArg = "test-guard"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == guardArg {
		os.Exit(guard.Main())
	}
	os.Exit(m.Run())
}

// never is far beyond what any of these commands may take.
const never = time.Hour

func run(t *testing.T, ctx context.Context, line string, until time.Time) error {
	t.Helper()
	c := Command{Guard: []string{os.Args[0], guardArg}, Line: line, Env: append(os.Environ(), "GREETING=hello")}
	return c.Run(ctx, func() time.Time { return until }, nil)
}

func TestACommandThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct{ name, line, want string }{
		{"success", "echo fine", ""},
		{"its code and last line", "echo first; echo last; exit 3", "exit code 3: last"},
		{"the last line that says something", "echo $GREETING; echo; echo ' '; exit 1", "exit code 1: hello"},
		{"standard error", "echo broken >&2; exit 1", "exit code 1: broken"},
		{"a line without an end", "printf 'one\ntwo'; exit 1", "exit code 1: two"},
		{"nothing to say", "exit 1", "exit code 1"},
		{"a signal", "kill -TERM $$", "ended by signal 15"},
		{"a long line", "echo " + long + "yz; exit 1", "exit code 1: " + long + "..."},
		{"what is no text", `printf '\377bad\n'; exit 1`, "exit code 1: \uFFFDbad"},
		{"much output", "head -c 3000000 /dev/zero | tr '\\0' a; echo; echo end; exit 1", "exit code 1: end"},
		{"its input is empty", "cat && exit 1", "exit code 1"},
		{"the shell's own complaint", "no-such-command-here", "exit code 127: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := fmt.Sprint(run(t, t.Context(), c.line, time.Now().Add(never)))
			if c.want == "" {
				c.want = "<nil>"
			}
			if got != c.want && (!strings.HasSuffix(c.want, ": ") || !strings.HasPrefix(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestACommandThatHangsIsKilledWithAllItHasStarted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(ctx context.Context, started <-chan struct{}) (context.Context, time.Time)
	}{
		{"at its deadline", func(ctx context.Context, _ <-chan struct{}) (context.Context, time.Time) {
			return ctx, time.Now().Add(300 * time.Millisecond)
		}},
		{"with its context", func(ctx context.Context, started <-chan struct{}) (context.Context, time.Time) {
			ctx, cancel := context.WithCancel(ctx)
			go func() {
				<-started
				cancel()
			}()
			return ctx, time.Now().Add(never)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fifo := filepath.Join(t.TempDir(), "alive") // at its end when nobody has it open
			mkfifo(t, fifo)
			started, gone := make(chan struct{}), make(chan error, 1)
			go func() {
				f, err := os.Open(fifo)
				close(started)
				if err == nil {
					_, err = f.Read(make([]byte, 1))
				}
				gone <- err
			}()
			ctx, until := c.end(t.Context(), started)
			err := run(t, ctx, "exec 9>"+fifo+"; trap '' TERM; (trap '' TERM; sleep 1000) & echo waits; sleep 1000", until)
			if !errors.Is(err, ErrOverrun) {
				t.Errorf("got %v, want %v", err, ErrOverrun)
			}
			if err := <-gone; !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
}

// A process that has left the group cannot be killed, and must not be waited for.
func TestADaemonThatKeepsTheOutputOpenIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "stop")
	mkfifo(t, fifo)
	err := run(t, t.Context(), "setsid sh -c 'read x <"+fifo+"' & sleep 0.1; echo said; exit 1", time.Now().Add(never))
	if fmt.Sprint(err) != "exit code 1: said" {
		t.Errorf("got %v", err)
	}
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0) // it ends
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestADeadlineThatMovesLetsACommandGoOn(t *testing.T) {
	t.Parallel()
	const step = 400 * time.Millisecond
	until := time.Now().Add(step)
	moved := make(chan struct{})
	result := make(chan error, 1)
	c := Command{Guard: []string{os.Args[0], guardArg}, Line: "sleep 1"}
	asked := 0
	go func() {
		result <- c.Run(t.Context(), func() time.Time {
			asked++
			return until.Add(time.Duration(asked-1) * step)
		}, moved)
	}()
	for range 8 {
		select {
		case moved <- struct{}{}:
		case err := <-result:
			t.Fatalf("it has ended early: %v", err)
		}
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestACommandThatCannotStartInTimeHasOverrun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(t, ctx, "true", time.Now().Add(never)); !errors.Is(err, ErrOverrun) {
		t.Errorf("got %v, want %v", err, ErrOverrun)
	}
	if err := run(t, t.Context(), "true", time.Now().Add(-time.Second)); !errors.Is(err, ErrOverrun) {
		t.Errorf("got %v, want %v", err, ErrOverrun)
	}
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
