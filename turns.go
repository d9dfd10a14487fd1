package tenure

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure/store"
)

// phase is where one Run of Callbacks is, which says what may be told of the leader.
//
//	            begin              Elected returned
//	following ---------> switching ---------------> leading
//	    ^                |      ^                      |
//	    |     enter      |      |       term ends      |
//	    +----------------+      +----------------------+
//	   BeforeRelease returned
type phase int

const (
	following phase = iota // whatever is newer than the last term of one's own
	switching              // nothing: Elected, or Lost and BeforeRelease, are called
	leading                // the beginning of one's own term
)

// turns puts into one order what the two goroutines of a Run call. Either may know of
// something before the other does: a take-over is often known by its own commit before
// the watch tells of the vacancy that it ended, and the watch may tell of a successor
// before a term has noticed that it is lost.
type turns struct {
	mu      sync.Mutex
	changed sync.Cond // of all that follows
	phase   phase
	token   Token // of the latest term of one's own; zero: there was none
	telling bool  // a LeaderChanged runs
	told    store.Revision
}

// begin waits until Elected may be called: no LeaderChanged runs, and none will. One that
// has told what came after this term shows that it is over. The error says that the term
// has ended, or that patience has.
func (t *turns) begin(ctx context.Context, token Token, patience time.Duration) error {
	late := fmt.Errorf("%w: Elected was not called, because LeaderChanged has not returned", ErrDrainTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, late)
	defer cancel()
	defer t.wakeAfter(ctx)()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase, t.token = switching, token
	for (t.telling || t.told > token) && ctx.Err() == nil {
		t.changed.Wait()
	}
	return context.Cause(ctx)
}

func (t *turns) enter(p phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = p
	t.changed.Broadcast()
}

// tell calls f with the news of ev, when it is its turn, unless ev is old by then or ctx
// has ended.
func (t *turns) tell(ctx context.Context, ev Event, f func()) {
	if !t.await(ctx, ev) {
		return
	}
	defer func() { // also if f leaves its goroutine
		t.mu.Lock()
		defer t.mu.Unlock()
		t.telling = false
		t.changed.Broadcast()
	}()
	f()
}

func (t *turns) await(ctx context.Context, ev Event) bool {
	defer t.wakeAfter(ctx)()
	at := newsOf(ev)
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil {
		own := at == t.token && t.token != 0
		switch {
		case at < t.token, own && t.phase == following:
			return false
		case t.phase == following, own && t.phase == leading:
			t.telling, t.told = true, at
			return true
		}
		t.changed.Wait()
	}
	return false
}

// newsOf is the revision that an event brings us to: with a Gap, the one that is told
// next.
func newsOf(ev Event) store.Revision {
	if ev.Kind == Gap && ev.To != 0 {
		return ev.To
	}
	return ev.Revision
}

// wakeAfter has those who wait look at ctx when that ends.
func (t *turns) wakeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})
}
