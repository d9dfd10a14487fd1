//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var measureFlag = flag.Bool("measure", false, "measure times, for minutes")

// TestMeasure measures what is promised of the command's speed. It asserts
// nothing: what a machine that is busy with other things needs says nothing.
//
//	go test ./cmd/tenure -run Measure -measure -v
func TestMeasure(t *testing.T) {
	if !*measureFlag {
		t.Skip("takes minutes; use -measure")
	}
	const row = "%-52s %10v %10v   %s"
	t.Logf(row, "figure", "value", "required", "")
	show := func(figure string, value, required time.Duration, note string) {
		t.Logf(row, figure, value.Round(100*time.Microsecond), required, note)
	}

	t.Run("hand-over", func(t *testing.T) {
		c := newCampaign(t, 3, "stamp")
		var sample []time.Duration
		for range 250 {
			leader := c.inOffice()
			term(c, leader)
			c.passed++
			next := c.successor(leader)
			sample = append(sample, time.Duration(next.at-c.exits[leader.token].at))
		}
		c.finish(fault{name: "hand-over"})
		note := fmt.Sprintf("%d rounds, max %v", len(sample), quantile(sample, 1).Round(100*time.Microsecond))
		show("TERM: child's exit to successor's start, p50", quantile(sample, 0.5), 5*time.Millisecond, note)
		show("TERM: child's exit to successor's start, p99", quantile(sample, 0.99), 25*time.Millisecond, note)
	})

	t.Run("fail-over", func(t *testing.T) {
		c := newCampaign(t, 3, "stamp")
		for range 150 {
			c.round(fault{strike: kill})
		}
		c.finish(fault{name: "fail-over"})
		note := fmt.Sprintf("%d rounds, max %v", len(c.gaps), quantile(c.gaps, 1).Round(100*time.Microsecond))
		show("KILL, TTL 500ms: to successor's start, p50", quantile(c.gaps, 0.5), shortTTL+150*time.Millisecond, note)
		show("KILL, TTL 500ms: to successor's start, p99", quantile(c.gaps, 0.99), shortTTL+150*time.Millisecond, note)
	})

	t.Run("idle", func(t *testing.T) {
		w := newWorld(t)
		runs := []*proc{
			w.lead("leader", "idle", "--", "sleep", "1000"),
			w.member("second", "idle", "--", "sleep", "1000"),
			w.member("third", "idle", "--", "sleep", "1000"),
		}
		const span = time.Minute
		time.Sleep(time.Second) // starting is not idling
		before := make([]time.Duration, len(runs))
		for i, p := range runs {
			before[i] = familyCPU(t, p.cmd.Process.Pid)
		}
		time.Sleep(span) // what is measured
		for i, p := range runs {
			used := familyCPU(t, p.cmd.Process.Pid) - before[i]
			t.Logf(row, "idle, "+p.cmd.Args[3]+": CPU of run, guard and sleep", fmt.Sprintf("%.2f %%", 100*used.Seconds()/span.Seconds()), "1 %", span.String())
		}
	})
}

// familyCPU is the time that a process and its descendants have used.
func familyCPU(t *testing.T, pid int) time.Duration {
	t.Helper()
	const tick = time.Second / 100 // of the kernel's accounts, on every system that Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // from the state on
	var used time.Duration
	for _, field := range fields[11:13] { // in user mode, and in the kernel
		ticks, err := strconv.Atoi(string(field))
		if err != nil {
			t.Fatal(err)
		}
		used += time.Duration(ticks) * tick
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		t.Fatal("the kernel does not tell of children", err)
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range bytes.FieldsSeq(children) {
			if pid, err := strconv.Atoi(string(child)); err == nil {
				used += familyCPU(t, pid)
			}
		}
	}
	return used
}
