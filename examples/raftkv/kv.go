package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// command is what raft's log holds.
type command struct {
	Term  uint64 // the raft term for which it was proposed
	Op    string // opPut or opSweep
	Key   string `json:",omitzero"`
	Value string `json:",omitzero"`
	// At is the end of a key's lifetime, or zero; or the time of a sweep. It comes with the
	// command because all servers must do the same with it, whatever their clocks say.
	At time.Time `json:",omitzero"`
}

const (
	opPut   = "put"
	opSweep = "sweep"
)

// errLate is what a command is answered that was proposed for another term.
var errLate = errors.New("proposed for a term that is over")

// kv is the state machine: the keys, as far as the log has been applied here.
type kv struct {
	mu   sync.RWMutex
	keys map[string]item
}

type item struct {
	Value   string
	Expires time.Time `json:",omitzero"`
}

func (i item) expired(now time.Time) bool { return !i.Expires.IsZero() && !i.Expires.After(now) }

func newKV() *kv { return &kv{keys: map[string]item{}} }

// Apply implements raft.FSM. It answers with an error, or nil.
func (s *kv) Apply(entry *raft.Log) any {
	var c command
	if err := json.Unmarshal(entry.Data, &c); err != nil {
		return fmt.Errorf("entry %d: %w", entry.Index, err)
	}
	// Raft took it for a command of the term in which it was proposed. Whoever made it
	// may have led in an earlier one, and not know what has happened since.
	if c.Term != entry.Term {
		return fmt.Errorf("%w: %d, applied in %d", errLate, c.Term, entry.Term)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.Op {
	case opPut:
		s.keys[c.Key] = item{c.Value, c.At}
	case opSweep:
		maps.DeleteFunc(s.keys, func(_ string, i item) bool { return i.expired(c.At) })
	default:
		return fmt.Errorf("entry %d: unknown op %q", entry.Index, c.Op)
	}
	return nil
}

// get returns the value of a key whose lifetime is not over.
func (s *kv) get(key string, now time.Time) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.keys[key]
	return i.Value, ok && !i.expired(now)
}

// expired is how many keys are to be swept.
func (s *kv) expired(now time.Time) (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, i := range s.keys {
		if i.expired(now) {
			n++
		}
	}
	return n
}

// Snapshot implements raft.FSM. Raft applies nothing before it has returned, and goes on while
// what it has returned is persisted: so that is a copy.
func (s *kv) Snapshot() (raft.FSMSnapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return snapshot(maps.Clone(s.keys)), nil
}

// Restore implements raft.FSM.
func (s *kv) Restore(from io.ReadCloser) error {
	keys := map[string]item{}
	if err := errors.Join(json.NewDecoder(from).Decode(&keys), from.Close()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	return nil
}

type snapshot map[string]item

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(to raft.SnapshotSink) error {
	if err := json.NewEncoder(to).Encode(s); err != nil {
		return errors.Join(err, to.Cancel())
	}
	return to.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
