//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
		sample := handOvers(t, 3, 250)
		note := fmt.Sprintf("%d rounds, max %v", len(sample), quantile(sample, 1).Round(100*time.Microsecond))
		show("TERM: child's exit to successor's start, p50", quantile(sample, 0.5), 5*time.Millisecond, note)
		show("TERM: child's exit to successor's start, p99", quantile(sample, 0.99), 25*time.Millisecond, note)
	})

	t.Run("fail-over", func(t *testing.T) {
		c := beginCampaign(t, 3, "stamp")
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

// TestMeasureServe measures how long it takes from nothing to the first leader, at the
// default election timeout, and what a server then takes.
func TestMeasureServe(t *testing.T) {
	if !*measureFlag {
		t.Skip("takes minutes; use -measure")
	}
	const rounds = 11
	for _, names := range [][]string{{"a"}, {"a", "b", "c"}} {
		var serving, leading []time.Duration
		for range rounds {
			t.Run("round", func(t *testing.T) {
				s := newServing(t, names...)
				began := time.Now()
				for _, name := range names {
					s.begin(name, "--election-timeout", "1s")
				}
				first := s.procs["a"]
				first.stdout.await(first, "serves")
				serving = append(serving, time.Since(began))
				run := s.w.start("run", "n", "--", "sh", "-c", "echo works; exec sleep 1000")
				run.stdout.await(run, "works")
				leading = append(leading, time.Since(began))
			})
		}
		t.Logf("%d servers on fresh folders: serving after %v, first leader after %v (medians of %d; longest %v)", len(names),
			quantile(serving, 0.5).Round(time.Millisecond), quantile(leading, 0.5).Round(time.Millisecond), rounds, quantile(leading, 1).Round(time.Millisecond))
	}
}

// handOvers returns the times from the end of a leader's command to the first
// instruction of its successor's, after TERM of the leader. Nothing here polls, and
// the command is the smallest that the system has, so that neither the measuring
// nor the command's own start takes the cores from what is measured.
func handOvers(t *testing.T, members, rounds int) []time.Duration {
	type start struct {
		member string
		pid    int
		at     time.Time
	}
	w := newWorld(t)
	starts := make(chan start, members)
	var readers sync.WaitGroup
	join := func(id string) *proc {
		p := w.command("run", "hand-over", "--ttl", shortTTL.String(), "--id", id, "--",
			"sh", "-c", "echo $$; exec sleep 1000")
		r, stdout, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p.cmd.Stdout = stdout
		p.begin()
		_ = stdout.Close() // the process has its own
		readers.Go(func() {
			defer r.Close()
			buf := make([]byte, 64)
			n, _ := r.Read(buf) // 0: it ended without
			at := time.Now()
			if pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err == nil {
				starts <- start{id, pid, at}
			}
		})
		p.stderr.await(p, "waits to lead")
		w.awaitCandidate(id) // so that its start is no part of a round
		return p
	}
	procs := map[string]*proc{}
	for i := range members {
		id := fmt.Sprintf("member-%d", i)
		procs[id] = join(id)
	}
	var sample []time.Duration
	leader := <-starts
	for range rounds {
		end := awaitEnd(t, leader.pid)
		p := procs[leader.member]
		p.signal(syscall.SIGTERM)
		ended := <-end
		next := <-starts
		sample = append(sample, next.at.Sub(ended))
		p.expect(128 + int(syscall.SIGTERM))
		procs[leader.member] = join(leader.member)
		leader = next
	}
	for _, p := range procs {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range procs {
		p.wait()
	}
	readers.Wait()
	w.expectEmpty()
	return sample
}

// awaitEnd sends the time when a process that is nobody's child here has ended.
func awaitEnd(t *testing.T, pid int) <-chan time.Time {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan time.Time, 1)
	go func() {
		defer unix.Close(fd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				end <- time.Now()
				return
			}
		}
	}()
	return end
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
