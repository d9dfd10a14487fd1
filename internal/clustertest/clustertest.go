// Package clustertest holds what every node of a cluster must do, as cases for both kinds
// and for every store, with nothing assumed of how long things take.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// patience is how late anything may come on a host that does other things as well.
const patience = 20 * time.Second

// TTL is long enough for a host that does other things as well, and short enough to wait
// for.
const TTL = 6 * time.Second

// Harness is what a case needs.
type Harness struct {
	// Open returns a handle on the same store at each call, as another process would
	// have one. Without it nodes are standalone.
	Open func() store.Store
	// TTL of the nodes.
	TTL time.Duration
}

// Case is one rule.
type Case struct {
	Name string
	Rule string
	Run  func(context.Context, Harness) error
}

// check is a case as this package writes it.
type check struct {
	name, rule string
	run        func(*env)
}

// Standalone returns the cases for one node, which both kinds obey.
func Standalone() []Case { return cases(oneChecks) }

// Clustered returns them all, also those for several nodes over a store.
func Clustered() []Case { return cases(slices.Concat(oneChecks, manyChecks)) }

func cases(checks []check) []Case {
	cases := make([]Case, len(checks))
	for i, c := range checks {
		cases[i] = Case{Name: c.name, Rule: c.rule, Run: func(ctx context.Context, h Harness) error {
			if err := play(ctx, h, c.run); err != nil {
				return fmt.Errorf("%s: %w\n\trule: %s", c.name, err, c.rule)
			}
			return nil
		}}
	}
	return cases
}

// env is one case under way. What is wrong ends it, by a panic that play recovers.
type env struct {
	ctx   context.Context
	h     Harness
	st    store.Store // a handle of its own; nil: standalone
	wg    sync.WaitGroup
	nodes []cluster.Node
	after []func() error
}

type failure struct{ err error }

func play(ctx context.Context, h Harness, run func(*env)) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	e := &env{ctx: ctx, h: h}
	if h.Open != nil {
		e.st = h.Open()
		e.after = append(e.after, e.st.Close)
	}
	defer func() {
		if v := recover(); v != nil {
			f, ok := v.(failure)
			if !ok {
				panic(v)
			}
			err = f.err
		}
		for _, n := range e.nodes {
			// A routine that was told to stop may need longer than a short drain time, on
			// a host that does other things as well.
			if closed := n.Close(); err == nil && closed != nil && !errors.Is(closed, tenure.ErrDrainTimeout) {
				err = fmt.Errorf("close: %w", closed)
			}
		}
		cancel()
		e.wg.Wait()
		for _, f := range e.after {
			if closed := f(); err == nil && closed != nil {
				err = closed
			}
		}
	}()
	run(e)
	return nil
}

func (e *env) fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func (e *env) ok(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func (e *env) check(ok bool, format string, args ...any) {
	if !ok {
		e.fail(format, args...)
	}
}

// node returns a node, which is not started.
func (e *env) node(id string, opts cluster.Options) cluster.Node {
	var n cluster.Node
	var err error
	if e.st == nil {
		n, err = cluster.NewStandalone(id, opts)
	} else {
		st := e.h.Open()
		e.after = append(e.after, st.Close)
		opts.TTL = e.h.TTL
		n, err = cluster.New(st, clusterName, id, opts)
	}
	e.ok(err)
	e.nodes = append(e.nodes, n)
	return n
}

const clusterName = "a cluster/of 100%"

// start returns a node that runs.
func (e *env) start(id string, opts cluster.Options) cluster.Node {
	n := e.node(id, opts)
	e.ok(n.Start(e.ctx))
	return n
}

// await waits until f holds, and asks again after every event of something.
func (e *env) await(what string, f func() (bool, error)) {
	deadline := time.Now().Add(patience)
	for {
		ok, err := f()
		e.ok(err)
		if ok {
			return
		}
		if time.Now().After(deadline) {
			e.fail("after %v: not yet: %s", patience, what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-e.ctx.Done():
			e.ok(e.ctx.Err())
		}
	}
}

// leads waits until a node leads.
func (e *env) leads(n cluster.Node) {
	e.await(n.ID()+" leads", func() (bool, error) { return n.Self().Role == cluster.Leader, nil })
}

// receive returns what comes, in time.
func receive[T any](e *env, from <-chan T) T {
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		e.fail("after %v: nothing came", patience)
	}
	panic("not reached")
}

// stream is a watch that is read as the case asks for more.
type stream[T any] struct {
	e    *env
	news chan result[T]
}

type result[T any] struct {
	value T
	err   error
}

// watch reads a sequence in a goroutine of its own, until the case is over.
func watch[T any](e *env, seq func(context.Context) iter.Seq2[T, error]) *stream[T] {
	s := &stream[T]{e: e, news: make(chan result[T], 1000)}
	e.wg.Go(func() {
		defer close(s.news)
		for v, err := range seq(e.ctx) {
			select {
			case s.news <- result[T]{v, err}:
			case <-e.ctx.Done():
				return
			}
		}
	})
	return s
}

// take returns the next event.
func (s *stream[T]) take() T {
	r := s.end()
	s.e.ok(r.err)
	return r.value
}

// end returns the next element, which may be the error at the end.
func (s *stream[T]) end() result[T] {
	select {
	case r, ok := <-s.news:
		s.e.check(ok, "the watch ended without an error")
		return r
	case <-time.After(patience):
		s.e.fail("after %v: no event", patience)
	}
	return result[T]{}
}

// told is an event as the cases compare it.
func told(ev cluster.Event) string {
	switch ev.Kind {
	case cluster.Ready, cluster.Gap:
		return ev.Kind.String()
	case cluster.Deleted:
		return fmt.Sprintf("%v %s %s: %q", ev.Kind, ev.Node, ev.Key, ev.Old)
	case cluster.Modified:
		return fmt.Sprintf("%v %s %s: %q to %q", ev.Kind, ev.Node, ev.Key, ev.Old, ev.Value)
	default:
		return fmt.Sprintf("%v %s %s: %q", ev.Kind, ev.Node, ev.Key, ev.Value)
	}
}

func (e *env) expect(s *stream[cluster.Event], want ...string) {
	for _, w := range want {
		if got := told(s.take()); got != w {
			e.fail("got the event %q, want %q", got, w)
		}
	}
}

func (e *env) expectNodes(s *stream[cluster.NodeEvent], want ...string) {
	for _, w := range want {
		ev := s.take()
		got := ev.Kind.String() + " " + ev.Node.ID
		if got != w {
			e.fail("got the event %q (%+v), want %q", got, ev, w)
		}
	}
}
