//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the command under test, so that the race detector and
// coverage see what the processes do. What they cover goes to GOCOVERDIR.
const commandEnv = "TENURE_TEST_COMMAND"

var (
	roundsFlag = flag.Int("rounds", 3, "rounds of each fault in the campaign")
	workerPath string
)

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		actAsCommand()
	}
	flag.Parse()
	// These tests wait for processes far more than they compute.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6") // a number, as it wants
	}
	if signal.Ignored(syscall.SIGHUP) { // under nohup; what the tests start would inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(withTools(m))
}

// actAsCommand is main with one more kind of store, which lives in this process alone
// and so is looked at by it when all is done.
func actAsCommand() {
	openers["broken"] = openBroken
	if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "__") }) &&
		strings.HasPrefix(os.Getenv("TENURE_STORE"), "broken:") {
		code := execute(context.Background(), os.Args[1:])
		fmt.Fprintln(os.Stderr, reportLeft())
		os.Exit(code)
	}
	main()
}

// withTools runs the tests with a worker built and, under coverage, with a place
// for what the processes report.
func withTools(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tenure-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	workerPath = filepath.Join(dir, "worker")
	build := exec.Command("go", "build", "-o", workerPath, "./testdata/worker")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the worker of the tests:", err)
		return 1
	}
	if testing.CoverMode() != "" && os.Getenv("GOCOVERDIR") == "" {
		// Or each process complains that it has none.
		if err := os.Setenv("GOCOVERDIR", dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}
