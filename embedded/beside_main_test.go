package embedded_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// childRole names the part that a process started by a test plays.
const childRole = "TENURE_EMBEDDED_CHILD"

// TestMain is also the main function of the processes that tests start.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	// These tests wait more than they work: for elections, and for what must not happen.
	if err := flag.Set("test.parallel", "4"); err != nil { // the command line overrules it
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
