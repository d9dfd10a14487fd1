package main

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// killAll kills so many nodes, each of them after a random time.
func killAll(ctx context.Context, c *command, kills int) {
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{c.store()}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer st.Close()
	election := tenure.NewView(st, clusterName)
	for i := range kills {
		before, n := len(c.written()), 1+rand.IntN(4)
		c.await(func() bool { return len(c.written()) >= before+n })
		pause(ctx, rand.N(300*time.Millisecond))
		switch i % 4 {
		case 0:
			c.killLeader(ctx, election)
		case 1:
			c.killAny()
		default:
			c.killWhoHasJustDone()
		}
	}
}

func (c *command) kill(pid int) {
	before := len(c.written())
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		c.t.Errorf("kill %d: %v", pid, err)
	}
	c.killed[pid] = before
}

// lives reports whether there is such a node, as far as its killer knows.
func (c *command) lives(pid int) bool {
	_, killed := c.killed[pid]
	return pid != 0 && !killed
}

// killAny kills a node in whatever state it is.
func (c *command) killAny() {
	var pids []int
	c.await(func() bool {
		pids = slices.DeleteFunc(c.nodes(), func(pid int) bool { return !c.lives(pid) })
		return len(pids) > 0
	})
	c.kill(pids[rand.IntN(len(pids))])
}

// killWhoHasJustDone kills a node that has done a job, if it can before that is recorded.
func (c *command) killWhoHasJustDone() {
	before, pid := len(c.written()), 0
	c.await(func() bool {
		all := c.written()
		if len(all) > before {
			before, pid = len(all), all[len(all)-1].Worker.PID
		}
		return c.lives(pid)
	})
	c.kill(pid)
}

// killLeader kills a node in office: its term was the present one before and after.
func (c *command) killLeader(ctx context.Context, election *tenure.View) {
	var token tenure.Token
	c.await(func() bool {
		l, ok, err := election.Read(ctx)
		token = l.Token
		return err == nil && ok && c.lives(c.leader(token))
	})
	c.kill(c.leader(token))
	if l, ok, err := election.Read(ctx); err == nil && ok && l.Token == token {
		c.leaders++
	}
}
