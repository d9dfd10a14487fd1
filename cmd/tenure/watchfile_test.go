//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// awaitContent waits until a file holds a text.
func (w *world) awaitContent(name, want string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%q in %s", want, name), func() bool {
		got, err := os.ReadFile(w.path(name))
		return err == nil && string(got) == want
	})
}

func TestWatchKeepsAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.start("watch", "n", "--write", "leader")
	w.awaitContent("leader", "")
	if info, err := os.Stat(w.path("leader")); err != nil || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	a := w.hooked("a", "--endpoint", "10.0.0.1:80")
	first := fmt.Sprintf("a\t10.0.0.1:80\t%d\n", w.token("n"))
	w.awaitContent("leader", first)
	b := w.hooked("b")
	w.do("transfer", "n", "--to", "b", "--yes").expect(0)
	second := fmt.Sprintf("b\t\t%d\n", w.token("n"))
	w.awaitContent("leader", second)

	values := w.start("watch", "n", "--json", "--write", "leader.json")
	w.awaitContent("leader.json", w.do("leader", "n", "--json").expect(0).stdout.String())
	a.ends()
	b.ends()
	w.awaitContent("leader", "")
	w.awaitContent("leader.json", "")
	for _, p := range []*proc{watch, values} {
		p.signal(syscall.SIGTERM)
		p.expect(0).says("")
		if got := p.stderr.String(); got != "" {
			t.Errorf("standard error: %s", got)
		}
	}
	for _, name := range w.files() {
		if strings.HasPrefix(name, ".") {
			t.Errorf("left %s", name)
		}
	}
}

// Whoever reads the file, whenever, finds all of it.
func TestWatchReplacesTheFileAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	endpoint := strings.Repeat("x", 4<<10)
	a := w.hooked("a", "--endpoint", endpoint)
	b := w.hooked("b", "--endpoint", endpoint)
	watch := w.start("watch", "n", "--write", "leader")
	want := func(id string) string { return fmt.Sprintf("%s\t%s\t%d\n", id, endpoint, w.token("n")) }
	w.awaitContent("leader", want("a"))
	size := len(w.read("leader"))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			got, err := os.ReadFile(w.path("leader"))
			if err != nil || len(got) < size || len(got) > size+2 || !strings.HasSuffix(string(got), "\n") {
				t.Errorf("%d bytes, want %d: %.40q, %v", len(got), size, got, err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 20 {
		to := []string{"b", "a"}[i%2]
		w.do("transfer", "n", "--to", to, "--yes").expect(0)
		w.awaitContent("leader", want(to))
	}
	close(stop)
	<-done
	watch.signal(syscall.SIGINT)
	watch.expect(0)
	a.ends()
	b.ends()
}

// A link is followed, and permissions are kept.
func TestWatchKeepsWhatTheFileIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("target", "old")
	if err := os.Chmod(w.path("target"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", w.path("link")); err != nil {
		t.Fatal(err)
	}
	watch := w.start("watch", "n", "--write", "link")
	w.awaitContent("target", "")
	w.hooked("a")
	w.awaitContent("target", fmt.Sprintf("a\t\t%d\n", w.token("n")))
	if info, err := os.Lstat(w.path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v (%v)", info, err)
	}
	if info, err := os.Stat(w.path("target")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %v (%v)", info, err)
	}
	watch.signal(syscall.SIGTERM)
	watch.expect(0)
	w.awaitContent("target", fmt.Sprintf("a\t\t%d\n", w.token("n"))) // as it was when the watch ended
}

// What keeps the file from being written is told once, and tried again.
func TestWatchWritesAgainWhenItCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Mkdir(w.path("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	watch := w.start("watch", "n", "--write", "dir/leader")
	w.awaitContent("dir/leader", "")
	if err := os.RemoveAll(w.path("dir")); err != nil {
		t.Fatal(err)
	}
	w.hooked("a")
	watch.stderr.await(watch, "trying again")
	if err := os.Mkdir(w.path("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.awaitContent("dir/leader", fmt.Sprintf("a\t\t%d\n", w.token("n")))
	watch.signal(syscall.SIGTERM)
	watch.expect(0)
	if got := watch.stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "dir") {
		t.Errorf("standard error: %s", got)
	}
}

func TestWatchRefusesWhatCannotBeTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Symlink("nowhere", w.path("dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.path("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("file", "")
	for _, c := range []struct {
		path string
		code int
		says string
	}{
		{"", exitUsage, "--write is empty; give a file"},
		{"dir", exitFailed, "dir is a directory; give a file in it"},
		{"dangling", exitFailed, "the link leads nowhere"},
		{"/dev/null", exitFailed, "/dev/null is no regular file, and would be replaced by one"},
		{"none/leader", exitFailed, "none: no such file or directory; make the directory first"},
		{"file/leader", exitFailed, "not a directory"},
	} {
		expectOneError(t, w.do("watch", "n", "--write", c.path).expect(c.code).says(""), c.says)
	}
	if files := w.files(); len(files) != 3 {
		t.Errorf("the folder holds %q", files)
	}
}
