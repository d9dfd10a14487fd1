//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/tenure-go/tenure/internal/requirestore"
)

const unitsDir = "../../examples/systemd"

// service is a unit's section of that name.
type service map[string]string

func readService(t *testing.T, name string) service {
	t.Helper()
	f, err := os.Open(filepath.Join(unitsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options, err := unit.DeserializeOptions(f)
	if err != nil {
		t.Fatal(err)
	}
	s := service{}
	for _, o := range options {
		if o.Section == "Service" {
			s[o.Name] = o.Value
		}
	}
	return s
}

// duration is a setting of time. Those of the units are in one unit of time each, which
// systemd and Go write alike.
func (s service) duration(t *testing.T, name string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s[name])
	if err != nil {
		t.Fatalf("%s=%s: %v", name, s[name], err)
	}
	return d
}

// start does what systemd would do with the command line.
func (s service) start(w *world, m *manager, replace ...string) *proc {
	w.t.Helper()
	host, err := os.Hostname()
	if err != nil {
		w.t.Fatal(err)
	}
	short, _, _ := strings.Cut(host, ".")
	line := strings.NewReplacer(append(replace, "%i", "nightly", "%H", host, "%l", short)...).Replace(s["ExecStart"])
	args := strings.Fields(line)
	if args[0] != "/usr/local/bin/tenure" {
		w.t.Fatalf("ExecStart=%s", s["ExecStart"])
	}
	p := w.managed(m, args[1:]...)
	if s["WatchdogSec"] != "" {
		d, err := time.ParseDuration(s["WatchdogSec"])
		if err != nil {
			w.t.Fatal(err)
		}
		p.setenv(fmt.Sprint("WATCHDOG_USEC=", d.Microseconds()))
	}
	return p.begin()
}

func TestUnitOfAMember(t *testing.T) {
	t.Parallel()
	s := readService(t, "tenure@.service")
	w := newWorld(t)
	m := newManager(t)
	script := "#!/bin/sh\necho \"works $TENURE_ELECTION ${NOTIFY_SOCKET-}\"\nexec sleep 1000\n"
	if err := os.WriteFile(w.path("run"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p := s.start(w, m, "/etc/tenure/%i/run", w.path("run"))
	m.await("READY=1")
	m.await("STATUS=leads nightly, token ")
	m.await("WATCHDOG=1")
	p.stdout.await(p, "works nightly \n")
	if s["Type"] != "notify" || s["KillMode"] != "mixed" {
		t.Errorf("Type=%s, KillMode=%s", s["Type"], s["KillMode"])
	}
	p.signal(syscall.SIGTERM) // to the main process, as KillMode=mixed has it
	m.await("STOPPING=1")
	code := p.wait()
	if !slices.Contains(strings.Fields(s["SuccessExitStatus"]), fmt.Sprint(code)) {
		t.Errorf("SuccessExitStatus=%s does not have %d", s["SuccessExitStatus"], code)
	}
	w.expectEmpty()
}

func TestUnitOfAMemberLeavesItTheTimeItNeeds(t *testing.T) {
	t.Parallel()
	s := readService(t, "tenure@.service")
	root := newRoot()
	run, _, err := root.Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.ParseFlags(strings.Fields(s["ExecStart"])[2:]); err != nil {
		t.Fatal(err)
	}
	grace, err := run.Flags().GetDuration("grace")
	if err != nil {
		t.Fatal(err)
	}
	ttl, err := run.Flags().GetDuration("ttl")
	if err != nil {
		t.Fatal(err)
	}
	if stop := s.duration(t, "TimeoutStopSec"); stop <= grace+killGrace {
		t.Errorf("TimeoutStopSec=%v is not longer than the grace of %v and %v more", stop, grace, killGrace)
	}
	if watchdog := s.duration(t, "WatchdogSec"); watchdog < leastWatchdog(ttl) {
		t.Errorf("WatchdogSec=%v is too short for a TTL of %v", watchdog, ttl)
	}
}

func TestUnitOfAServer(t *testing.T) {
	t.Parallel()
	s := readService(t, "tenure-serve.service")
	servers := newServing(t, "a")
	w, m := servers.w, newManager(t)
	// Another port than that of the unit, which may be taken.
	p := s.start(w, m, "--data=/var/lib/"+s["StateDirectory"], "--data="+w.path("data")+" --client="+servers.clients["a"])
	m.await("READY=1")
	w.do("run", "n", "--", "echo", "works").expect(0).says("works\n")
	p.signal(syscall.SIGTERM)
	m.await("STOPPING=1")
	p.expect(0)
}

func TestUnitsAreVerified(t *testing.T) {
	t.Parallel()
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		requirestore.Skip(t, "systemd", "systemd-analyze, which verifies units, is not installed")
	}
	dir := t.TempDir()
	for _, name := range []string{"tenure@.service", "tenure-serve.service"} {
		text, err := os.ReadFile(filepath.Join(unitsDir, name))
		if err != nil {
			t.Fatal(err)
		}
		// It looks whether the program is there.
		text = []byte(strings.ReplaceAll(string(text), "/usr/local/bin/tenure", self(t)))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(verify, "verify", "--man=no", filepath.Join(dir, "tenure@nightly.service"), filepath.Join(dir, "tenure-serve.service")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
