package sqlitestore

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain is also the main function of the processes that tests start.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !fuzzing() && !settled(before) {
		fmt.Fprintln(os.Stderr, "goroutines were left behind:")
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// fuzzing reports whether this process is one of a fuzzer, which leaves goroutines behind.
func fuzzing() bool { return flag.Lookup("test.fuzz").Value.String() != "" }

// settled waits for goroutines that are about to end.
func settled(limit int) bool {
	for range 200 {
		if runtime.NumGoroutine() <= limit {
			return true
		}
		time.Sleep(10 * time.Millisecond) // goroutines end without a word
	}
	return false
}
