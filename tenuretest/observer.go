package tenuretest

import (
	"context"
	"sync"

	"github.com/tenure-go/tenure"
)

// Observer is a process that observes an election through a View, over a way to
// the store of its own.
type Observer struct {
	*Link
	*tenure.View
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	last tenure.Event
	err  error
}

// Observe starts an observer. No two have the same name. Each event is recorded
// and then given to each, which may be nil and may be slow.
func (a *Arena) Observe(name, election string, each func(tenure.Event)) *Observer {
	l := a.Link(name)
	o := &Observer{Link: l, View: tenure.NewView(l.Store(), election), done: make(chan struct{})}
	var ctx context.Context
	ctx, o.cancel = context.WithCancel(context.Background())
	a.mu.Lock()
	a.observers = append(a.observers, o)
	a.mu.Unlock()
	go func() {
		defer close(o.done)
		o.run(ctx, election, each)
	}()
	return o
}

func (o *Observer) run(ctx context.Context, election string, each func(tenure.Event)) {
	o.h.Record(o.event(Observing, election, 0))
	for ev, err := range o.Observe(ctx) {
		if err != nil {
			o.mu.Lock()
			o.err = err
			o.mu.Unlock()
			return
		}
		e := o.event(ObservedNone, election, ev.Leader.Token)
		e.Revision = ev.Revision
		switch ev.Kind {
		case tenure.Elected:
			e.Kind, e.Text = ObservedLeader, ev.Leader.Member
		case tenure.Gap:
			e.Kind = ObservedGap
		}
		o.h.Record(e)
		o.mu.Lock()
		o.last = ev
		o.mu.Unlock()
		if each != nil {
			each(ev)
		}
	}
}

// Last is the event that it was told last, and the error that has ended it.
func (o *Observer) Last() (tenure.Event, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.err
}

// Stop ends the observer, once what it was given each event to has returned.
func (o *Observer) Stop() {
	o.cancel()
	<-o.done
}
