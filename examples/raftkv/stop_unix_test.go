//go:build unix

package main

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// A leader whose process is stopped for longer than its term begins nothing any more when it
// goes on.
func TestStopped(t *testing.T) {
	t.Parallel()
	f, leader, token, on := stopped(t, whole)
	f.agreed() // it has heard of the new leader
	for _, u := range f.all() {
		if u.by == leader && u.token == token && u.begin > on {
			t.Errorf("%s begins with token %d, %v after it went on", leader, token, u.begin-on)
		}
	}
}

// One that does not ask is found.
func TestStoppedStubborn(t *testing.T) {
	t.Parallel()
	f, leader, token, on := stopped(t, stubborn)
	f.until("it begins something", func() bool {
		return slices.ContainsFunc(f.all(), func(u unit) bool { return u.by == leader && u.token == token && u.begin > on })
	})
}

// stopped stops the leader's process until another server works, and returns when it went on.
func stopped(t *testing.T, what string) (f *fleet, leader raft.ServerID, token tenure.Token, on time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	f = newFleet(ctx, t, what)
	f.startAll()
	leader, token = f.agreed()
	process := f.processes[leader].cmd.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.successor(leader, token)
	on = monotonic()
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	return f, leader, token, on
}
