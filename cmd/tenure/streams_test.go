//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStandardInputAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from string }{
		{"nothing there", "</dev/null"},
		{"closed", "<&-"},
		{"a pipe that has ended", "<ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.write("ended", "one line\n")
			want := "works\n"
			if c.from == "<ended" {
				want = "one line\n" + want
			}
			// A command that reads comes to an end, and one that does not works.
			p := w.shell(`exec "$TENURE" run -q n -- sh -c 'cat; echo works' ` + c.from).begin()
			p.expect(0).says(want)
			p = w.shell(`exec "$TENURE" run -q n -- sh -c 'echo works; exec sleep 1000' ` + c.from).begin()
			p.stdout.await(p, "works")
			p.signal(syscall.SIGTERM)
			p.expect(128 + 15)
			w.expectEmpty()
		})
	}
}

// shell prepares a command of the shell.
func (w *world) shell(line string) *proc {
	p := w.command()
	p.cmd.Path, p.cmd.Args = "/bin/sh", []string{"sh", "-c", line}
	return p
}

// 1 MiB of output a second for three seconds: all of it comes, and the renewals, too.
func TestMuchOutputPassesThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("run", "-q", "--ttl", "1s", "n", "--", "sh", "-c",
		`i=0; while [ $i -lt 12 ]; do head -c 262144 /dev/urandom >part; cat part; cat part >&2; cat part >>all; i=$((i+1)); sleep 0.25; done`).expect(0)
	all := w.read("all")
	if len(all) != 3<<20 {
		t.Fatalf("the command wrote %d bytes", len(all))
	}
	for name, got := range map[string]string{"output": p.stdout.String(), "error": p.stderr.String()} {
		if hash([]byte(got)) != hash([]byte(all)) {
			t.Errorf("standard %s has %d bytes, want %d, the same", name, len(got), len(all))
		}
	}
	w.expectEmpty()
}

// A command that waits for its reader is still one that can be stopped and killed.
func TestOutputThatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(w *world, p *proc)
		code int
	}{
		{"told to stop", func(_ *world, p *proc) { p.signal(syscall.SIGTERM) }, 128 + 15},
		{"deposed", func(w *world, p *proc) {
			w.do("depose", "n", "--yes").expect(0)
			p.stderr.await(p, "command killed; waiting to lead again")
			p.signal(syscall.SIGTERM)
		}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p := w.command("run", "n", "--ttl", shortTTL.String(), "--", "sh", "-c", "echo $$ >pid; exec yes")
			p.cmd.Stdout = out
			p.begin()
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a command that waits", func() bool { return waits(w) })
			token := w.token("n")
			time.Sleep(3 * shortTTL) // renewals that hung with the output would show
			if now := w.token("n"); now != token {
				t.Errorf("token %d, want %d", now, token)
			}
			c.end(w, p)
			if code := p.wait(); c.code >= 0 && code != c.code {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, p.stderr.String())
			}
			w.expectEmpty()
			text, err := io.ReadAll(r)
			if err != nil || strings.Trim(string(text), "y\n") != "" {
				t.Errorf("%d bytes of something else (%v)", len(text), err)
			}
		})
	}
}

// waits reports whether the command whose process id is in a file sleeps.
func waits(w *world) bool {
	pid, err := os.ReadFile(w.path("pid"))
	if err != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", strings.TrimSpace(string(pid))))
	return err == nil && strings.Contains(string(stat), "(yes) S")
}
