package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tenure-go/tenure/internal/requirestore"
)

// asProcessOne prepares a command line of tenure as process 1 of a PID namespace with a /proc
// of its own, as in a container.
func (w *world) asProcessOne(args ...string) *proc {
	w.t.Helper()
	p := w.shell(`mount --make-rprivate / && mount -t proc proc /proc && exec "$TENURE" "$@"`)
	p.cmd.Args = append(p.cmd.Args, append([]string{"sh"}, args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return p
}

func requireNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		requirestore.Skip(t, "namespace", "a process 1 of a test's own needs root, who may make PID namespaces")
	}
}

func TestRunAsProcessOne(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	t.Run("ends as its command does", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.asProcessOne("run", "n", "--", "sh", "-c", "exit 7").begin().expect(7)
		w.expectEmpty()
	})
	t.Run("passes signals on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p := w.asProcessOne("run", "n", "--pre-stop", "echo unregistered", "--", "sh", "-c", traps).begin()
		p.stdout.await(p, "works")
		p.signal(syscall.SIGUSR1)
		p.stdout.await(p, "got USR1")
		p.signal(syscall.SIGTERM)
		p.expect(7).expectSays("unregistered")
		w.expectEmpty()
	})
	t.Run("reaps orphans and leaves no daemon", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		// The daemons of a health command outlive its guard, so that they are process 1's.
		const daemon = `(setsid sh -c 'echo >>daemons; sleep 0.3' &); while [ ! -s daemons ]; do sleep 0.01; done`
		p := w.asProcessOne("run", "n", "--health-cmd", daemon+"; sleep 0.1", "--ttl", "3s", "--", "sh", "-c", `
			for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 0.1 &); (sleep 0.1 &); done
			(setsid sleep 1000 &)
			while [ $(wc -l <daemons) -lt 4 ]; do sleep 0.01; done
			sleep 0.5
			while grep -qs "^State:.Z" /proc/[0-9]*/status; do sleep 0.01; done
			echo clean; exit 3`).begin()
		p.expect(3)
		p.stdout.await(p, "clean")
		w.expectEmpty()
	})
	t.Run("reaps what an earlier command has left", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		p := w.asProcessOne("run", "n", "--restart", "on-failure", "--", "sh", "-c", `
			if [ ! -e ran ]; then touch ran; (setsid sleep 0.3 &); sleep 0.1; exit 1; fi
			sleep 0.5
			while grep -qs "^State:.Z" /proc/[0-9]*/status; do sleep 0.01; done
			echo clean`).begin()
		p.expect(0).says("clean\n")
		w.expectEmpty()
	})
}

// compose is what the example's file says of its services.
type compose struct {
	Services map[string]struct {
		Command         []string `json:"command"`
		StopGracePeriod string   `json:"stop_grace_period"`
	} `json:"services"`
}

func TestContainerExample(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	const dir = "../../examples/container"
	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file compose
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	servers := newServing(t, "store")
	w := servers.w
	work, err := filepath.Abs(filepath.Join(dir, "work"))
	if err != nil {
		t.Fatal(err)
	}
	worker := file.Services["worker"]
	here := func(args []string) []string { // as compose would have it, but on this host
		r := strings.NewReplacer("$$", "$", "store:2379", servers.clients["store"], "0.0.0.0:2379", servers.clients["store"], "/data", w.path("data"))
		args = slices.Clone(args)
		for i := range args {
			args[i] = r.Replace(args[i])
		}
		if last := len(args) - 1; args[last] == "work" {
			args[last] = work
		}
		return args
	}
	store := w.asProcessOne(here(file.Services["store"].Command)...).begin()
	store.stdout.await(store, "store serves")
	a := w.asProcessOne(here(worker.Command)...).begin()
	a.stdout.await(a, "works, token")
	b := w.asProcessOne(here(worker.Command)...).begin()
	b.stderr.await(b, "waits to lead")

	a.signal(syscall.SIGTERM) // docker stop
	b.stdout.await(b, "works, token")
	a.expect(0).expectSays("takes no new work")
	a.stdout.await(a, " stops\n")
	again := w.asProcessOne(here(worker.Command)...).begin()
	again.stderr.await(again, "waits to lead")
	b.signal(syscall.SIGKILL) // docker kill
	again.stdout.await(again, "works, token")
	again.signal(syscall.SIGTERM)
	again.expect(0)
	store.signal(syscall.SIGTERM)
	store.expect(0)

	run, _, err := newRoot().Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.ParseFlags(worker.Command[1:]); err != nil {
		t.Fatal(err)
	}
	grace, err := run.Flags().GetDuration("grace")
	if err != nil {
		t.Fatal(err)
	}
	if stop, err := time.ParseDuration(worker.StopGracePeriod); err != nil || stop <= grace+killGrace {
		t.Errorf("stop_grace_period is %s (%v), which is not longer than the grace of %v and %v more", worker.StopGracePeriod, err, grace, killGrace)
	}
}
