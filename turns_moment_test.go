package tenure

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Moments between two goroutines of a Run, which cannot be met from outside.

func TestATermThatIsKnownToBeOverIsNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRun(Callbacks{Elected: func(context.Context, Term) error { t.Error("elected"); return nil }}, time.Hour)
		_, l := newHeld(t, time.Hour)
		r.turns.tell(t.Context(), Event{Kind: Vacant, Revision: l.Token() + 1}, func() {})
		begun := make(chan error, 1)
		go func() { begun <- r.lead(l.ctx, l) }()
		synctest.Wait()
		l.end(ErrDispossessed)
		if err := <-begun; !errors.Is(err, ErrDispossessed) {
			t.Errorf("refused with %v", err)
		}
	})
}

func TestATermThatHasEndedIsNotToldOfWhileLostRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		r := newRun(Callbacks{Lost: func(Term, error) { <-lost }}, time.Hour)
		_, l := newHeld(t, time.Hour)
		var told []Event
		tell := func(ev Event) { r.turns.tell(t.Context(), ev, func() { told = append(told, ev) }) }
		go func() {
			_ = r.lead(l.ctx, l)
			_ = r.release(t.Context(), l)
		}()
		synctest.Wait()
		l.end(ErrDispossessed)
		synctest.Wait()
		go func() {
			tell(Event{Kind: Gap, To: l.Token(), Revision: l.Token() + 1}) // late news of itself
			tell(Event{Kind: Elected, Leader: Leader{Token: l.Token()}, Revision: l.Token()})
			tell(Event{Kind: Vacant, Revision: l.Token() + 1})
		}()
		synctest.Wait()
		if len(told) > 0 {
			t.Errorf("told %+v while Lost runs", told)
		}
		close(lost)
		synctest.Wait()
		if len(told) != 1 || told[0].Kind != Vacant {
			t.Errorf("told %+v", told)
		}
	})
}
