package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// demonstrate starts three servers, writes, kills the one that leads, brings it back, tells
// the next one to stop, and shows who has begun to work when.
func demonstrate(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "raftkv")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := newCluster(dir)
	if err != nil {
		return err
	}
	defer c.killAll()
	if err := play(ctx, c); err != nil || ctx.Err() != nil {
		return err
	}
	audit, err := os.ReadFile(filepath.Join(dir, auditFile))
	say("%d sweeps are in the audit file; the first of each term:\n%s", strings.Count(string(audit), "\n"), firsts(string(audit)))
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

// firsts picks the first line of each term.
func firsts(audit string) string {
	var picked strings.Builder
	last := ""
	for line := range strings.Lines(audit) {
		_, term, _ := strings.Cut(line, " ") // without the time
		term, _, _ = strings.Cut(term, " sweeps")
		if term != last {
			picked.WriteString(line)
		}
		last = term
	}
	return strings.TrimSpace(picked.String())
}
