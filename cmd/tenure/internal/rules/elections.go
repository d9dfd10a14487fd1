package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/scratch"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
	"github.com/tenure-go/tenure/store/storetest"
	"github.com/tenure-go/tenure/tenuretest"
)

// ElectionOptions are the settings of Elections.
type ElectionOptions struct {
	TTL   time.Duration // of the members' sessions, as the store grants it
	Slack time.Duration // how much later than the bounds anything may be
}

// trial is one election under one rule.
type trial struct {
	name, rule string
	run        func(*ballot) error
}

var trials = []trial{
	{"election/vacant-seat", "Who campaigns for a vacant seat is elected.", (*ballot).vacantSeat},
	{"election/hand-over", "A seat that is given up goes to the next in line, within Bounds.Clean.", (*ballot).handOver},
	{"election/transfer", "A transfer gives the seat to the member that was named.", (*ballot).transfer},
	{
		"election/depose", "A leader that is deposed loses its term, and another is elected, within Bounds.Crash.",
		(*ballot).depose,
	},
	{"election/fencing", "A commit under an old term is refused; one under the present term is not.", (*ballot).fencing},
	{
		"election/fail-over", "When a leader falls silent, another is elected, within Bounds.Crash.",
		(*ballot).failOver,
	},
}

// kept are the rules that the history of all trials is checked for.
var kept = []struct {
	rule tenuretest.Rule
	name string
	text string
}{
	{tenuretest.OneHolder, "election/one-holder", "No two terms of an election are held at once."},
	{tenuretest.TokensRise, "election/tokens-rise", "From each term of an election to the next the token rises."},
	{tenuretest.FencedWrites, "election/fenced-writes", "A guarded write takes effect only while its term has the seat."},
	{tenuretest.OneEnd, "election/one-end", "A term begins once and ends once, with a cause."},
	{tenuretest.ObserversAgree, "election/observers-agree", "An observer is told of every change of the seat, in order."},
}

const needsRule = "The store can do what an election needs."

// Elected is how many rules Elections tries.
func Elected() int { return 1 + len(trials) + len(kept) }

// elections are the members that hold elections under a prefix.
type elections struct {
	opts    ElectionOptions
	bounds  tenure.Bounds
	arena   *tenuretest.Arena
	a, b, c *tenuretest.Node

	strain   *strain
	unopened error // of the handle that could not be opened
}

// Elections holds elections among three members, and returns what they say of the
// rules. It takes a few times the TTL, and some hundred requests. The space must be
// cut off some time after ctx has ended.
func Elections(ctx context.Context, space *scratch.Space, opts ElectionOptions, tell Tell) []Result {
	var results []Result
	note := func(name, rule string, err error) {
		r := resultOf(ctx, space, name, rule, err)
		results = append(results, r)
		tell(r)
	}
	e := &elections{opts: opts, strain: newStrain(opts.TTL)}
	defer e.strain.end()
	lacks := e.begin(ctx, space)
	note("election/needs", needsRule, lacks)
	if lacks != nil {
		lacks = fmt.Errorf("%w: no election can be held", storetest.ErrNotExercised)
	}
	for _, t := range trials {
		err := lacks
		if err == nil {
			err = e.try(ctx, t)
		}
		if errors.Is(err, errLate) { // the others would wait as long
			lacks = fmt.Errorf("%w: an election did not come to its end", storetest.ErrNotExercised)
		}
		note(t.name, t.rule, err)
	}
	if e.arena != nil {
		if err := e.arena.Close(); err != nil && lacks == nil {
			lacks = fmt.Errorf("%w: the record of the elections is not complete: %w", storetest.ErrNotExercised, err)
		}
	}
	for _, k := range kept {
		note(k.name, k.text, e.keeps(k.rule, lacks))
	}
	return results
}

// begin lets three members join.
func (e *elections) begin(ctx context.Context, space *scratch.Space) (err error) {
	if e.bounds, err = (tenure.Options{TTL: e.opts.TTL}).Bounds(); err != nil {
		return err
	}
	probe, err := space.Open(ctx)
	if err != nil {
		return err
	}
	c := probe.Capabilities()
	if err := probe.Close(); err != nil {
		return err
	}
	if !c.EveryChange {
		return fmt.Errorf("%w: a %s store does not show every change, by which elections are recorded here", storetest.ErrNotExercised, c.Name)
	}
	e.arena = tenuretest.NewArenaWith(tenuretest.ArenaOptions{Open: func() store.Store {
		st, err := space.Open(ctx)
		if err != nil {
			e.unopened = err
			closed := memstore.New()
			_ = closed.Close()
			return closed // all of whose calls fail
		}
		return st
	}})
	for id, n := range map[string]**tenuretest.Node{"a": &e.a, "b": &e.b, "c": &e.c} {
		ctx, cancel := context.WithTimeout(ctx, e.within())
		*n, err = e.arena.Join(ctx, tenure.Options{ID: id, TTL: e.opts.TTL, Trace: e.strain.trace()})
		cancel()
		if err = cmp.Or(e.unopened, err); err != nil {
			return err
		}
	}
	return nil
}

// within is how long anything may take that no bound is about.
func (e *elections) within() time.Duration { return 10*time.Second + 2*e.bounds.Crash }

var errLate = errors.New("not within")

// try runs a trial in an election of its own.
func (e *elections) try(ctx context.Context, t trial) error {
	ctx, cancel := context.WithTimeout(ctx, e.within())
	defer cancel()
	e.arena.Observe("observer of "+t.name, t.name, nil)
	e.strain.reset()
	b := newBallot(ctx, e, t.name)
	err := t.run(b)
	b.end()
	if slow := e.strain.beyond(e.bounds); err != nil && slow != nil {
		return fmt.Errorf("%w: %w", storetest.ErrNotExercised, slow)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w %v: %w", errLate, e.within(), err)
	}
	return err
}

// keeps says whether the history of the trials keeps a rule. It is checked up to the
// first rule that is broken.
func (e *elections) keeps(rule tenuretest.Rule, lacks error) error {
	if lacks != nil {
		return lacks
	}
	err := e.arena.Check(tenuretest.Expect{Finished: true})
	v, ok := errors.AsType[*tenuretest.Violation](err)
	switch {
	case !ok:
		return err
	case v.Rule != rule:
		return fmt.Errorf("%w: the elections are of no use after another rule was broken: %s", storetest.ErrNotExercised, v.Rule)
	}
	return errors.New(v.Text)
}
