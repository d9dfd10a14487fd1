package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/store"
)

// fill writes until the store takes no more, and returns its error.
func (w *world) fill() (err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	value := bytes.Repeat([]byte("x"), 512<<10)
	w.look(func(st store.Store) error {
		for err == nil {
			_, err = st.Commit(ctx, store.Tx{Then: []store.Op{store.Put("data/filler", value, 0)}})
		}
		return nil
	})
	return err
}

// A server whose disk is full says so and ends; with room made it goes on.
func TestServeOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := newServing(t, "a")
	w := s.w
	disk := w.path("data-a")
	w.mount(disk, "200m")
	s.start("a")
	before := w.freshToken("n")
	var left unix.Statfs_t
	if err := unix.Statfs(disk, &left); err != nil {
		t.Fatal(err)
	}
	filler := disk + "/filler"
	if err := os.WriteFile(filler, make([]byte, int64(left.Bavail)*left.Bsize-1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.fill(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("on a full disk: %v", err)
	}
	p := s.procs["a"].expect(exitFailed)
	if got := p.stderr.String(); !strings.Contains(got, "no space left on device") || !strings.Contains(got, "make room on the disk of "+disk) {
		t.Errorf("stderr: %s", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.enlarge(disk, "400m")
	s.start("a")
	if after := w.freshToken("n"); after <= before {
		t.Errorf("token %d after %d", after, before)
	}
}

// freshToken is that of a term of an election, which is held for the purpose.
func (w *world) freshToken(election string) int64 {
	w.t.Helper()
	p := w.do("run", election, "--ttl", "1s", "--", "sh", "-c", `echo "{\"Token\": $TENURE_TOKEN}"`).expect(0)
	return decode[struct{ Token int64 }](w.t, p.stdout.String()).Token
}

// What a disk has lost is noticed, and nothing is served that may be wrong.
func TestServeOnDamagedData(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]struct {
		file string
		by   func(*testing.T, []byte)
	}{
		"the database has no beginning":   {"snap/db", func(_ *testing.T, b []byte) { clear(b[:8<<10]) }},
		"the log is changed in its midst": {"wal/*.wal", func(t *testing.T, b []byte) { flip(t, b, "damage me") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServing(t, "a")
			s.start("a")
			s.w.look(func(st store.Store) error {
				for range 3 {
					_, err := st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("data/x", []byte("damage me"), 0)}})
					if err != nil {
						return err
					}
				}
				return nil
			})
			s.procs["a"].signal(syscall.SIGTERM)
			s.procs["a"].expect(0)
			files, err := filepath.Glob(s.w.path("data-a/member/" + damage.file))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			damage.by(t, text)
			if err := os.WriteFile(files[0], text, 0o600); err != nil {
				t.Fatal(err)
			}
			p := s.begin("a").expect(exitFailed)
			for _, want := range []string{"damaged", s.w.path("data-a"), "remove the directory"} {
				if got := p.stderr.String(); !strings.Contains(got, want) {
					t.Errorf("stderr does not say %q: %s", want, got)
				}
			}
		})
	}
}

// flip changes a bit of the first of several places where text stands.
func flip(t *testing.T, b []byte, text string) {
	t.Helper()
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		t.Fatalf("no %q", text)
	}
	b[i] ^= 1
}
