//go:build unix

package main

import (
	"maps"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// turns takes what a node says of its lives.
func (a *account) turns(member string, r report) {
	switch r.What {
	case up:
		a.counts["starts of nodes"]++
		a.lives[member], a.away[member] = r.Life, false
	case down:
		delete(a.lives, member)
	case lost:
		a.counts["nodes lost"]++
		a.away[member] = true
	case rejoined:
		a.counts["rejoined"]++
		a.away[member] = false
	case quiet:
		a.quiet[member] = true
	}
}

// isThere reports whether a node has started, and has not said that others may not see it.
func (a *account) isThere(member string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lives[member] > 0 && !a.away[member]
}

func (a *account) isQuiet(member string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quiet[member]
}

// checkFleet judges what nodes have published, and what watches have told, up to a
// revision that etcd's history has reached. What was acknowledged before a moment is older
// than the revision.
func (a *account) checkFleet(moment int64, upTo store.Revision, finished bool) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return sorted(append(a.checkWords(moment, upTo), a.checkWatches(upTo, finished)...))
}

// compare judges what is there while all is quiet.
func (a *account) compare(state, nodes, roles map[entry]string) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := append(a.checkLastWords(state), a.checkViews(state, nodes, roles)...)
	for what, differ := range map[string][2]map[entry]string{
		"GetAllPrefix": {state, a.state.present(forever)}, "Nodes": {nodes, a.nodes.present(forever)},
	} {
		if !maps.Equal(differ[0], differ[1]) {
			found = append(found, &breach{viewsEqual, what, difference(differ[0], differ[1])})
		}
	}
	return sorted(found)
}

// nodeOf is the worker that a member is, whose node stands in the fleet's election.
func nodeOf(member string) string { return strings.TrimPrefix(member, fleet+"/") }

// robbery is the deletion of a node's record by a third party, and of nothing else.
type robbery struct {
	node    string
	written store.Revision // the record, last
}

// robs takes note that a third party is about to delete a record.
func (a *account) robs(node string, written store.Revision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.robbed[robbery{node, written}] = true
}

// wasRobbed reports whether that was what deleted a record. Its state goes later, if the
// node dies before it has written the record again. mu is held.
func (a *account) wasRobbed(deleted version) bool {
	return a.robbed[robbery{deleted.of.node, a.nodes.at(deleted.of, deleted.rev-1).rev}]
}
