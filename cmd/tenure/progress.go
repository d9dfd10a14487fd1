package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// progress tells on standard error how far a command has come: on a terminal in one
// line that is written anew, elsewhere in a line now and then.
type progress struct {
	quiet, json, terminal bool

	mu    sync.Mutex
	phase string
	told  time.Time
	open  bool // the terminal's line is not ended
}

// apart is the time between two lines of one phase.
const (
	apart         = 5 * time.Second
	apartTerminal = 50 * time.Millisecond
)

func newProgress(quiet, json bool) *progress {
	return &progress{quiet: quiet, json: json, terminal: isatty.IsTerminal(os.Stderr.Fd())}
}

// at says that so much of a phase is done.
func (p *progress) at(phase string, done, of int) {
	if p.quiet {
		return
	}
	if text := p.due(phase, done, of); text != "" {
		fmt.Fprint(os.Stderr, text) // there is nobody left to tell if it fails
	}
}

// due returns what is to be written now, if anything.
func (p *progress) due(phase string, done, of int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := apart
	if p.terminal && !p.json {
		wait = apartTerminal
	}
	now := time.Now()
	if phase == p.phase && done < of && now.Sub(p.told) < wait {
		return ""
	}
	p.phase, p.told = phase, now
	switch {
	case p.json:
		return fmt.Sprintf("{\"event\":\"progress\",\"phase\":%q,\"done\":%d,\"of\":%d}\n", phase, done, of)
	case p.terminal:
		p.open = true
		return fmt.Sprintf("\r\x1b[K%s: %d of %d", phase, done, of)
	}
	return fmt.Sprintf("tenure: %s: %d of %d\n", phase, done, of)
}

// of returns what tells how much of a phase is done.
func (p *progress) of(phase string) func(done, of int) {
	return func(done, of int) { p.at(phase, done, of) }
}

// end takes the line off the terminal.
func (p *progress) end() {
	p.mu.Lock()
	open := p.open
	p.open = false
	p.mu.Unlock()
	if open {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
