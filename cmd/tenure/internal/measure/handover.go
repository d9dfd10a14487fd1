package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
)

// term is how long a function works between two hand-overs: longer than 100 ms, after
// which a leader knows who waits.
const term = 150 * time.Millisecond

// Plan says what to measure.
type Plan struct {
	Open    Opener
	Members int
	TTL     time.Duration
	Count   int
	Tell    Tell
}

// idle is how long nobody may be elected before a measurement is given up.
func (p Plan) idle() (time.Duration, error) {
	b, err := tenure.Options{TTL: p.TTL}.Bounds()
	return b.Crash + 10*time.Second, err
}

// relay is the seat that goes from one member to the next.
type relay struct {
	plan Plan
	stop context.CancelCauseFunc

	mu       sync.Mutex
	last     string    // who led last
	returned time.Time // when the function of the last leader did; zero: its term was lost
	turn     int       // how often anybody was elected
	sample   Sample
}

// HandOvers measures, among members of this process, the time from when the function of
// one leader returns until that of the next is called. The members lead in turns, and
// each has a handle and a session of its own.
func HandOvers(ctx context.Context, plan Plan) (sample Sample, err error) {
	idle, err := plan.idle()
	if err != nil {
		return nil, err
	}
	members, err := join(ctx, plan)
	defer func() { err = errors.Join(err, members.close()) }()
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &relay{plan: plan, stop: stop}
	alarm := time.AfterFunc(idle, func() { stop(fmt.Errorf("nobody was elected within %v", idle)) })
	defer alarm.Stop()
	var leading sync.WaitGroup
	for _, m := range members {
		leading.Go(func() {
			err := m.Lead(running, "hand-over", func(ctx context.Context, t tenure.Term) error {
				alarm.Reset(idle)
				return r.lead(ctx, m.ID())
			}, tenure.LeadOptions{Requeue: true})
			if err != nil {
				stop(err) // the first counts
			}
		})
	}
	leading.Wait()
	if cause := context.Cause(running); !errors.Is(cause, errEnough) {
		return r.sample, cause
	}
	return r.sample, nil
}

var errEnough = errors.New("enough")

// lead is one term.
func (r *relay) lead(ctx context.Context, member string) error {
	called := time.Now()
	r.mu.Lock()
	// The first ones are among those who have joined by then.
	if r.turn++; r.turn > r.plan.Members && member != r.last && !r.returned.IsZero() {
		r.sample = append(r.sample, called.Sub(r.returned))
	}
	r.last, r.returned = member, time.Time{}
	done := len(r.sample)
	r.mu.Unlock()
	r.plan.Tell(done, r.plan.Count)
	if done >= r.plan.Count {
		r.stop(errEnough)
		return nil
	}
	work := time.NewTimer(term)
	defer work.Stop()
	select {
	case <-work.C:
	case <-ctx.Done():
		return nil // what follows is no hand-over of ours
	}
	r.mu.Lock()
	r.returned = time.Now()
	r.mu.Unlock()
	return nil
}
