package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// The leader is killed, and told to stop, by turns. Its work moves, what was answered is not lost, and
// it comes back as a follower.
func TestWorkMoves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	f := newFleet(ctx, t, whole)
	f.startAll()
	f.agreed()
	client := startClient(ctx, f)

	followed := 0
	const killed, told = "killed", "told to stop"
	gaps := map[string][]time.Duration{}
	// Passing the leadership on is faster, but not each time on a busy machine.
	best := func(how string) time.Duration { return slices.Min(gaps[how]) }
	for i := 0; i < 6 || best(told) >= best(killed); i++ {
		leader, token := f.agreed()
		client.writesMore(f)
		how := killed
		if i%2 == 0 {
			_ = f.stop(leader, (*process).kill) // says that it was killed
		} else {
			how = told
			if err := f.stop(leader, (*process).terminate); err != nil {
				t.Errorf("%s was told to stop: %v", leader, err)
			}
		}
		next := f.successor(leader, token)
		gaps[how] = append(gaps[how], f.gap(leader, next.token))
		client.writesMore(f)
		f.startOne(leader)
		if now, _ := f.agreed(); now != leader { // or it was elected anew: the machine is busy
			followed++
		}
	}
	t.Logf("time without work: %v", gaps)
	if followed == 0 {
		t.Error("no leader came back as a follower")
	}
	transfers := 0
	for id := range f.peers {
		log, err := os.ReadFile(filepath.Join(f.cluster.dir, string(id), "raft.log"))
		if err != nil {
			t.Error(err)
		}
		transfers += strings.Count(string(log), "starting leadership transfer")
	}
	if transfers == 0 {
		t.Error("no leadership was passed on")
	}
	f.ordered()

	answered := client.stop()
	for i, id := range answered {
		key := fmt.Sprint("key-", i)
		f.until("a read is answered", func() bool {
			value, err := f.get(ctx, id, key)
			if err != nil && !strings.Contains(err.Error(), "404") {
				return false
			}
			if value != fmt.Sprint(i) {
				t.Fatalf("%s was answered, and is %q (%v)", key, value, err)
			}
			return true
		})
	}
	for _, id := range f.ids {
		if !slices.Contains(answered, id) {
			t.Errorf("no write was answered that %s was asked, who sends clients on", id)
		}
	}
	t.Logf("%d writes were answered", len(answered))
}

// terminate tells a server to stop as people do. One that does not has to say what it is waiting for.
func (p *process) terminate() {
	if p.cmd.Process.Signal(syscall.SIGTERM) != nil { // on Windows
		p.tell()
	}
	time.AfterFunc(patience/2, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) }) // or it has ended
}

// client writes key after key, asking one server after the other.
type client struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	answered []raft.ServerID // to the put of which key, by whom
}

func startClient(ctx context.Context, f *fleet) *client {
	ctx, cancel := context.WithCancel(ctx)
	c := &client{cancel: cancel}
	ids := slices.Clone(f.ids) // of all, whoever runs
	c.running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			n := len(c.answered) // written here only
			id := ids[i%len(ids)]
			if f.put(ctx, id, fmt.Sprint("key-", n), fmt.Sprint(n)) == nil {
				c.mu.Lock()
				c.answered = append(c.answered, id)
				c.mu.Unlock()
			} else {
				pause(ctx, 10*time.Millisecond)
			}
		}
	})
	f.t.Cleanup(func() { c.stop() })
	return c
}

func (c *client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answered)
}

// writesMore waits until some more writes are answered.
func (c *client) writesMore(f *fleet) {
	f.t.Helper()
	before := c.count()
	f.until("writes are answered", func() bool { return c.count() >= before+10 })
}

func (c *client) stop() []raft.ServerID {
	c.cancel()
	c.running.Wait()
	return c.answered
}
