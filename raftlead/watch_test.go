package raftlead

import (
	"context"
	"runtime"
	"testing"
	"weak"

	"github.com/hashicorp/raft"
)

// The list is what every reader hangs on; nothing must hang on the list.
func TestTransitionsThatWereReadAreGarbage(t *testing.T) {
	w := &Watch{id: "a"}
	w.now.Store(&place{Transition: Transition{Seq: 1}, gone: make(chan struct{})})
	first := weak.Make(w.now.Load())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := uint64(0)
	transitions := w.Transitions(ctx)
	for tr, err := range transitions {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; tr.Seq != seen {
			t.Fatalf("transition %d, want %d", tr.Seq, seen)
		}
		if seen == 100 {
			break
		}
		if seen == 50 {
			runtime.GC()
			if first.Value() != nil {
				t.Error("the first transition is kept by a reader that has passed it")
			}
		}
		w.mu.Lock()
		w.append(Transition{Term: seen, Leader: "b", Address: raft.ServerAddress("b")})
		w.mu.Unlock()
	}
	for tr := range transitions {
		if tr.Seq != seen {
			t.Errorf("a second loop begins with transition %d, want the present one, %d", tr.Seq, seen)
		}
		break
	}
}
