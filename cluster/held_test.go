package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// lapsed is a term whose lease has run out while its process was stopped. Nobody has had
// the time to end its context yet.
type lapsed struct{ tenure.Term }

func (lapsed) Held() bool          { return false }
func (lapsed) Token() tenure.Token { return 1 }

func TestALeadersRoutineIsNotCalledInATermThatIsNotHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		opts, err := Options{Leader: func(context.Context, tenure.Term) error { calls++; return nil }}.withDefaults(store.Capabilities{})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{n: newNode("c", "a", opts)}
		r.notes = newNotes(opts)
		defer r.notes.close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := newRoles(r).lead(ctx, lapsed{}); err != nil {
			t.Error(err)
		}
		if calls > 0 {
			t.Errorf("called %d times", calls)
		}
	})
}
