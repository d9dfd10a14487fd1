//go:build unix

package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// watch is one of a node in one of its lives: of the state of all, or of all nodes.
type watch struct {
	member  string
	life    int
	of      string // toldState or toldNodes
	notices []notice
	ended   bool
	cause   string // of the end
	killed  bool   // nothing can be said of its end
}

func (w *watch) String() string { return fmt.Sprintf("%s, %s in life %d", w.member, w.of, w.life) }

// notice is one event of a watch.
type notice struct {
	at            int64
	kind          string
	of            entry
	value, old    string
	role, oldRole string
	rev, since    store.Revision
}

func (n notice) String() string {
	if n.of == (entry{}) {
		return fmt.Sprintf("%s at revision %d", n.kind, n.rev)
	}
	return fmt.Sprintf("%v %s at revision %d: %s, and before %s", n.of, n.kind, n.rev, show(n.value), show(n.old))
}

// The kinds of both watches. What a watch of nodes calls by another name is the same.
var (
	isPresent = cluster.Present.String()
	isReady   = cluster.Ready.String()
	isGap     = cluster.Gap.String()
	comes     = []string{cluster.Added.String(), cluster.NodeJoined.String()}
	changes   = []string{cluster.Modified.String(), cluster.NodeChanged.String()}
	hasLeft   = cluster.NodeLeft.String()
	expired   = cluster.NodeExpired.String()
	isGone    = cluster.NodeGone.String()
	leads     = string(cluster.Leader)
)

// hears takes what a watch of a node has told.
func (a *account) hears(member string, r report) {
	of := r.What
	if of == watchEnded {
		of = r.Kind
	}
	w := a.watchOf(member, r.Life, of)
	if w.ended {
		a.problems = append(a.problems, fmt.Errorf("%v: it has told %s after its end", w, r.Kind))
		return
	}
	if r.What == watchEnded {
		w.ended, w.cause = true, r.Err
		return
	}
	switch {
	case r.Kind == isGap:
		a.counts["gaps told"]++
	case of == toldState:
		a.counts["events of state told"]++
	default:
		a.counts["of nodes"]++
	}
	w.notices = append(w.notices, notice{
		at: r.At, kind: r.Kind, of: entry{r.Node, r.Key}, value: r.Value, old: r.Old, role: r.Role, oldRole: r.OldRole,
		rev: r.Revision, since: r.Since,
	})
}

func (a *account) watchOf(member string, life int, of string) *watch {
	all := a.watches[member]
	for _, w := range slices.Backward(all) {
		if w.life == life && w.of == of {
			return w
		}
	}
	w := &watch{member: member, life: life, of: of}
	a.watches[member] = append(all, w)
	return w
}

// checkWatches judges what all watches have told of what was up to a revision. mu is held.
func (a *account) checkWatches(upTo store.Revision, finished bool) (found []*breach) {
	for _, all := range a.watches {
		for _, w := range all {
			_, b := a.replay(w, upTo)
			switch {
			case b != nil:
			case w.ended && w.cause == "":
				b = breaks(errorLast, "it has ended without one")
			case finished && !w.ended && !w.killed:
				b = breaks(errorLast, "its node was closed, and it has not ended")
			}
			if b != nil {
				b.who = w.String()
				found = append(found, b)
			}
		}
	}
	return found
}

// checkViews judges the watches that go on by what is there while all is quiet. mu is held.
func (a *account) checkViews(state map[entry]string, nodes, roles map[entry]string) (found []*breach) {
	for _, all := range a.watches {
		for _, w := range all {
			if w.ended || w.killed {
				continue
			}
			l, b := a.replay(w, forever)
			there := state
			if w.of == toldNodes {
				there = nodes
			}
			switch {
			case b != nil:
			case !maps.Equal(l.view, there):
				b = breaks(viewsEqual, "%s", difference(l.view, there))
			case w.of == toldNodes && !maps.Equal(l.roles, roles):
				b = breaks(viewsEqual, "roles: %s", difference(l.roles, roles))
			}
			if b != nil {
				b.who = w.String()
				found = append(found, b)
			}
		}
	}
	return found
}

// forever is a revision beyond all.
const forever = store.Revision(1) << 62

// replay hears out a watch, of what was up to a revision, which etcd's history must reach.
func (a *account) replay(w *watch, upTo store.Revision) (*listener, *breach) {
	l := &listener{past: a.state, view: map[entry]string{}, roles: map[entry]string{}}
	if w.of == toldNodes {
		l.past = a.nodes
	}
	for i, n := range w.notices {
		if n.rev > upTo {
			break
		}
		if b := l.hear(n); b != nil {
			b.text = fmt.Sprintf("event %d, %v: %s", i+1, n, b.text)
			return l, b
		}
	}
	return l, nil
}

// listener is somebody who has nothing but what a watch tells, and compares that with the
// past.
type listener struct {
	past  *past
	view  map[entry]string // what is there, as far as was told
	roles map[entry]string
	ready bool
	rev   store.Revision // all up to it was told
	now   []version      // of the revision after that: what was not told yet
	gap   store.Revision // what is told is a difference, up to it; 0: it is not
}

func (l *listener) hear(n notice) *breach {
	switch {
	case !l.ready:
		return l.begin(n)
	case n.kind == isGap:
		return l.lose(n)
	case n.kind == isPresent, n.kind == isReady:
		return breaks(presentFirst, "it was ready before")
	}
	if n.kind == changes[1] && n.value == n.old {
		return l.change(n) // of the role, which is not in the record, but elsewhere
	}
	if n.rev > l.gap {
		if b := l.mended(); b != nil {
			return b
		}
	}
	b := l.change(n)
	switch {
	case b != nil:
		return b
	case l.gap > 0:
		return l.mend(n)
	}
	return l.follow(n)
}

// begin hears the present state, up to Ready.
func (l *listener) begin(n notice) *breach {
	switch n.kind {
	case isPresent:
		l.view[n.of], l.roles[n.of] = n.value, n.role
		return l.checkLeads()
	case isReady:
		l.ready, l.rev = true, n.rev
		if there := l.past.present(n.rev); !maps.Equal(l.view, there) {
			return breaks(presentFirst, "%s", difference(l.view, there))
		}
		return nil
	}
	return breaks(presentFirst, "it was not ready yet")
}

// lose hears of a gap.
func (l *listener) lose(n notice) *breach {
	if b := l.mended(); b != nil {
		return b
	}
	missing := slices.Concat(l.now, l.past.between(l.rev, n.since))
	switch {
	case n.since < l.rev || n.rev < n.since:
		return breaks(forward, "the gap is from %d, and all up to %d was told", n.since, l.rev)
	case len(missing) > 0 && missing[0].rev <= n.since:
		return breaks(noneLost, "the gap is from %d; before it was %s", n.since, missing[0].tell())
	}
	l.gap, l.now = n.rev, nil
	return nil
}

// change takes a change into the view.
func (l *listener) change(n notice) *breach {
	was, known := l.view[n.of]
	coming, changing := slices.Contains(comes, n.kind), slices.Contains(changes, n.kind)
	switch {
	case coming == known:
		return breaks(comingAndGoing, "%s was there", show(was))
	case n.old != was:
		return breaks(oldAsTold, "%s was told before", show(was))
	case known && n.oldRole != l.roles[n.of]:
		return breaks(oldAsTold, "its role was told to be %s", show(l.roles[n.of]))
	case (coming || changing) != (n.value != ""):
		return breaks(noneInvented, "it is no such change")
	case changing && n.value == n.old && n.role == n.oldRole:
		return breaks(noneInvented, "nothing has changed")
	}
	if n.value == "" {
		delete(l.view, n.of)
		delete(l.roles, n.of)
		return nil
	}
	l.view[n.of], l.roles[n.of] = n.value, n.role
	return l.checkLeads()
}

func (l *listener) checkLeads() *breach {
	var all []string
	for of, role := range l.roles {
		if role == leads {
			all = append(all, of.node)
		}
	}
	if len(all) > 1 {
		return breaks(oneLeads, "leaders are %q", all)
	}
	return nil
}

// mend hears what a gap comes to.
func (l *listener) mend(n notice) *breach {
	v := l.past.at(n.of, l.gap)
	switch {
	case n.value != "" && (v.value != n.value || v.rev != n.rev):
		return breaks(gapMended, "at revision %d it was %s", l.gap, v.tell())
	case n.value == "" && v.value == n.old:
		return breaks(gapMended, "at revision %d it was still there", l.gap)
	}
	return nil
}

// mended ends a gap, once something later is told.
func (l *listener) mended() *breach {
	if l.gap == 0 {
		return nil
	}
	if there := l.past.present(l.gap); !maps.Equal(l.view, there) {
		return breaks(gapMended, "at the end of the gap, at revision %d: %s", l.gap, difference(l.view, there))
	}
	l.rev, l.gap = l.gap, 0
	return nil
}

// follow compares a change with the next one of the past. Those of one revision may come
// in any order.
func (l *listener) follow(n notice) *breach {
	if len(l.now) == 0 {
		if next := l.past.between(l.rev, n.rev); len(next) > 0 {
			l.rev = next[0].rev
			l.now = slices.DeleteFunc(next, func(v version) bool { return v.rev != l.rev })
		}
	}
	switch {
	case len(l.now) > 0 && l.now[0].rev < n.rev:
		return breaks(noneLost, "before it was %s", l.now[0].tell())
	case n.rev < l.rev:
		return breaks(forward, "all up to %d was told", l.rev)
	}
	i := slices.IndexFunc(l.now, func(v version) bool { return v.of == n.of && v.value == n.value })
	if i < 0 {
		return breaks(noneInvented, "it was %s", l.past.at(n.of, n.rev).tell())
	}
	v := l.now[i]
	l.now = slices.Delete(l.now, i, i+1)
	switch {
	case n.kind == isGone, n.kind == hasLeft && !v.leaving, n.kind == expired && v.leaving:
		return breaks(asItWent, "that it leaves its record said: %v", v.leaving)
	}
	return nil
}

func (v version) tell() string {
	return fmt.Sprintf("%v, %s since revision %d", v.of, show(v.value), v.rev)
}

// difference is one entry in which two views differ.
func difference(told, there map[entry]string) string {
	var found []string
	for of, value := range told {
		if there[of] != value {
			found = append(found, fmt.Sprintf("%v is told to be %s, and is %s", of, show(value), show(there[of])))
		}
	}
	for of, value := range there {
		if _, ok := told[of]; !ok {
			found = append(found, fmt.Sprintf("%v is %s, and was not told", of, show(value)))
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return "nothing"
	}
	return found[0]
}
