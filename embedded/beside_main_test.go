package embedded_test

import (
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
	os.Exit(m.Run())
}
