// Package requirestore is for the tests of drivers whose server may not be
// there. A suite that is skipped looks like a suite that has passed; here it
// says so, and fails where the server was promised.
//
// It does not import package testing, and only tests import it.
package requirestore

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	// Env lists the stores whose suites must run, as "etcd,postgres" or "all".
	Env = "TENURE_REQUIRE_STORES"
	// LogEnv names a file that gets a line for each suite that was skipped: go
	// test hides what a package prints when it passes, so "make test" shows the
	// file at its end.
	LogEnv = "TENURE_SKIPPED"
)

// TB is the part of testing.TB that Skip needs.
type TB interface {
	Helper()
	Name() string
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// Skip ends the test tb, whose store is not there for the reason given. The test
// fails if Env names the store, and is skipped, loudly, if it does not.
func Skip(tb TB, store, reason string) {
	tb.Helper()
	if Required(store) {
		tb.Fatalf("%s names store %q, which is not there: %s", Env, store, reason)
	}
	line := fmt.Sprintf("SKIPPED, NOT TESTED: store %s (%s): %s\n", store, tb.Name(), reason)
	fmt.Fprint(os.Stderr, line)
	if err := record(line); err != nil {
		tb.Fatalf("%s: %v", LogEnv, err)
	}
	tb.Skip(reason)
}

// Required reports whether Env names the store.
func Required(store string) bool {
	return slices.ContainsFunc(strings.Split(os.Getenv(Env), ","), func(s string) bool {
		s = strings.TrimSpace(s)
		return s == "all" || strings.EqualFold(s, store)
	})
}

func record(line string) error {
	path := os.Getenv(LogEnv)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line) // one write: packages are tested in parallel
	return errors.Join(err, f.Close())
}
