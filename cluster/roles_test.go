package cluster

import (
	"context"
	"testing"

	"github.com/tenure-go/tenure/store"
)

// Who led before this node does not lead again because this node has stopped to.
func TestWhoLedBeforeIsNotFollowed(t *testing.T) {
	t.Parallel()
	opts, err := Options{}.withDefaults(store.Capabilities{})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{n: newNode("c", "a", opts)}
	r.notes = newNotes(opts)
	defer r.notes.close()
	s := newRoles(r)
	s.sees("b", 1)
	if role := s.present(); role != Follower {
		t.Fatalf("role %q", role)
	}
	own := newTerm(context.Background(), 2)
	s.begin(own, own.cancel)
	s.end(own)
	if role := s.present(); role != Unknown {
		t.Errorf("role %q, and b led before", role)
	}
	s.sees("b", 3)
	if role := s.present(); role != Follower {
		t.Errorf("role %q, and b leads", role)
	}
}
