package main

import (
	"context"
	"fmt"
	"time"
)

// apart is how long after one change of a cluster the next one comes.
const apart = 20 * time.Millisecond

// turns measures the contenders, the last of which is the floor.
func (w *wide) turns(ctx context.Context, ours *tenureNodes, all []peers, times *table) error {
	p := w.cluster
	var asked mark // by our GetAll
	for _, part := range []struct {
		what []string
		n    int
		once func(ctx context.Context, c peers, n int, into []*timing) error
	}{
		{[]string{"join (Start)", "leave (Stop)"}, p.joins, func(ctx context.Context, c peers, n int, into []*timing) error {
			return comeAndGo(ctx, c, fmt.Sprint("extra-", n), p.nodes, into[0], into[1])
		}},
		{[]string{"change (Put)"}, p.changes, func(ctx context.Context, c peers, n int, into []*timing) error {
			return change(ctx, c, n, p.nodes, into[0])
		}},
		{[]string{"GetAll, one key"}, p.changes, func(ctx context.Context, c peers, n int, into []*timing) error {
			if c == ours {
				ctx = asked.on(ctx)
			}
			return read(ctx, c.getAll, n%p.nodes, p.nodes, into[0])
		}},
	} {
		of := make([][]*timing, len(all)) // of each contender
		for i, c := range all {
			for _, what := range part.what {
				of[i] = append(of[i], &timing{what: what, by: c.String()})
			}
		}
		err := inTurns(part.n, len(all), func(i, n int) error { return part.once(ctx, all[i], n, of[i]) })
		if err != nil {
			return fmt.Errorf("%s: %w", part.what[0], err)
		}
		for k, floor := range of[len(all)-1] {
			for i := range all {
				of[i][k].row(times, w.kind, floor)
			}
		}
	}
	w.requests("GetAll", &asked, p.changes)
	everything := &timing{what: "GetAllPrefix, all keys", by: ours.String()}
	asked = mark{}
	for n := range p.joins {
		if err := read(asked.on(ctx), ours.getEverything, n%p.nodes, p.nodes*p.keys, everything); err != nil {
			return fmt.Errorf("%s: %w", everything.what, err)
		}
	}
	everything.row(times, w.kind, &timing{})
	w.requests("GetAllPrefix", &asked, p.joins)
	return nil
}

// inTurns has each contender do something so many times, a block at a time.
func inTurns(times, contenders int, once func(contender, n int) error) error {
	for done := 0; done < times; done += block {
		for i := range contenders {
			for n := done; n < min(done+block, times); n++ {
				if err := once(i, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// timing is how long something took, until the call returned, and until all had seen it.
type timing struct {
	what, by       string
	returned, seen sample
}

func (m *timing) row(t *table, kind string, floor *timing) {
	p50, p99, by := "-", "-", ratio(m.returned.p(50), floor.returned.p(50))
	if len(m.seen.times) > 0 {
		p50, p99, by = inMs(m.seen.p(50)), inMs(m.seen.p(99)), ratio(m.seen.p(50), floor.seen.p(50))
	}
	t.row(kind, m.what, m.by, len(m.returned.times), m.returned.p(50), m.returned.p(99), p50, p99, by)
}

// requests says how many requests a call made, of the store and of etcd.
func (w *wide) requests(what string, m *mark, calls int) {
	value := fmt.Sprintf("%d", m.store.Load())
	if w.kind == "etcd" {
		value += fmt.Sprintf(", and %d of etcd's client", m.wire.Load())
	}
	w.figure(fmt.Sprintf("requests of %d calls of %s", calls, what), value, fmt.Sprintf("%d", calls))
}

// comeAndGo has one more node join, and leave again.
func comeAndGo(ctx context.Context, c peers, id string, nodes int, coming, going *timing) error {
	if err := coming.shown(ctx, c, joined(id), nodes, func() error { return c.join(ctx, id) }); err != nil {
		return err
	}
	return going.shown(ctx, c, left(id), nodes, func() error { return c.leave(ctx) })
}

// change has one of the nodes, another each time, change its key.
func change(ctx context.Context, c peers, n, nodes int, into *timing) error {
	value := valueOf(1_000_000 + n)
	return into.shown(ctx, c, value, nodes, func() error { return c.put(ctx, n%nodes, value) })
}

// shown times something that all nodes see.
func (m *timing) shown(ctx context.Context, c peers, what string, nodes int, call func() error) error {
	drain(ctx, apart)
	returned, seen, err := c.watchers().seeing(ctx, what, nodes, call)
	if err != nil {
		return fmt.Errorf("%v: %q: %w", c, what, err)
	}
	m.returned.add(returned)
	m.seen.add(seen)
	return nil
}

// read has one of the nodes read so many values.
func read(ctx context.Context, get func(context.Context, int) (int, error), node, want int, into *timing) error {
	drain(ctx, apart/10)
	began := time.Now()
	n, err := get(ctx, node)
	into.returned.add(time.Since(began))
	if err == nil && n != want {
		err = fmt.Errorf("%d values of %d", n, want)
	}
	return err
}
