package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

const (
	// heartbeat is short for people and long for a machine that is busy.
	heartbeat = 400 * time.Millisecond
	// every leaves little between two units.
	every = 2 * time.Millisecond
)

// fleet is a cluster whose work is recorded.
type fleet struct {
	*cluster
	*trace
	ctx context.Context // of the test that waits
}

// newFleet prepares one for a test. What says what is wrong with its servers.
func newFleet(ctx context.Context, t *testing.T, what string) *fleet {
	dir := t.TempDir()
	c, err := newCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{cluster: c, trace: newTrace(t, dir, c.peers), ctx: ctx}
	command := c.command
	c.command = func(id raft.ServerID, args ...string) *exec.Cmd {
		cmd := command(id, append(args, "-every", every.String(), "-heartbeat", heartbeat.String())...)
		cmd.Env = append(os.Environ(), processEnv+"="+what)
		cmd.SysProcAttr = attr()
		return cmd
	}
	t.Cleanup(func() {
		c.killAll()
		if t.Failed() {
			for id := range c.peers {
				log, _ := os.ReadFile(dir + "/" + string(id) + "/raft.log") // what there is
				t.Logf("the end of the log of %s:\n%s", id, log[max(0, len(log)-5000):])
			}
		}
	})
	return f
}

func (f *fleet) startAll() {
	for id := range f.peers {
		f.startOne(id)
	}
}

func (f *fleet) startOne(id raft.ServerID) {
	f.t.Helper()
	if err := f.start(id); err != nil {
		f.t.Fatal(err)
	}
}

// until waits for something.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	for !holds() {
		if !pause(f.ctx, 5*time.Millisecond) {
			f.t.Fatalf("waited in vain until %s; the terms: %+v", what, terms(f.all()))
		}
	}
}

// agreed waits until one server works, after the call, and all that run know of it.
func (f *fleet) agreed() (leader raft.ServerID, token tenure.Token) {
	f.t.Helper()
	at := monotonic()
	f.until("all agree on who leads, and it works", func() bool {
		leader, token = "", 0
		var all []status
		for id := range f.processes {
			st, err := f.statusOf(id)
			if err != nil {
				return false
			}
			if st.Token > token {
				leader, token = id, st.Token
			}
			all = append(all, st)
		}
		for _, st := range all {
			if leader == "" || st.Leader != leader {
				return false
			}
		}
		return slices.ContainsFunc(f.all(), func(u unit) bool { return u.token == token && u.begin > at })
	})
	return leader, token
}

func (f *fleet) statusOf(id raft.ServerID) (st status, err error) {
	text, err := f.ask(f.ctx, http.MethodGet, id, "/status", "")
	if err == nil {
		err = json.Unmarshal([]byte(text), &st)
	}
	return st, err
}

// successor waits until another server works with a higher token, after the call, and returns the first
// such term.
func (f *fleet) successor(of raft.ServerID, token tenure.Token) (next work) {
	f.t.Helper()
	at := monotonic()
	f.until("another server works than "+string(of), func() bool {
		for _, w := range terms(f.all()) {
			if w.token <= token || w.by == of {
				continue
			}
			if next.units == 0 {
				next = w
			}
			if w.end > at {
				return true
			}
		}
		return false
	})
	return next
}

// gap is the time between the last work of a server up to a term and the first of a term of another.
func (f *fleet) gap(of raft.ServerID, next tenure.Token) time.Duration {
	var last, first time.Duration
	for _, w := range terms(f.all()) {
		switch {
		case w.by == of && w.token < next:
			last = w.end
		case w.token == next:
			first = w.begin
		}
	}
	return first - last
}

// ordered fails the test if work of two terms overlaps.
func (f *fleet) ordered() {
	f.t.Helper()
	for _, w := range wrong(f.all()) {
		f.t.Error(w)
	}
}
