//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"github.com/tenure-go/tenure/tenuretest"
)

// process is one start of a worker.
type process struct {
	id    string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // it has, and all that it said is in the account
	err   error         // valid once ended is closed

	mu     sync.Mutex
	joined bool
	heard  int64 // all that it has to tell up to then is in the account
}

// start starts a worker. In front of its command comes what lets it run elsewhere.
func start(a *account, o orders, before []string) (*process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line := append(slices.Clone(before), self)
	p := &process{id: o.ID, cmd: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = attr()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.listen(a, out)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// listen takes what the worker says into the account, until it ends.
func (p *process) listen(a *account, out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue // cut short, because it was killed
		}
		p.mu.Lock()
		p.joined = p.joined || r.What == joined
		if r.What != tenuretest.Held.String() && r.What != tenuretest.NotHeld.String() { // those may be overtaken
			p.heard = r.At
		}
		p.mu.Unlock()
		a.tell(p.id, r)
	}
}

func (p *process) isJoined() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.joined
}

func (p *process) heardUpTo() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%v of worker %s: %w", sig, p.id, err)
	}
	return nil
}

// kill ends the process without a word, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // or it has ended by itself
	<-p.ended
}
