package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var kills = flag.Int("kills", 10, "how many processes TestNoJobIsLost kills")

// commandEnv makes the test binary the command: the one that a test starts, and the nodes
// that this one starts.
const commandEnv = "TENURE_SCHEDULER_COMMAND"

func TestMain(m *testing.M) {
	switch what := os.Getenv(commandEnv); {
	case what == "":
		os.Exit(m.Run())
	case what != whole && os.Args[1] == "node":
		if err := brokenNode(what, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "broken node:", err)
			os.Exit(1)
		}
	default:
		main()
	}
}

// Whoever is killed, at whatever moment: the job count adds up.
func TestNoJobIsLost(t *testing.T) {
	t.Parallel()
	r := campaign(t, whole, *kills, quick)
	if r.err != nil {
		t.Errorf("the command: %v", r.err)
	}
	for _, w := range wrong(r) {
		t.Error(w)
	}
	for pid := range r.ended {
		if _, ok := r.killed[pid]; !ok && r.joined[pid] { // one that could not join did no harm
			t.Errorf("pid %d has ended, and was not killed", pid)
		}
	}
	if want := *kills / 5; r.leaders < want {
		t.Errorf("%d of %d kills struck the leader, want %d", r.leaders, len(r.killed), want)
	}
	t.Logf("%d jobs, %d results, so %d done again; %d processes killed, %d of them in office; %d cut off",
		len(r.jobs), len(r.results), len(r.results)-len(r.jobs), len(r.killed), r.leaders, len(r.cutOff))
}

// Requests and replies that are lost lose no job, and have none done twice.
func TestNoAnswers(t *testing.T) {
	t.Parallel()
	r := campaign(t, unanswered, 0, quick)
	if r.err != nil {
		t.Errorf("the command: %v", r.err)
	}
	for _, w := range wrong(r) {
		t.Error(w)
	}
	t.Logf("%d jobs, %d results", len(r.jobs), len(r.results))
}

// A judge that finds nothing shows nothing until it has found something.
func TestNegativeControls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		kills int
		work  time.Duration
		says  string
	}{
		{unconditional, 1, quick, "and again by"},
		{allGone, 0, 3 * tick, "and again by"}, // so that the leader deals while they work
		{recordsFirst, 6, quick, "recorded, and never done"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := campaign(t, c.what, c.kills, c.work)
			found := wrong(r)
			if !slices.ContainsFunc(found, func(w string) bool { return strings.Contains(w, c.says) }) {
				t.Errorf("found %q, want one that says %q", found, c.says)
			}
			t.Logf("%d jobs, %d results, %d mistakes: %q", len(r.jobs), len(r.results), len(found), found[:min(3, len(found))])
		})
	}
}

// A command that is killed cannot tell its nodes to stop.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := start(ctx, t, whole, "-jobs", "200")
	c.await(func() bool { return c.joins() == 3 })
	_ = c.cmd.Process.Kill() // or it has ended by itself
	_ = c.end()              // the nodes write to the same pipe: it ends when all have gone
}

// quick is how long a job takes where that does not matter.
const quick = 200 * time.Millisecond

// campaign has the command do jobs and kills so many nodes meanwhile.
func campaign(t *testing.T, what string, kills int, work time.Duration) report {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(kills)*15*time.Second)
	defer cancel()
	// Each kill waits for 5 results at most, so that they do not run out.
	c := start(ctx, t, what, "-jobs", strconv.Itoa(5*kills+30), "-work", work.String())
	c.await(func() bool { return c.joins() == 3 })
	killAll(ctx, c, kills)
	c.err = c.end()
	return c.left(ctx)
}
