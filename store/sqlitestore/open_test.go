package sqlitestore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenure-go/tenure/store"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		prep func(t *testing.T, path string) string
		is   error
		says []string
	}{
		{"empty path", func(*testing.T, string) string { return "" }, store.ErrInvalid, []string{"path", "empty"}},
		{"folder", func(t *testing.T, path string) string { return filepath.Dir(path) }, store.ErrInvalid, []string{"is a folder"}},
		{"no folder", func(t *testing.T, path string) string { return filepath.Join(path, "no", "file") },
			store.ErrInvalid, []string{"folder does not exist", "make it"}},
		{"file as folder", func(t *testing.T, path string) string {
			write(t, path, "text")
			return filepath.Join(path, "file")
		}, store.ErrInvalid, []string{"folder cannot be used"}},
		{"dangling link", func(t *testing.T, path string) string {
			if err := os.Symlink(path+"-nowhere", path); err != nil {
				t.Fatal(err)
			}
			return path
		}, store.ErrInvalid, []string{"leads nowhere"}},
		{"no database", func(t *testing.T, path string) string {
			write(t, path, strings.Repeat("no database at all\n", 100))
			return path
		}, store.ErrInvalid, []string{"not a SQLite database", "choose another path"}},
		{"short text", func(t *testing.T, path string) string {
			write(t, path, "hello")
			return path
		}, store.ErrInvalid, []string{"not a SQLite database"}},
		{"foreign database", func(t *testing.T, path string) string {
			write(t, path, "")
			alter(t, path, "CREATE TABLE users (name)")
			return path
		}, store.ErrInvalid, []string{"another program"}},
		{"marked foreign database", func(t *testing.T, path string) string {
			write(t, path, "")
			alter(t, path, "PRAGMA application_id = 1234")
			return path
		}, store.ErrInvalid, []string{"another program", "0x4d2"}},
		{"newer format", func(t *testing.T, path string) string {
			file(path).open(t, Options{})
			alter(t, path, "PRAGMA user_version = 7")
			return path
		}, store.ErrUnsupported, []string{"format 7", "upgrade"}},
		{"corrupt", func(t *testing.T, path string) string {
			s := file(path).open(t, Options{})
			fill(t, s, 1000)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			scribble(t, path)
			return path
		}, store.ErrUnavailable, []string{"corrupt", "restore"}},
		{"state missing", func(t *testing.T, path string) string {
			file(path).open(t, Options{})
			alter(t, path, "DELETE FROM state")
			return path
		}, store.ErrUnavailable, []string{"corrupt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := c.prep(t, filepath.Join(t.TempDir(), "tenure.db"))
			before := snapshot(t, path)
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), s.Close()))
			}
			if !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			for _, text := range append(c.says, path) {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			if after := snapshot(t, path); after != before {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenRefusesNegativeHistory(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), string(newFile(t)), Options{History: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestOpenHeedsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFile(t)
	if _, err := Open(ctx, string(f), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestOpenNewFileAtOnce(t *testing.T) {
	t.Parallel()
	for range 10 {
		f := newFile(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				s, err := Open(t.Context(), string(f), Options{})
				if err == nil {
					_, err = s.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("k", nil, store.NoLease)}})
					err = errors.Join(err, s.Close())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if l := list(t, f.open(t, Options{}), store.Prefix("")); l.Revision != 8 {
			t.Errorf("revision is %d", l.Revision)
		}
	}
}

// An empty file is as good as none; so is a database with nothing in it.
func TestOpenTakesEmptyFile(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"", "VACUUM"} {
		f := newFile(t)
		write(t, string(f), "")
		if sql != "" {
			alter(t, string(f), sql)
		}
		put(t, f.open(t, Options{}), "k", "v", store.NoLease)
	}
}

func TestOpenSettings(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	for _, pool := range s.pools() {
		for range cap(pool) {
			c := <-pool
			for pragma, want := range map[string]any{"journal_mode": "wal", "synchronous": int64(2), "fullfsync": int64(1)} {
				if row, err := c.first("PRAGMA " + pragma); err != nil || row[0] != want {
					t.Errorf("%s is %v, %v", pragma, row, err)
				}
			}
			pool <- c
		}
	}
}

func TestOpenModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0, 0o660} { // 0: the file is made by Open
		f := newFile(t)
		if mode != 0 {
			write(t, string(f), "")
			if err := os.Chmod(string(f), mode); err != nil {
				t.Fatal(err)
			}
		}
		put(t, f.open(t, Options{}), "k", "v", store.NoLease)
		if mode == 0 {
			mode = 0o600
		}
		for _, suffix := range []string{"", "-wal", "-shm", "-bell"} {
			if info, err := os.Stat(string(f) + suffix); err != nil || info.Mode() != mode {
				t.Errorf("mode of file%s is %v, %v; want %v", suffix, info.Mode(), err, mode)
			}
		}
	}
}

// The working folder belongs to the whole process: no parallel tests.
func TestOpenPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	a := file("odd ?name=%41#.db").open(t, Options{})
	put(t, a, "k", "v", store.NoLease)
	if info, err := os.Stat(filepath.Join(dir, "odd ?name=%41#.db")); err != nil || info.Size() == 0 {
		t.Errorf("the file is not there or empty: %v", err)
	}
	if err := os.Symlink("odd ?name=%41#.db", "link.db"); err != nil {
		t.Fatal(err)
	}
	b := file("link.db").open(t, Options{})
	t.Chdir("/")
	for _, s := range []*Store{a, b} {
		if l := list(t, s, store.Keys("k")); len(l.Entries) != 1 {
			t.Error("one file, two stores")
		}
	}
	if a.bell != b.bell {
		t.Errorf("two bells: %s, %s", a.bell, b.bell)
	}
}

func TestFileReplacedWhileInUse(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s := f.open(t, Options{})
	w := watch(t, s, "", 0)
	w.next(t)
	if err := os.Remove(string(f)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), store.Prefix("")); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "removed") {
		t.Errorf("List of a removed file: %v", err)
	}
	write(t, string(f), "")
	_, err := s.Commit(t.Context(), store.Tx{Then: []store.Op{store.Delete("k")}})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("Commit to a replaced file: %v", err)
	}
	if err := w.end(t); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s := f.open(t, Options{})
	lease := grant(t, s, patience)
	put(t, s, "k", "v", lease)
	w := watch(t, s, "", 0)
	w.event(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.end(t); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the watch ended with %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	ctx := t.Context()
	_, commit := s.Commit(ctx, store.Tx{})
	_, list := s.List(ctx, store.Prefix(""))
	_, grant := s.Grant(ctx, 0)
	_, renew := s.Renew(ctx, lease)
	for i, err := range []error{commit, list, grant, renew, s.Revoke(ctx, lease), s.Compact(ctx), watch(t, s, "", 0).end(t)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("call %d after Close: %v", i, err)
		}
	}
	again := f.open(t, Options{})
	if l, err := again.List(ctx, store.Keys("k")); err != nil || l.Entry("k") == nil || l.Entry("k").Lease != lease {
		t.Errorf("after Close there is %+v, %v", l, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// alter runs SQL on a file by the side.
func alter(t *testing.T, path, sql string) {
	t.Helper()
	c, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script(sql), c.close()); err != nil {
		t.Fatal(err)
	}
}

// scribble spoils a file that nobody has open, but for its first page.
func scribble(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(data); i++ {
		data[i] = 0xa5
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// snapshot is what a file holds, if it is one that SQLite has not got open.
func snapshot(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path + "-shm"); err == nil {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}
