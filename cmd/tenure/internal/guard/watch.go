//go:build unix

package guard

import (
	"bufio"
	"cmp"
	"encoding/json"
	"os"
	"syscall"
)

// watch sees the guard's life through and is the only one that ends it for the
// parent: every way to an end ends the reports.
func (g *Guard) watch() {
	defer close(g.reaped)
	if g.follow() {
		// The group is empty. First stop being a subreaper, so that a daemon that
		// the guard has adopted does not become ours.
		g.finish()
		_ = g.proc.Kill()
		_, _ = g.proc.Wait()
	} else {
		_ = g.proc.Kill()
		state, err := g.proc.Wait()
		g.takeOver(state, err)
		g.finish()
	}
	g.disown()
	_, _ = g.commands.Close(), g.reports.Close()
}

// follow reads reports until the group is gone, or the guard is. It tells which.
func (g *Guard) follow() (gone bool) {
	in := bufio.NewScanner(g.reports)
	for in.Scan() {
		var r report
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			g.detail("malformed report: " + err.Error())
			return false
		}
		switch r.Op {
		case opHello, opStarted, opFailed:
			if r.Pid != 0 {
				g.owns(r.Pid) // before anybody can learn of it
			}
			g.note(r)
		case opExited:
			g.setExit(Exit{Code: r.Code, Signal: syscall.Signal(r.Signal)})
		case opGone:
			g.blame(r.Killed)
			return true
		default: // opFault, or not our language
			g.detail(cmp.Or(r.Error, "unknown report "+r.Op))
			return false
		}
	}
	return false
}

func (g *Guard) detail(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exit.Detail = cmp.Or(g.exit.Detail, text)
}

func (g *Guard) note(r report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Op {
	case opStarted:
		g.pgid = r.Pid
	case opFailed:
		g.exit, g.exited = Exit{Code: r.Code}, true
	}
	select {
	case g.answers <- r:
	default: // more answers than questions
	}
}

func (g *Guard) setExit(e Exit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.exited {
		e.Detail = g.exit.Detail
		g.exit, g.exited = e, true
	}
}

func (g *Guard) blame(why Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.killed == NotKilled {
		g.killed = why
	}
}

// takeOver ends what a dead guard has left behind.
func (g *Guard) takeOver(guard *os.ProcessState, err error) {
	g.mu.Lock()
	pgid := g.pgid
	if failed := g.exited && pgid == 0; g.killed == NotKilled && !failed {
		g.killed = ByLoss
		g.exit.Detail = cmp.Or(g.exit.Detail, lastWords(guard, err))
	}
	g.mu.Unlock()
	if pgid == 0 {
		return
	}
	if status, ok := collect(pgid); ok {
		e := exited(status)
		g.setExit(Exit{Code: e.Code, Signal: syscall.Signal(e.Signal)})
	}
	// Otherwise the guard has reaped it and died before it could say so.
	g.setExit(Exit{Signal: syscall.SIGKILL})
}

func lastWords(guard *os.ProcessState, err error) string {
	if err != nil {
		return err.Error()
	}
	return guard.String()
}

func (g *Guard) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.expiry != nil {
		g.expiry.Stop()
	}
	g.tty.takeBack(g.pgid)
	if g.adopted {
		releaseOrphans()
	}
	g.exit.Killed = g.killed
	g.state = over
	close(g.done)
}
