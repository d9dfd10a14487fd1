//go:build unix

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	shortTTL     = 500 * time.Millisecond
	campaignSize = 5
)

// TestCampaign strikes the leader of five members, again and again, each time in
// the same way. Whatever happens, the lines that the leaders' workers append to a
// file carry tokens that only rise.
func TestCampaign(t *testing.T) {
	t.Parallel()
	for _, fault := range []fault{
		{name: "TERM of run", strike: term},
		{name: "KILL of run", strike: kill},
		{name: "STOP of run", strike: stop},
		{name: "STOP of run, guard and worker", strike: stopAll, stale: true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			c := beginCampaign(t, campaignSize, "work")
			for range *roundsFlag {
				c.round(fault)
			}
			c.finish(fault)
		})
	}
}

// fault is what a round does to the leader.
type fault struct {
	name string
	// strike does it, and mends it before the next round.
	strike func(c *campaign, leader line)
	// stale: an old worker may run on for a moment. Its lines are counted, and
	// must not get past a writer that checks the token.
	stale bool
}

// campaign is a number of members of one election, whose workers write a journal.
type campaign struct {
	*world
	t       *testing.T // of the fault
	role    string
	members map[string]*proc
	journal *journal
	checked *journal

	last    line            // of the highest token
	begun   map[int64]line  // the first line of each token
	exits   map[int64]line  // what workers of role stamp wrote last
	stale   []line          // written after a line of a higher token
	passed  int             // rounds in which the leader in office was struck
	blocked int             // rounds in which nobody was elected before the victim went on
	locked  int             // of these, rounds in which it had a lock on the store
	gaps    []time.Duration // from the fault to the successor's first line
	lines   int
	refused int
}

func beginCampaign(t *testing.T, size int, role string) *campaign {
	w := newWorld(t)
	c := &campaign{
		world: w, t: t, role: role, members: map[string]*proc{},
		journal: &journal{t: t, path: w.path("journal")},
		checked: &journal{t: t, path: w.path("checked")},
		begun:   map[int64]line{}, exits: map[int64]line{},
	}
	for i := range size {
		c.join(fmt.Sprintf("member-%d", i))
	}
	for _, p := range c.members {
		p.stderr.await(p, "waits to lead")
	}
	return c
}

// join starts a member, or starts it again.
func (c *campaign) join(id string) *proc {
	p := c.start("run", "campaign", "--ttl", shortTTL.String(), "--id", id, "--",
		workerPath, c.role, c.journal.path, c.checked.path)
	c.members[id] = p
	return p
}

// round strikes the leader in office and waits for the next.
func (c *campaign) round(f fault) {
	c.t.Helper()
	leader := c.inOffice()
	at := time.Now().UnixNano()
	f.strike(c, leader)
	next := c.successor(leader)
	if next.at < at {
		c.t.Fatalf("the fault missed: token %d began %v before", next.token, time.Duration(at-next.at))
	}
	c.passed++
	c.gaps = append(c.gaps, time.Duration(next.at-at))
}

// inOffice returns a line that the present leader has written since the call. A
// worker that only stamps has written one, and nobody is there to replace it.
func (c *campaign) inOffice() line {
	c.t.Helper()
	now := time.Now().UnixNano()
	eventually(c.t, "a line of the leader in office", func() bool {
		c.take()
		if c.role == "stamp" {
			return c.last.token > 0 && c.exits[c.last.token].token == 0
		}
		return c.last.at > now
	})
	return c.last
}

// successor waits for a token above the leader's and returns its first line.
func (c *campaign) successor(leader line) line {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("a token above %d", leader.token), func() bool {
		c.take()
		return c.last.token > leader.token
	})
	first := c.last
	for token, l := range c.begun {
		if token > leader.token && token < first.token {
			first = l
		}
	}
	return c.begun[first.token]
}

// take reads what workers have written since, and judges it.
func (c *campaign) take() {
	c.t.Helper()
	for _, l := range c.journal.next() {
		c.lines++
		switch {
		case l.what == "refused":
			c.refused++
			continue
		case l.token < c.last.token:
			c.stale = append(c.stale, l)
			continue
		case l.what == "exit":
			c.exits[l.token] = l
		case c.begun[l.token].token == 0:
			c.begun[l.token] = l
		}
		if first := c.begun[l.token]; first.pid != l.pid {
			c.t.Errorf("token %d was given to processes %d and %d", l.token, first.pid, l.pid)
		}
		c.last = l
	}
}

// term asks the leader to stop; it is replaced at once.
func term(c *campaign, leader line) {
	p := c.members[leader.member]
	p.signal(syscall.SIGTERM)
	c.successor(leader)
	code := 128 + int(syscall.SIGTERM)
	if c.role == "stamp" {
		code = 0
	}
	p.expect(code)
	again := c.join(leader.member)
	again.stderr.await(again, "waits to lead")
	c.awaitCandidate(leader.member) // so that its start is no part of the next round
}

// kill ends the leader without a word.
func kill(c *campaign, leader line) {
	p := c.members[leader.member]
	p.signal(syscall.SIGKILL)
	p.wait()
	again := c.join(leader.member)
	c.successor(leader)
	again.stderr.await(again, "waits to lead")
}

// stop stops the leader until another leads.
func stop(c *campaign, leader line) {
	c.pause(leader, c.members[leader.member].cmd.Process.Pid)
}

// stopAll stops also those that would have ended its work in time. They go on in
// the worst order, the worker first.
func stopAll(c *campaign, leader line) {
	c.pause(leader, leader.pid, leader.ppid, c.members[leader.member].cmd.Process.Pid)
}

func (c *campaign) pause(leader line, pids ...int) {
	c.t.Helper()
	const resumed = "waiting to lead again"
	p := c.members[leader.member]
	times := count(p, resumed)
	began := time.Now()
	for _, pid := range slices.Backward(pids) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			c.t.Fatalf("the fault missed: process %d: %v", pid, err)
		}
	}
	// A victim that was stopped while it had the store locked blocks everybody.
	for c.last.token == leader.token && time.Since(began) < 4*shortTTL {
		time.Sleep(time.Millisecond) // between two looks
		c.take()
	}
	if c.last.token == leader.token {
		c.blocked++
		if holdsLock(pids[len(pids)-1]) {
			c.locked++
		}
	}
	time.Sleep(time.Until(began.Add(shortTTL))) // the next may have been elected a margin before
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGCONT) // the guard may have killed the worker
	}
	p.stderr.awaitTimes(p, resumed, times+1)
}

// holdsLock reports whether a process has a lock for writing on any file, where
// the system shows it.
func holdsLock(pid int) bool {
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	for l := range strings.Lines(string(locks)) { // 1: POSIX ADVISORY WRITE 4711 ...
		if f := strings.Fields(l); len(f) > 4 && f[3] == "WRITE" && f[4] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}

// finish reports, and ends the members.
func (c *campaign) finish(f fault) {
	c.t.Helper()
	for _, p := range c.members {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range c.members {
		p.wait()
	}
	c.take()
	lines, highest := c.checked.next(), int64(0)
	for _, l := range lines {
		if l.token < highest {
			c.t.Errorf("a writer that checks let token %d in after %d", l.token, highest)
		}
		highest = l.token
	}
	if len(c.stale) > 0 && !f.stale {
		c.t.Errorf("%d lines of an older token follow a newer one, the first by %+v", len(c.stale), c.stale[0])
	}
	late := map[int64]bool{}
	for _, l := range c.stale {
		late[l.token] = true
	}
	// A revoke has no more time than a TTL, which here is short; then the lease does it.
	eventually(c.t, "all sessions have ended", func() bool { return len(c.keys()) == 0 })
	c.expectEmpty()
	c.t.Logf("%s: %d rounds struck the leader in office; %d terms, %d lines, %d stale of %d terms; checked file: %d lines, %d refused; nobody elected during the stop in %d rounds, in %d of which the victim had the store locked; fault to successor: p50 %v, p99 %v, max %v",
		f.name, c.passed, len(c.begun), c.lines, len(c.stale), len(late), len(lines), c.refused, c.blocked, c.locked,
		quantile(c.gaps, 0.5).Round(100*time.Microsecond), quantile(c.gaps, 0.99).Round(100*time.Microsecond), quantile(c.gaps, 1).Round(100*time.Microsecond))
}
