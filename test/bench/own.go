package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// ownNode is the first argument of a process that is one node and nothing else, which is
// how this program measures what one takes.
const ownNode = "own-node"

// own is such a process.
type own struct {
	cmd   *exec.Cmd
	stdin io.Closer // the node leaves when it is closed, by our end if need be
}

// startOwn starts one, and returns when it has joined the cluster, has published its keys
// and watches.
func startOwn(ctx context.Context, p place, cluster string, keys int) (*own, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, ownNode, p.kind, p.where, cluster, strconv.Itoa(keys))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o := &own{cmd, stdin}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("process of its own: it said %q: %w", line, err), o.stop())
	}
	return o, nil
}

func (o *own) stop() error { return errors.Join(o.stdin.Close(), o.cmd.Wait()) }

// beOwn is such a process, seen from inside.
func beOwn(ctx context.Context, args []string) (err error) {
	if len(args) != 4 {
		return fmt.Errorf("%s is how this program calls itself, with four arguments", ownNode)
	}
	keys, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	h, err := place{args[0], args[1]}.open(ctx, 0, newTally())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	n, err := newNode(h, args[2], "own")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.Start(ctx); err != nil {
		return err
	}
	if err := publish(ctx, n, keys); err != nil {
		return err
	}
	l := newLife()
	defer l.end()
	l.expect(ready, 2)
	watchNode(l, n)
	if _, err := l.await(ctx); err != nil {
		return err
	}
	fmt.Println(ready)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
