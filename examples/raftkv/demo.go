package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// demonstrate starts three servers, writes, kills the one that leads, brings it back, tells
// the next one to stop, and shows who has worked when.
func demonstrate(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "raftkv")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{dir: dir, token: rand.Text(), peers: peers{}, processes: map[raft.ServerID]*process{}}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(d.token), 0o600); err != nil {
		return err
	}
	for _, id := range []raft.ServerID{"a", "b", "c"} {
		raftAddress, err := freeAddress()
		if err != nil {
			return err
		}
		httpAddress, err := freeAddress()
		if err != nil {
			return err
		}
		d.peers[id] = peer{raft.ServerAddress(raftAddress), httpAddress}
	}
	defer d.stopAll()
	if err := d.play(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was told to stop
		}
		return err
	}
	audit, err := os.ReadFile(filepath.Join(dir, "audit"))
	say("the first and the last line of each term in the audit file:\n%s", ends(string(audit)))
	return err
}

type demo struct {
	dir, token string
	peers      peers
	processes  map[raft.ServerID]*process
}

func (d *demo) play(ctx context.Context) error {
	for id := range d.peers {
		if err := d.start(id); err != nil {
			return err
		}
	}
	first, err := d.leader(ctx, "")
	if err != nil {
		return err
	}
	if err := d.put(ctx, first, "colour?ttl=1s", "green"); err != nil {
		return err
	}
	if err := d.put(ctx, first, "answer", "42"); err != nil {
		return err
	}
	say("the demonstration wrote two keys, one of them for a second; now it kills %s", first)
	d.stop(first, (*process).kill)

	second, err := d.leader(ctx, first)
	if err != nil {
		return err
	}
	answer, err := d.get(ctx, second, "answer")
	if err != nil {
		return err
	}
	say("the answer is still %s; %s comes back", answer, first)
	if err := d.start(first); err != nil {
		return err
	}
	if err := d.follows(ctx, first); err != nil {
		return err
	}
	pause(ctx, time.Second) // for people to see that nothing happens
	say("the demonstration tells %s to stop, which passes the leadership on", second)
	d.stop(second, (*process).tell)
	if _, err := d.leader(ctx, second); err != nil {
		return err
	}
	pause(ctx, time.Second)
	return nil
}

// process is one of a server.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // the process stops when it ends, also by the end of this one
}

// patience is how long a server is waited for.
const patience = 30 * time.Second

func (d *demo) start(id raft.ServerID) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-attached", "-id", string(id), "-dir", filepath.Join(d.dir, string(id)),
		"-token-file", filepath.Join(d.dir, "token"), "-audit", filepath.Join(d.dir, "audit"), "-peers", d.peers.String())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.processes[id] = &process{cmd, stdin}
	return nil
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // or it has ended
func (p *process) tell() { _ = p.stdin.Close() }

// stop ends a process, and waits for it.
func (d *demo) stop(id raft.ServerID, how func(*process)) {
	p := d.processes[id]
	delete(d.processes, id)
	how(p)
	timer := time.AfterFunc(patience, p.kill)
	defer timer.Stop()
	_ = p.cmd.Wait() // however it ended
}

func (d *demo) stopAll() {
	for _, p := range d.processes {
		p.tell()
	}
	for id := range d.processes {
		d.stop(id, (*process).tell)
	}
}

// leader waits until a server works, which is not the one that did.
func (d *demo) leader(ctx context.Context, not raft.ServerID) (leader raft.ServerID, err error) {
	return leader, d.await(ctx, func(st status) bool {
		leader = st.ID
		return st.Token != 0 && st.ID != not
	})
}

// follows waits until a server knows another one that leads.
func (d *demo) follows(ctx context.Context, id raft.ServerID) error {
	return d.await(ctx, func(st status) bool { return st.ID == id && st.Leader != id && st.Leader != "" })
}

// await asks all servers for their status until that of one is as it should be.
func (d *demo) await(ctx context.Context, is func(status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause(ctx, 20*time.Millisecond) {
		for id := range d.processes {
			var st status
			text, err := d.ask(ctx, http.MethodGet, id, "/status", "")
			if err == nil && json.Unmarshal([]byte(text), &st) == nil && is(st) {
				return nil
			}
		}
	}
	return ctx.Err()
}

func (d *demo) put(ctx context.Context, to raft.ServerID, key, value string) error {
	_, err := d.ask(ctx, http.MethodPut, to, "/kv/"+key, value)
	return err
}

func (d *demo) get(ctx context.Context, from raft.ServerID, key string) (string, error) {
	return d.ask(ctx, http.MethodGet, from, "/kv/"+key, "")
}

// ask is one request to a server, or to whom this sends it on to.
func (d *demo) ask(ctx context.Context, method string, id raft.ServerID, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.peers[id].http+path, bytes.NewBufferString(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return string(text), err
}

// ends picks the first and the last line of each term.
func ends(audit string) string {
	term := func(line string) string { before, _, _ := strings.Cut(line, " sweeps"); _, t, _ := strings.Cut(before, " "); return t }
	var picked strings.Builder
	lines := strings.SplitAfter(audit, "\n")
	for i, line := range lines {
		if i == 0 || i == len(lines)-1 || term(line) != term(lines[i-1]) || term(line) != term(lines[i+1]) {
			picked.WriteString(line)
		}
	}
	return picked.String()
}

// freeAddress is one at which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
