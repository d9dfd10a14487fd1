package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// demonstrate starts three servers, writes, kills the one that leads, brings it back, tells
// the next one to stop, and shows who has worked when.
func demonstrate(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "raftkv")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := newCluster(dir)
	if err != nil {
		return err
	}
	defer c.killAll()
	if err := play(ctx, c); err != nil || ctx.Err() != nil {
		return err
	}
	audit, err := os.ReadFile(filepath.Join(dir, auditFile))
	say("the first and the last line of each term in the audit file:\n%s", ends(string(audit)))
	return err
}

func play(ctx context.Context, c *cluster) error {
	for id := range c.peers {
		if err := c.start(id); err != nil {
			return err
		}
	}
	first, err := c.leader(ctx, "")
	if err != nil {
		return err
	}
	if err := c.put(ctx, first, "colour?ttl=1s", "green"); err != nil {
		return err
	}
	if err := c.put(ctx, first, "answer", "42"); err != nil {
		return err
	}
	say("the demonstration wrote two keys, one of them for a second; now it kills %s", first)
	_ = c.stop(first, (*process).kill) // says that it was killed

	second, err := c.leader(ctx, first)
	if err != nil {
		return err
	}
	answer, err := c.get(ctx, second, "answer")
	if err != nil {
		return err
	}
	say("the answer is still %s; %s comes back", answer, first)
	if err := c.start(first); err != nil {
		return err
	}
	if err := c.follows(ctx, first); err != nil {
		return err
	}
	pause(ctx, time.Second) // for people to see that nothing happens
	say("the demonstration tells %s to stop, which passes the leadership on", second)
	if err := c.stop(second, (*process).tell); err != nil {
		return err
	}
	if _, err := c.leader(ctx, second); err != nil {
		return err
	}
	pause(ctx, time.Second)
	return nil
}

// ends picks the first and the last line of each term.
func ends(audit string) string {
	var picked strings.Builder
	lines := strings.SplitAfter(audit, "\n")
	term := func(i int) string { // what is before "sweeps", without the time
		if i < 0 || i >= len(lines) {
			return ""
		}
		_, line, _ := strings.Cut(lines[i], " ")
		line, _, _ = strings.Cut(line, " sweeps")
		return line
	}
	for i, line := range lines {
		if term(i) != term(i-1) || term(i) != term(i+1) {
			picked.WriteString(line)
		}
	}
	return strings.TrimSpace(picked.String())
}
