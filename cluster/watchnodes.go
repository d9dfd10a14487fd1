package cluster

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// WatchNodes is as of Node.
func (v *View) WatchNodes(ctx context.Context) iter.Seq2[NodeEvent, error] {
	return func(yield func(NodeEvent, error) bool) {
		if err := checkName("cluster name", v.name, MaxName); err != nil {
			yield(NodeEvent{}, v.fail("watch nodes", err))
			return
		}
		w := nodeWatcher{known: map[string]Info{}, leaving: map[string]bool{}, coarse: !v.st.Capabilities().EveryChange}
		for next, err := range v.sights(ctx) {
			var told []NodeEvent
			if err == nil {
				told, err = w.take(next)
			}
			for _, ev := range told {
				if !yield(ev, nil) {
					return
				}
			}
			if err != nil {
				yield(NodeEvent{}, v.fail("watch nodes", err))
				return
			}
		}
	}
}

// sight is news of the nodes, or of the leader.
type sight struct {
	nodes  *store.Batch
	leader string
	rev    store.Revision // of the leader
	err    error
}

// sights yields both as they come. They lie apart in the store: the seat is an
// election's.
func (v *View) sights(ctx context.Context) iter.Seq2[sight, error] {
	return func(yield func(sight, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		news := make(chan sight)
		send := func(s sight) bool {
			select {
			case news <- s:
				return true
			case <-ctx.Done():
				return false
			}
		}
		wg.Go(func() {
			for b, err := range store.Follow(ctx, v.st, nodesPrefix, v.report) {
				if !send(sight{nodes: &b, err: err}) {
					return
				}
			}
		})
		wg.Go(func() {
			for ev, err := range tenure.NewView(v.root, v.name).Observe(ctx) {
				if ev.Kind != tenure.Gap && !send(sight{leader: v.nodeOf(ev.Leader.Member), rev: ev.Revision, err: err}) {
					return
				}
			}
		})
		for {
			select {
			case s := <-news:
				if !yield(s, s.err) || s.err != nil {
					return
				}
			case <-ctx.Done():
				yield(sight{}, ctx.Err())
				return
			}
		}
	}
}

// nodeWatcher turns what happens to records, and to the leadership, into what happens to
// nodes.
type nodeWatcher struct {
	known          map[string]Info
	leaving        map[string]bool
	leader         string
	listed, seated bool // the first of each has been seen
	coarse         bool // not every change is
	rev            store.Revision
}

func (w *nodeWatcher) take(s sight) ([]NodeEvent, error) {
	began := w.ready()
	var told []NodeEvent
	var err error
	if s.nodes != nil {
		told, err = w.records(s.nodes)
	} else {
		told = w.elected(s.leader, s.rev)
	}
	switch {
	case began:
		return told, err
	case w.ready():
		return append(w.present(), NodeEvent{Kind: NodesReady, Revision: w.rev}), err
	}
	return nil, err
}

// ready reports whether both have been seen, so that there is a present state to tell.
func (w *nodeWatcher) ready() bool { return w.listed && w.seated }

func (w *nodeWatcher) present() []NodeEvent {
	var told []NodeEvent
	for _, n := range w.known {
		told = append(told, NodeEvent{Kind: NodePresent, Node: n, Revision: n.Revision})
	}
	slices.SortFunc(told, func(a, b NodeEvent) int { return strings.Compare(a.Node.ID, b.Node.ID) })
	return told
}

// elected changes the roles of two nodes at most.
func (w *nodeWatcher) elected(leader string, rev store.Revision) []NodeEvent {
	var told []NodeEvent
	before := w.leader
	w.leader, w.seated = leader, true
	for _, id := range []string{before, leader} {
		if n, ok := w.known[id]; ok && n.Role != w.role(id) {
			told = append(told, w.changed(n, n, rev)...)
		}
	}
	return told
}

func (w *nodeWatcher) role(id string) Role {
	if id == w.leader {
		return Leader
	}
	return Follower
}

func (w *nodeWatcher) records(b *store.Batch) ([]NodeEvent, error) {
	var told []NodeEvent
	gap := b.Listed && w.listed
	if gap {
		told = append(told, NodeEvent{Kind: NodesGap, Since: b.Since, Revision: b.Revision})
	}
	w.listed, w.rev = true, b.Revision
	for i := range b.Events {
		e := &b.Events[i].Entry
		id := nodeOf(e.Key)
		if b.Events[i].Deleted {
			told = append(told, w.gone(id, gap || w.coarse, e.Modified)...)
			continue
		}
		r, err := decode(e)
		if err != nil {
			return told, err
		}
		now := r.info(e.Modified)
		old, was := w.known[id]
		if was && old.Incarnation != now.Incarnation {
			told, was = append(told, w.gone(id, true, e.Modified)...), false
		}
		w.leaving[id] = r.Leaving
		if was {
			told = append(told, w.changed(old, now, e.Modified)...)
		} else {
			now.Role = w.role(id)
			w.known[id] = now
			told = append(told, NodeEvent{Kind: NodeJoined, Node: now, Revision: e.Modified})
		}
	}
	return told, nil
}

func (w *nodeWatcher) gone(id string, unseen bool, rev store.Revision) []NodeEvent {
	n, was := w.known[id]
	if !was {
		return nil
	}
	kind := NodeExpired
	switch {
	case w.leaving[id]:
		kind = NodeLeft
	case unseen:
		kind = NodeGone
	}
	delete(w.known, id)
	delete(w.leaving, id)
	return []NodeEvent{{Kind: kind, Node: n, Revision: rev}}
}

// changed tells of a record that says something new. It is written again also to take
// note of something, or after an outage.
func (w *nodeWatcher) changed(old, now Info, rev store.Revision) []NodeEvent {
	now.Role = w.role(now.ID)
	w.known[now.ID] = now
	was := old
	was.Revision = now.Revision
	if reflect.DeepEqual(was, now) {
		return nil
	}
	return []NodeEvent{{Kind: NodeChanged, Node: now, Old: old, Revision: rev}}
}
