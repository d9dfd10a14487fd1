package main

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tenure-go/tenure/internal/requirestore"
)

// What docs/coming-from.md says of flock(1), shown on it, and of tenure run beside it.

// flock runs the flock of this host on a lock of this world.
func (w *world) flock(options string, cmd ...string) *proc {
	w.t.Helper()
	path, err := exec.LookPath("flock")
	if err != nil {
		requirestore.Skip(w.t, "flock", err.Error())
	}
	p := w.command()
	p.cmd.Path, p.cmd.Args = path, append(append([]string{"flock"}, strings.Fields(options)...), append([]string{"lock"}, cmd...)...)
	return p.begin()
}

// left is what writes its process id to a file, stays, and keeps no output open.
const left = `sleep 1000 >/dev/null 2>&1 & echo $! >pid`

// endLeft ends the process that has written its id, which must be alive.
func (w *world) endLeft() {
	w.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(w.read("pid")))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		w.t.Errorf("what was left does not live: %v", err)
	}
}

func TestFlockLeavesItsCommandWhenItIsKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options string
		free    int // of "flock -n" beside the command that lives
	}{
		"the command keeps the lock": {"", 1},
		"nobody keeps the lock":      {"-o", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.flock(c.options, "sh", "-c", "echo $$ >new && mv new pid && exec sleep 1000 >/dev/null 2>&1")
			eventually(t, "the command's id", func() bool { return slices.Contains(w.files(), "pid") })
			p.signal(syscall.SIGKILL)
			p.expect(-1)
			w.flock("-n", "true").expect(c.free)
			w.endLeft()
		})
	}
}

func TestFlockIsHeldByWhatItsCommandHasLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.flock("", "sh", "-c", left).expect(0)
	w.flock("-n", "true").expect(1)
	w.endLeft()

	w.do("run", "-q", "n", "--", "sh", "-c", left).expect(0)
	w.expectEmpty()
}

func TestExitCodesOfFlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.flock("", "sh", "-c", "exit 3").expect(3)
	w.flock("", "sh", "-c", "kill -TERM $$").expect(128 + 15)
	w.flock("", "./no-such-command").expect(69)
	holder := w.flock("-F", "sh", "-c", "echo holds; exec sleep 1000") // one process: it ends with the test
	holder.stdout.await(holder, "holds")
	w.flock("-n", "true").expect(1)
	w.flock("-w 0.05", "true").expect(1)
	w.flock("-w 0.05 -E 5", "true").expect(5)
}

// The CMD of "etcdctl lock" that runs in another one is told of the outer one's key.
func TestCommandOfARunWithinARunKnowsTheInnerTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("run", "-q", "outer", "--", "sh", "-c", `exec "$TENURE" run -q inner -- sh -c 'echo "$TENURE_ELECTION"'`).expect(0).says("inner\n")
	w.expectEmpty()
}
