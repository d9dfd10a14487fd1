package hook

import (
	"errors"
	"testing"

	"github.com/tenure-go/tenure"
)

// idle is a runner whose loop does not run, so that what it takes in stays.
func idle(t *testing.T) *Runner {
	t.Helper()
	r := &Runner{conf: Config{Commands: map[Kind]string{Follower: "true", Error: "true"}}, member: "a", wake: make(chan struct{}, 1)}
	r.abort, r.kill = t.Context(), func() {}
	return r
}

func elected(member string, token tenure.Token) tenure.Event {
	return tenure.Event{Kind: tenure.Elected, Leader: tenure.Leader{Member: member, Token: token}}
}

// Whoever observes may hear of its own term before it is called for that.
func TestOneselfIsNoOtherLeader(t *testing.T) {
	t.Parallel()
	r := idle(t)
	r.Changed(elected("a", 1))
	if r.queue.follower != nil {
		t.Error("it is told of itself")
	}
	r.Changed(elected("b", 2))
	if r.queue.follower == nil {
		t.Fatal("it is not told of another")
	}
	r.Changed(tenure.Event{Kind: tenure.Vacant})
	if r.queue.follower == nil || r.seen != (tenure.Leader{}) {
		t.Errorf("a vacancy is no change to another leader; seen: %+v", r.seen)
	}
}

func TestNothingIsTakenInAtTheEnd(t *testing.T) {
	t.Parallel()
	r := idle(t)
	r.closing = true
	r.Changed(elected("b", 1))
	r.Error(errors.New("late"))
	if r.queue.follower != nil || len(r.queue.errors) != 0 {
		t.Errorf("waiting: %+v", r.queue)
	}
}
