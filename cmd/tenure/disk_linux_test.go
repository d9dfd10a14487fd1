package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/internal/requirestore"
)

// mount makes a small disk of the test's own.
func (w *world) mount(path, size string) {
	w.t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size="+size); err != nil {
		requirestore.Skip(w.t, "disk", "a small disk needs root, who may mount one: "+err.Error())
	}
	w.t.Cleanup(func() {
		w.end() // who uses it
		if err := unix.Unmount(path, 0); err != nil {
			w.t.Error(err)
		}
	})
}

// enlarge makes room on it.
func (w *world) enlarge(path, size string) {
	w.t.Helper()
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_REMOUNT, "size="+size); err != nil {
		w.t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disk := w.path("disk")
	w.mount(disk, "64k")
	filler := disk + "/filler"
	if err := os.WriteFile(filler, []byte(strings.Repeat("x", 60<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "sqlite:" + disk + "/tenure.db"
	p := w.do("--store", url, "run", "n", "--", "echo", "works").expect(exitRunFailed).says("")
	expectOneError(t, p, "tenure.db", "disk is full")
	w.expectNoProcess()
	// With room made, the same file works.
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.enlarge(disk, "4m")
	w.do("--store", url, "run", "n", "--", "echo", "works").expect(0).says("works\n")
}
