package sqlitestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenure-go/tenure/store"
)

// FuzzPath opens files of any name in a folder: it is that file which SQLite has, whatever
// its name would mean in a URI.
func FuzzPath(f *testing.F) {
	for _, name := range []string{"tenure.db", "a b?mode=memory&x=#y", "%41", "file:x", ":memory:", "é\n", "\xff", ".", "..", "a;b", "~", "-"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsAny(name, "/\x00") || len(name) > 200 {
			t.Skip("no name of a file in a folder")
		}
		dir := t.TempDir()
		path, err := locate(dir + "/" + name)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%q: %v", name, err)
			}
			return
		}
		folder, err := filepath.EvalSymlinks(dir)
		if err != nil {
			t.Fatal(err)
		}
		if path != filepath.Join(folder, name) {
			t.Fatalf("%q leads to %q", name, path)
		}
		c, err := dial(path)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		defer func() {
			if err := c.close(); err != nil {
				t.Error(err)
			}
		}()
		if err := c.script("CREATE TABLE t (n); INSERT INTO t VALUES (1)"); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			t.Errorf("%q: SQLite wrote another file: %v, %v", name, info, err)
		}
	})
}

// FuzzPrefix holds the end of a range against what it is the end of.
func FuzzPrefix(f *testing.F) {
	f.Add("leaders/", "leaders/n")
	f.Add("a\xff", "b")
	f.Add("\xff\xff", "\xff\xff\xff")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		end := successor(prefix)
		within := key >= prefix && (end == "" || key < end)
		if within != strings.HasPrefix(key, prefix) {
			t.Errorf("%q and prefix %q: within %v; the range ends at %q", key, prefix, within, end)
		}
		keys, prefixes := reduce(store.Query{Keys: []string{key, key, prefix}, Prefixes: []string{prefix, prefix, prefix + key}})
		if len(prefixes) != 1 || prefixes[0] != prefix || (len(keys) == 0) != strings.HasPrefix(key, prefix) {
			t.Errorf("%q and %q: reduced to keys %q, prefixes %q", key, prefix, keys, prefixes)
		}
	})
}
