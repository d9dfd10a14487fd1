package raftleadtest

import (
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// ignoring is an FSM without a state.
type ignoring struct{}

func (ignoring) Apply(*raft.Log) any                 { return nil }
func (ignoring) Snapshot() (raft.FSMSnapshot, error) { return ignoring{}, nil }
func (ignoring) Restore(from io.ReadCloser) error    { return from.Close() }
func (ignoring) Persist(sink raft.SnapshotSink) error {
	return sink.Close()
}
func (ignoring) Release() {}

// fsm counts what the one below is called for, and keeps commands for Hold.
type fsm struct {
	raft.FSM
	s *Server

	mu     sync.Mutex
	counts Counts
	index  uint64 // up to which the state is complete
}

// withAll has also what raft asks the FSM below for. It stores no configurations with one that is
// given batches: they are in these.
func (f *fsm) withAll() raft.FSM {
	if below, ok := f.FSM.(raft.BatchingFSM); ok {
		return &batched{f, below}
	}
	if below, ok := f.FSM.(raft.ConfigurationStore); ok {
		return &configured{f, below}
	}
	return f
}

type configured struct {
	*fsm
	below raft.ConfigurationStore
}

func (c *configured) StoreConfiguration(index uint64, conf raft.Configuration) {
	c.below.StoreConfiguration(index, conf)
}

func (f *fsm) Apply(log *raft.Log) any {
	f.s.committed(log.Index)
	result := f.FSM.Apply(log)
	f.applied(log.Index, 1)
	return result
}

type batched struct {
	*fsm
	below raft.BatchingFSM
}

func (b *batched) ApplyBatch(logs []*raft.Log) []any {
	commands := 0
	for _, log := range logs {
		if log.Type == raft.LogCommand {
			commands++
		}
	}
	last := logs[len(logs)-1].Index
	b.s.committed(last)
	results := b.below.ApplyBatch(logs)
	b.applied(last, commands)
	return results
}

func (f *fsm) applied(index uint64, commands int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Commands += commands
	f.index = index
}

func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	snapshot, err := f.FSM.Snapshot()
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.counts.Snapshots++
	}
	return snapshot, err
}

func (f *fsm) Restore(from io.ReadCloser) error {
	if err := f.FSM.Restore(from); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Restores++
	if snapshots, err := f.s.snapshots.List(); err == nil && len(snapshots) > 0 {
		f.index = snapshots[0].Index
	}
	return nil
}

func (f *fsm) counted() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// has says that the state is that of a log up to the index.
func (f *fsm) has(index uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.index >= index
}
