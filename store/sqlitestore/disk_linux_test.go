package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/store"
)

// asNobody runs fn without the right of root to write everything.
func asNobody(fn func()) {
	if os.Geteuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	old, _ := unix.SetfsuidRetUid(nobody)
	defer func() { _, _ = unix.SetfsuidRetUid(old) }()
	fn()
}

// ownMounts marks a process that may mount: nobody else sees it, and it is gone
// with the process, however that ends.
const ownMounts = "SQLITESTORE_TEST_MOUNTS"

func TestFullDisk(t *testing.T) {
	if os.Getenv(ownMounts) != "" {
		fillDisk(t)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, fs.ErrPermission):
		t.Skipf("NO DISK TO FILL (%v): TestFailedStatementUndoesAll stands in for it", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: TestFullDisk"):
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := file(filepath.Join(dir, "tenure.db")).open(t, Options{})
	w := watch(t, s, "", 0)
	var err error
	for i := 0; err == nil; i++ {
		_, err = s.Commit(t.Context(), store.Tx{Then: []store.Op{
			store.Put("small", fmt.Append(nil, i), store.NoLease),
			store.Put(fmt.Sprintf("large/%d", i), make([]byte, 100_000), store.NoLease),
		}})
	}
	full(t, s, err)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.wait(t, put(t, s, "room", "", store.NoLease))
	intact(t, s)
}

func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		made         bool
		folder, file os.FileMode
		says         string
	}{
		{"folder without file", false, 0o555, 0, "cannot be made"},
		{"folder", true, 0o555, 0o666, "cannot be written"},
		{"file", true, 0o777, 0o444, "cannot be written"},
		{"unreadable file", true, 0o777, 0, "cannot be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "tenure.db")
			if c.made {
				s := file(path).open(t, Options{})
				if err := errors.Join(s.Close(), os.Chmod(path, c.file), os.Remove(s.bell)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, c.folder)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
			asNobody(func() {
				s, err := Open(t.Context(), path, Options{})
				if err == nil {
					t.Fatal(errors.Join(errors.New("it was opened"), s.Close()))
				}
				if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
