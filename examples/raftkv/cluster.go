package main

import (
	"context"
	crypto "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// cluster is three processes on this host, and what a client of theirs does.
type cluster struct {
	dir, token string
	peers      peers
	processes  map[raft.ServerID]*process
	command    func(id raft.ServerID, args ...string) *exec.Cmd
}

const (
	tokenFile = "token"
	auditFile = "audit"
)

// newCluster prepares for servers a, b and c, with all that is theirs in the directory.
func newCluster(dir string) (*cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, token: crypto.Text(), peers: peers{}, processes: map[raft.ServerID]*process{}}
	c.command = func(_ raft.ServerID, args ...string) *exec.Cmd { return exec.Command(self, args...) }
	for _, id := range []raft.ServerID{"a", "b", "c"} {
		raftAddress, err := freeAddress()
		if err != nil {
			return nil, err
		}
		httpAddress, err := freeAddress()
		if err != nil {
			return nil, err
		}
		c.peers[id] = peer{raft.ServerAddress(raftAddress), httpAddress}
	}
	return c, os.WriteFile(filepath.Join(dir, tokenFile), []byte(c.token), 0o600)
}

// process is one of a server.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // the process stops when it ends, also by the end of this one
}

// patience is how long a server is waited for.
const patience = 30 * time.Second

func (c *cluster) start(id raft.ServerID) error {
	cmd := c.command(id, "-attached", "-id", string(id), "-dir", filepath.Join(c.dir, string(id)), "-peers", c.peers.String(),
		"-token-file", filepath.Join(c.dir, tokenFile), "-audit", filepath.Join(c.dir, auditFile))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.processes[id] = &process{cmd, stdin}
	return nil
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // or it has ended
func (p *process) tell() { _ = p.stdin.Close() }

// stop ends a process, and waits for it.
func (c *cluster) stop(id raft.ServerID, how func(*process)) error {
	p := c.processes[id]
	delete(c.processes, id)
	how(p)
	defer time.AfterFunc(patience, p.kill).Stop()
	return p.cmd.Wait()
}

// killAll ends all processes: whoever led last would have nobody to pass that on to.
func (c *cluster) killAll() {
	for id := range c.processes {
		_ = c.stop(id, (*process).kill) // says that it was killed
	}
}

// leader waits until a server works, which is not the one that did.
func (c *cluster) leader(ctx context.Context, not raft.ServerID) (leader raft.ServerID, err error) {
	return leader, c.await(ctx, func(st status) bool {
		leader = st.ID
		return st.Token != 0 && st.ID != not
	})
}

// follows waits until a server knows another one that leads.
func (c *cluster) follows(ctx context.Context, id raft.ServerID) error {
	return c.await(ctx, func(st status) bool { return st.ID == id && st.Leader != id && st.Leader != "" })
}

// await asks all servers for their status until that of one is as it should be.
func (c *cluster) await(ctx context.Context, is func(status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause(ctx, 20*time.Millisecond) {
		for id := range c.processes {
			var st status
			text, err := c.ask(ctx, http.MethodGet, id, "/status", "")
			if err == nil && json.Unmarshal([]byte(text), &st) == nil && is(st) {
				return nil
			}
		}
	}
	return ctx.Err()
}

func (c *cluster) put(ctx context.Context, to raft.ServerID, key, value string) error {
	_, err := c.ask(ctx, http.MethodPut, to, "/kv/"+key, value)
	return err
}

func (c *cluster) get(ctx context.Context, from raft.ServerID, key string) (string, error) {
	return c.ask(ctx, http.MethodGet, from, "/kv/"+key, "")
}

// ask is one request to a server, or to whom this sends it on to.
func (c *cluster) ask(ctx context.Context, method string, id raft.ServerID, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.peers[id].http+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return string(text), err
}

// port is the last that was tried. Systems give others, higher ones, to who does not ask for one: so
// nobody has it by chance while a server is started again.
var port atomic.Int32

// freeAddress is one at which nobody listens.
func freeAddress() (string, error) {
	port.CompareAndSwap(0, 1+rand.Int32N(20_000))
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+port.Add(1)%20_000)
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("found no port at which nobody listens")
}
