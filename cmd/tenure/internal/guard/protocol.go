//go:build unix

package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The protocol between parent and guard is one JSON object a line. Both ends are
// the same program, but a version is exchanged all the same: the program's file
// can be replaced while the parent runs.
const protocolVersion = 1

// maxLine bounds a line. A command line and environment are at most 6 MiB on
// Linux, and JSON may double them.
const maxLine = 16 << 20

type command struct {
	Op     string        `json:"op"`
	Run    *runCommand   `json:"run,omitempty"`
	Until  *Deadline     `json:"until,omitempty"`  // run, extend
	Signal int           `json:"signal,omitempty"` // signal
	Grace  time.Duration `json:"grace,omitempty"`  // stop
}

// runCommand holds bytes, because arguments need not be UTF-8 and JSON strings
// must be.
type runCommand struct {
	Args       [][]byte `json:"args"`
	Env        [][]byte `json:"env"` // null: the guard's own
	Dir        []byte   `json:"dir,omitempty"`
	Foreground bool     `json:"foreground,omitempty"` // give it the terminal on stdin
}

func pack(cmd Command, foreground bool) *runCommand {
	return &runCommand{
		Args: convert[[]byte](cmd.Args), Env: convert[[]byte](cmd.Env),
		Dir: []byte(cmd.Dir), Foreground: foreground,
	}
}

func (r *runCommand) unpack() Command {
	return Command{Args: convert[string](r.Args), Env: convert[string](r.Env), Dir: string(r.Dir)}
}

// convert keeps nil nil.
func convert[To, From ~string | ~[]byte](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, f := range from {
		to[i] = To(f)
	}
	return to
}

const (
	opRun    = "run"
	opExtend = "extend"
	opSignal = "signal"
	opStop   = "stop"
)

type report struct {
	Op      string `json:"op"`
	Version int    `json:"version,omitempty"` // hello
	Pid     int    `json:"pid,omitempty"`     // started
	Code    int    `json:"code,omitempty"`    // exited, failed
	Signal  int    `json:"signal,omitempty"`  // exited
	Killed  Reason `json:"killed,omitempty"`  // gone
	Error   string `json:"error,omitempty"`   // failed, fault
}

const (
	opHello   = "hello"   // ready for a command
	opStarted = "started" // CMD runs
	opFailed  = "failed"  // CMD could not be started
	opExited  = "exited"  // CMD's main process has ended
	opGone    = "gone"    // its group is empty
	opFault   = "fault"   // the parent's commands make no sense; the group is killed
)

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of strings and integers
	}
	return append(b, '\n')
}

func decodeCommand(line []byte) (command, error) {
	var c command
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, fmt.Errorf("malformed command %.60q: %w", line, err)
	}
	return c, c.validate()
}

func (c command) validate() error {
	var bad bool
	switch c.Op {
	case opRun:
		bad = c.Until == nil || c.Run == nil || len(c.Run.Args) == 0
	case opExtend:
		bad = c.Until == nil
	case opSignal:
		bad = c.Signal <= 0 || c.Signal > 64
	case opStop:
		bad = c.Grace < 0
	default:
		return fmt.Errorf("unknown command %.60q", c.Op)
	}
	if bad {
		return fmt.Errorf("incomplete command %q", c.Op)
	}
	return nil
}
