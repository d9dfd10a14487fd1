package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
)

// campaign leads whenever raft lets this server, until ctx ends; then it passes the leadership
// on. Every server does this for as long as it lives: raft may elect any.
func (s *server) campaign(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.elector.Lead(ctx, s.lead); err != nil && !errors.Is(err, context.Canceled) {
			s.say("does not lead: %v", err)
			pause(ctx, s.heartbeat)
		}
	}
}

// lead is what a server does in a term of its own: it answers clients, and works. When the
// term ends, ctx does; as soon as this returns, another server may work.
func (s *server) lead(ctx context.Context, t tenure.Term) error {
	term, ok := t.(*raftlead.Leadership)
	if !ok {
		return fmt.Errorf("a term is a %T", t) // raftlead says that it is not
	}
	s.term.Store(term) // all that earlier leaders have committed is applied: clients may ask
	s.say("leads with token %d, in raft term %d", term.Token(), term.RaftTerm())
	for ctx.Err() == nil {
		if err := s.work(ctx, term); err != nil && ctx.Err() == nil {
			s.say("could not sweep: %v", err)
		}
		pause(ctx, s.every)
	}
	s.say("does not work any more, with token %d: %v", term.Token(), term.Cause())
	return nil
}

// sweep is one unit of the leader's work: it tells the world which keys are over, and raft.
func (s *server) sweep(ctx context.Context, term *raftlead.Leadership) error {
	now := time.Now()
	n := s.kv.expired(now)
	// The world outside of raft. The question comes last before what it is about.
	line := fmt.Sprintf("%s token %d: %s sweeps %d keys\n", now.Format(time.RFC3339Nano), term.Token(), s.id, n)
	if !term.Held() {
		return term.Cause()
	}
	if err := appendTo(s.audit, line); err != nil {
		return err
	}
	if n == 0 {
		return nil // an idle service writes nothing to its log
	}
	// Raft's log refuses by itself what is late: nothing needs to be asked.
	return s.apply(ctx, command{Term: term.RaftTerm(), Op: opSweep, At: now})
}

// appendTo appends a line in one write, so that those of many processes do not mix.
func appendTo(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}
