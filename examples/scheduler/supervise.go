package main

import (
	"context"
	"os"
	"os/exec"
	"time"
)

const (
	// stopTimeout is how long a node may take to stop before it is killed.
	stopTimeout = 15 * time.Second
	// restartPause keeps one that cannot run from taking up the whole machine.
	restartPause = time.Second
)

// supervise runs the process of a node, and starts it again whenever it has ended, until ctx
// ends.
func supervise(ctx context.Context, n nodeConfig) {
	for ctx.Err() == nil {
		if err := runProcess(ctx, n); err != nil && ctx.Err() == nil {
			say("%s cannot be started: %v", n.id, err)
		}
		pause(ctx, restartPause)
	}
}

// runProcess runs a node's process until it ends. When ctx ends, the end of its standard
// input tells it to.
func runProcess(ctx context.Context, n nodeConfig) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, n.args()...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel, cmd.WaitDelay = stdin.Close, stopTimeout
	if err := cmd.Start(); err != nil {
		return err
	}
	say("%s (pid %d) is started", n.id, cmd.Process.Pid)
	_ = cmd.Wait() // what it was is said in any case
	if ctx.Err() == nil {
		say("%s (pid %d) has ended: %v", n.id, cmd.Process.Pid, cmd.ProcessState)
	}
	return nil
}
