package requirestore

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fake records how a test ended. Like the real one, its ends do not return.
type fake struct{ skipped, failed string }

func (*fake) Helper()      {}
func (*fake) Name() string { return "TestFake" }

func (f *fake) Skip(args ...any) {
	f.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (f *fake) Fatalf(format string, args ...any) {
	f.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func skip(store string) *fake {
	f, done := new(fake), make(chan struct{})
	go func() {
		defer close(done)
		Skip(f, store, "no server")
	}()
	<-done
	return f
}

func TestSkipFailsWhereTheStoreIsRequired(t *testing.T) {
	for _, c := range []struct {
		required string
		fails    bool
	}{
		{"", false},
		{"postgres", false},
		{"etcd-old", false},
		{"etcd", true},
		{"ETCD", true},
		{"memory, etcd ,postgres", true},
		{"all", true},
	} {
		t.Run(c.required, func(t *testing.T) {
			t.Setenv(LogEnv, "")
			t.Setenv(Env, c.required)
			f := skip("etcd")
			if failed := f.failed != ""; failed != c.fails || failed == (f.skipped != "") {
				t.Errorf("failed: %q, skipped: %q", f.failed, f.skipped)
			}
		})
	}
}

func TestSkipSaysSo(t *testing.T) {
	log := filepath.Join(t.TempDir(), "skipped")
	t.Setenv(LogEnv, log)
	t.Setenv(Env, "")
	skip("etcd")
	skip("postgres")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := "SKIPPED, NOT TESTED: store etcd (TestFake): no server\n" +
		"SKIPPED, NOT TESTED: store postgres (TestFake): no server\n"
	if string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}

func TestSkipFailsWhenItCannotSaySo(t *testing.T) {
	t.Setenv(LogEnv, t.TempDir())
	t.Setenv(Env, "")
	if f := skip("etcd"); !strings.Contains(f.failed, LogEnv) {
		t.Errorf("failed: %q, skipped: %q", f.failed, f.skipped)
	}
}
