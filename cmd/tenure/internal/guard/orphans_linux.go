package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// own are the processes and groups that somebody here waits for: guards, and the groups of
// their commands. It is locked for a fork, too, so that none is taken for an orphan before
// it is known.
var own = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

func (g *Guard) fork(name string, args []string, attr *os.ProcAttr) (*os.Process, error) {
	own.Lock()
	defer own.Unlock()
	proc, err := os.StartProcess(name, args, attr)
	if err == nil {
		own.pids[proc.Pid] = true
	}
	return proc, err
}

func (g *Guard) owns(pid int) {
	own.Lock()
	defer own.Unlock()
	own.pids[pid] = true
}

func (g *Guard) disown() {
	own.Lock()
	defer own.Unlock()
	delete(own.pids, g.proc.Pid)
	delete(own.pids, g.pgid)
}

// ReapOrphans waits for what has ended of the daemons that a command has left behind and
// that became this process's when its guard went: it is a subreaper while another command
// runs. Nobody else would wait for them.
func ReapOrphans() {
	own.Lock()
	defer own.Unlock()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return // a pattern that is right has none
	}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && !own.pids[pid] && orphaned(path) {
			_, _ = wait4(pid, nil, syscall.WNOHANG)
		}
	}
}

// orphaned reports whether a process is a child of this one that has ended, and of no group
// that somebody waits for.
func orphaned(statPath string) bool {
	stat, err := os.ReadFile(statPath)
	if err != nil {
		return false // it is gone
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // see livesIn
	if len(fields) < 3 {
		return false
	}
	group, err := strconv.Atoi(string(fields[2]))
	return err == nil && string(fields[0]) == "Z" && string(fields[1]) == strconv.Itoa(os.Getpid()) && !own.pids[group]
}
