package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disk := w.path("disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("SKIPPED: a full disk needs root, who may mount a small one:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
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
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	w.do("--store", url, "run", "n", "--", "echo", "works").expect(0).says("works\n")
}
