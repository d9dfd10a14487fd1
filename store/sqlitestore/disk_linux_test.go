package sqlitestore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tenure-go/tenure/store"
)

func mountSmall(dir, size string) error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size) }
func unmount(dir string) error          { return unix.Unmount(dir, 0) }

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
