package raftleadtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// Stage is how far a command has come that a leader was given by raft.Apply.
type Stage int

const (
	// Enqueued: it is in the leader's log, and was sent to nobody.
	Enqueued Stage = iota + 1
	// Appended: it is also in the logs of all others that can be reached, but the
	// leader has no answer from any of them. So it is not committed.
	Appended
	// Committed: the leader knows that a quorum has it. The leader's FSM does not have it yet.
	Committed
)

func (s Stage) String() string {
	switch s {
	case Enqueued:
		return "enqueued"
	case Appended:
		return "appended"
	case Committed:
		return "committed"
	}
	return fmt.Sprintf("Stage(%d)", int(s))
}

// Hold keeps a command at a stage. It is over with Release, and when the server is
// deposed, disconnected or shut down.
type Hold struct {
	s     *Server
	stage Stage
	n     int
	term  uint64

	mu      sync.Mutex
	left    int    // commands to come until the one that is kept
	index   uint64 // of the one that is kept; 0 while it has not come
	has     map[raft.ServerID]bool
	reached chan struct{}
	over    chan struct{}
	verdict error // on what is kept: nil lets it go on
}

// Hold keeps the n-th command that the leader is given from now on, counted from 1, at a
// stage, and with it all that come after: they go on when it does. Give it to
// raft.Apply after this call, and call Wait. With more than one entry in a
// request (Config.MaxAppendEntries) those that share one with it are kept with it.
//
// There is one Hold at a time on a server.
//
// Errors: tenure.ErrInvalid if nobody leads, or there is a Hold already.
func (c *Cluster) Hold(stage Stage, n int) (*Hold, error) {
	leader := c.Leader()
	switch {
	case stage < Enqueued || stage > Committed:
		return nil, fmt.Errorf("hold: %w", invalid("%v; give Enqueued, Appended or Committed", stage))
	case n < 1:
		return nil, fmt.Errorf("hold: %w", invalid("command %d; they are counted from 1", n))
	case leader == nil:
		return nil, fmt.Errorf("hold: %w", invalid("nobody leads; call Elect first"))
	case len(c.servers) == 1 && stage != Committed:
		return nil, fmt.Errorf("hold: %w", invalid("one server alone commits at once; give a cluster more of them"))
	}
	leader.mu.Lock()
	defer leader.mu.Unlock()
	if leader.hold != nil {
		return nil, fmt.Errorf("hold: %w", invalid("server %q has one already; release it first", leader.id))
	}
	leader.hold = &Hold{s: leader, stage: stage, n: n, left: n, term: leader.run.raft.CurrentTerm(), has: map[raft.ServerID]bool{},
		reached: make(chan struct{}), over: make(chan struct{})}
	return leader.hold, nil
}

// Wait waits until the command is at its stage.
//
// Errors: ErrTimeout; that of ctx; and one that says that the Hold was over before.
func (h *Hold) Wait(ctx context.Context) error {
	ctx, cancel := h.s.c.bound(ctx)
	defer cancel()
	select {
	case <-h.reached:
		return nil
	case <-h.over:
		if isClosed(h.reached) {
			return nil
		}
		return fmt.Errorf("command %d is not %v: the hold is over", h.n, h.stage)
	case <-ctx.Done():
		return fmt.Errorf("command %d is not %v: %w", h.n, h.stage, context.Cause(ctx))
	}
}

// Release lets the command go on. It may be called again, and after the Hold is over.
func (h *Hold) Release() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if h.s.hold == h {
		h.s.endHold(nil)
	}
}

// endHold ends the Hold of a server, if it has one. The server's mutex is held.
func (s *Server) endHold(verdict error) {
	if s.hold != nil {
		s.hold.verdict = verdict
		close(s.hold.over)
		s.hold = nil
	}
}

func (s *Server) present() *Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold
}

// logs tells of what it has stored.
type logs struct {
	*raft.InmemStore
	stored func([]*raft.Log)
}

func (l *logs) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *logs) StoreLogs(entries []*raft.Log) error {
	if err := l.InmemStore.StoreLogs(entries); err != nil {
		return err
	}
	l.stored(entries)
	return nil
}

// stored counts commands up to the one to be kept. Raft sends an entry only after it was
// stored, so none is too early.
func (s *Server) stored(entries []*raft.Log) {
	h := s.present()
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, entry := range entries {
		if entry.Type != raft.LogCommand || entry.Term != h.term || h.index != 0 {
			continue
		}
		if h.left--; h.left == 0 {
			h.index = entry.Index
			if h.stage == Enqueued {
				close(h.reached)
			}
		}
	}
}

// holds returns the Hold that keeps an entry of this request, or nil.
func (s *Server) holds(args *raft.AppendEntriesRequest) *Hold {
	h := s.present()
	if h == nil || len(args.Entries) == 0 || args.Term != h.term {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.index == 0 || args.Entries[len(args.Entries)-1].Index < h.index {
		return nil
	}
	return h
}

// sends is the index up to which the log of this server is to arrive at others.
func (s *Server) sends() uint64 {
	last, h := s.Raft().LastIndex(), s.present()
	if h == nil || h.stage == Committed {
		return last
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.index != 0 {
		last = h.index - 1
	}
	return last
}

// enqueued keeps a request that is to be sent.
func (h *Hold) enqueued() error {
	if h == nil || h.stage != Enqueued {
		return nil
	}
	<-h.over
	return h.verdict
}

// appended keeps the answer of a server that has the command.
func (h *Hold) appended(by raft.ServerID) error {
	if h == nil || h.stage != Appended {
		return nil
	}
	h.mu.Lock()
	h.has[by] = true
	all := true
	for _, s := range h.s.c.servers {
		all = all && (s == h.s || h.has[s.id] || !s.reachable())
	}
	if all && !isClosed(h.reached) {
		close(h.reached)
	}
	h.mu.Unlock()
	<-h.over
	return h.verdict
}

// committed keeps a command from the FSM.
func (s *Server) committed(index uint64) {
	h := s.present()
	if h == nil || h.stage != Committed {
		return
	}
	h.mu.Lock()
	kept := h.index != 0 && index >= h.index
	if kept && !isClosed(h.reached) {
		close(h.reached)
	}
	h.mu.Unlock()
	if kept {
		<-h.over
	}
}
