package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
)

// failOver is the election that FailOvers holds.
const failOver = "fail-over"

// Victim is a process that leads until it is killed.
type Victim interface {
	// Renewed is when the renewal that was answered last was sent, and for how long
	// it holds.
	Renewed() (time.Time, time.Duration)
	// Kill ends the process without a word, and returns once it has.
	Kill() error
	// Stop ends it cleanly, unless it has ended.
	Stop() error
}

// FailOver is what a number of fail-overs took.
type FailOver struct {
	// Whole is from the moment before the leader was killed until the function of the
	// next one was called.
	Whole Sample
	// Beyond is the part of it that comes after the TTL, counted from when the last
	// renewal was sent.
	Beyond Sample
}

// FailOvers measures how long it takes until another leads when a leader dies. Start
// returns a process, over the same store, that leads the named election.
func FailOvers(ctx context.Context, plan Plan, start func(ctx context.Context, election string) (Victim, error)) (f FailOver, err error) {
	b, err := tenure.Options{TTL: plan.TTL}.Bounds()
	if err != nil {
		return f, err
	}
	plan.Members-- // the victim is one of them
	members, err := join(ctx, plan)
	defer func() { err = errors.Join(err, members.close()) }()
	if err != nil {
		return f, err
	}
	for disturbed := 0; len(f.Whole) < plan.Count; {
		// At another moment between two renewals each time.
		done := len(f.Whole)
		age := b.Round * time.Duration(done) / time.Duration(plan.Count)
		err := f.add(ctx, plan, members, start, age)
		if errors.Is(err, errDisturbed) && disturbed < plan.Count+mayDisturb {
			disturbed++
			continue
		}
		if err != nil {
			return f, fmt.Errorf("fail-over %d of %d: %w", done+1, plan.Count, err)
		}
		plan.Tell(done+1, plan.Count)
	}
	return f, nil
}

// errDisturbed: the leader was replaced before it was killed. A host that has other
// work may keep it from renewing.
var errDisturbed = errors.New("another was elected although the leader lived")

// mayDisturb is how many more than were asked for may be disturbed.
const mayDisturb = 3

// add measures one fail-over, of a leader that is killed so long after the others are
// in line.
func (f *FailOver) add(ctx context.Context, plan Plan, members members, start func(context.Context, string) (Victim, error), age time.Duration) (err error) {
	idle, err := plan.idle()
	if err != nil {
		return err
	}
	victim, err := start(ctx, failOver)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, victim.Stop()) }()
	running, stop := context.WithCancel(ctx)
	defer stop()
	called := make(chan time.Time, len(members)) // of which the first counts
	errs := make([]error, len(members))
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer stop()
	for i, m := range members {
		waiting.Go(func() {
			errs[i] = m.Lead(running, failOver, func(context.Context, tenure.Term) error {
				called <- time.Now()
				return nil
			}, tenure.LeadOptions{})
		})
	}
	if err := inLine(running, members, idle); err != nil {
		return err
	}
	select {
	case <-time.After(age):
	case <-called:
		return errDisturbed
	case <-ctx.Done():
		return ctx.Err()
	}
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		return err
	}
	select {
	case next := <-called:
		if next.Before(killed) {
			return errDisturbed
		}
		renewed, ttl := victim.Renewed()
		f.Whole = append(f.Whole, next.Sub(killed))
		f.Beyond = append(f.Beyond, next.Sub(renewed.Add(ttl)))
	case <-time.After(idle):
		return fmt.Errorf("nobody was elected within %v", idle)
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan struct{})
	go func() {
		waiting.Wait()
		close(done)
	}()
	select { // each of the others leads, and returns, in turn
	case <-done:
	case <-time.After(idle):
		stop()
		<-done
	}
	return errors.Join(errs...)
}

// inLine waits until all members are candidates.
func inLine(ctx context.Context, members members, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	view := tenure.NewView(members[0].st, failOver)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		all, err := view.Candidates(ctx)
		if err != nil {
			return err
		}
		waits := func(m member) bool {
			return slices.ContainsFunc(all, func(c tenure.Candidate) bool { return c.Member == m.ID() && c.State == "waiting" })
		}
		if !slices.ContainsFunc(members, func(m member) bool { return !waits(m) }) {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("not all members are in line within %v: %w", atMost, ctx.Err())
		}
	}
}
