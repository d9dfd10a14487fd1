package raftlead

import (
	"cmp"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/protocol"
)

// Witness stands between a raft and its transport, and notes when the last heartbeat was
// sent to each server that was answered. With that an Elector knows up to when a quorum
// keeps from electing another; raft itself does not tell.
//
// Raft's own word for it is later: it counts from the answer, and looks at its clock only
// when its main loop runs, which a disk that hangs keeps it from. VerifyLeader takes
// the answer to a heartbeat that was sent before it was called, and counts servers that
// have no vote.
type Witness struct {
	transport raft.Transport
	clock     clock.Clock
	told      atomic.Pointer[func()] // called after each answer

	mu   sync.Mutex
	term uint64 // of the answers
	sent map[raft.ServerID]protocol.Instant
}

// NewWitness wraps a transport. Give what Transport returns to raft.NewRaft, and the
// Witness to New.
func NewWitness(transport raft.Transport) *Witness {
	return &Witness{transport: transport, clock: clock.New(), sent: map[raft.ServerID]protocol.Instant{}}
}

// Transport is the transport for raft.NewRaft. It does what the wrapped one does.
func (w *Witness) Transport() raft.Transport {
	t := witnessed{w.transport, w}
	if preVote, ok := w.transport.(raft.WithPreVote); ok {
		return struct { // raft asks by the type whether there is a pre-vote
			witnessed
			raft.WithPreVote
		}{t, preVote}
	}
	return t
}

type witnessed struct {
	raft.Transport
	w *Witness
}

// AppendEntries is how raft sends heartbeats. They go on while entries are pipelined or a
// snapshot is sent.
func (t witnessed) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := t.w.clock.Now()
	err := t.Transport.AppendEntries(id, target, args, resp)
	if err == nil && resp.Success {
		t.w.note(args.Term, id, sent)
	}
	return err
}

func (t witnessed) Close() error {
	if closer, ok := t.Transport.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

func (w *Witness) note(term uint64, id raft.ServerID, sent protocol.Instant) {
	w.mu.Lock()
	if term > w.term {
		w.term = term
		clear(w.sent)
	}
	// By the clock that nobody can set: two goroutines of raft send to each server.
	if last, ok := w.sent[id]; term == w.term && (!ok || last.Mono < sent.Mono) {
		w.sent[id] = sent
	}
	w.mu.Unlock()
	if told := w.told.Load(); told != nil {
		(*told)()
	}
}

// heard is when the last heartbeat of the term was sent to a server that was answered.
func (w *Witness) heard(term uint64, id raft.ServerID) (protocol.Instant, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent, ok := w.sent[id]
	return sent, ok && term == w.term
}

// quorum is the moment after which heartbeats of the term were sent that a quorum of the voters
// has answered; alone says that self is one. Without either there is no such moment yet.
func (w *Witness) quorum(term uint64, self raft.ServerID, servers []raft.Server) (at protocol.Instant, alone, ok bool) {
	voters, needed := 0, 0
	var sent []protocol.Instant
	for _, s := range servers {
		switch {
		case s.Suffrage != raft.Voter:
			continue
		case s.ID == self:
			needed--
		default:
			if at, ok := w.heard(term, s.ID); ok {
				sent = append(sent, at)
			}
		}
		voters++
	}
	needed += voters/2 + 1
	if needed <= 0 {
		return at, true, true
	}
	if len(sent) < needed {
		return at, false, false
	}
	// On each clock by itself: the two may disagree on which came first.
	pick := func(of func(protocol.Instant) int64) int64 {
		slices.SortFunc(sent, func(a, b protocol.Instant) int { return cmp.Compare(of(b), of(a)) })
		return of(sent[needed-1])
	}
	return protocol.Instant{
		Mono: pick(func(i protocol.Instant) int64 { return i.Mono }),
		Wall: pick(func(i protocol.Instant) int64 { return i.Wall }),
	}, false, true
}
