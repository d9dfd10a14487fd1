//go:build unix

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Where the fleet's records and state lie.
const (
	fleetNodes = "clusters/" + fleet + "/nodes/"
	fleetState = "clusters/" + fleet + "/state/"
)

// entry is what a watch tells of: a key of a node, or, where that is empty, its record.
type entry struct{ node, key string }

func (e entry) String() string {
	if e.key == "" {
		return "the record of " + e.node
	}
	return fmt.Sprintf("%q of %s", e.key, e.node)
}

// version is what became of an entry at a revision.
type version struct {
	rev   store.Revision
	of    entry
	value string // none: it was deleted
	// leaving: the record said so, when it was there last.
	leaving bool
	// news: its value is not what it was.
	news bool
}

func (v version) there() bool { return v.value != "" }

// past is what etcd's own history says of many entries. It is the truth.
type past struct {
	all []version // in order
	of  map[entry][]version
}

func newPast() *past { return &past{of: map[entry][]version{}} }

func (p *past) add(v version) {
	before := p.at(v.of, v.rev)
	v.news = v.value != before.value
	if v.leaving = v.leaving || !v.there() && before.leaving; !v.news && !v.there() {
		return // nothing was deleted
	}
	p.all = append(p.all, v)
	p.of[v.of] = append(p.of[v.of], v)
}

// at is what was there of an entry at a revision.
func (p *past) at(of entry, rev store.Revision) version {
	all := p.of[of]
	if i := after(all, rev); i > 0 {
		return all[i-1]
	}
	return version{of: of}
}

// present is all that was there at a revision.
func (p *past) present(rev store.Revision) map[entry]string {
	there := map[entry]string{}
	for of := range p.of {
		if v := p.at(of, rev); v.there() {
			there[of] = v.value
		}
	}
	return there
}

// between is what was new after a revision, up to another.
func (p *past) between(from, to store.Revision) []version {
	if from >= to {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.all[after(p.all, from):after(p.all, to)]), func(v version) bool { return !v.news })
}

// after is the place of the first version after a revision.
func after(all []version, rev store.Revision) int {
	i, _ := slices.BinarySearchFunc(all, rev+1, func(v version, rev store.Revision) int { return cmp.Compare(v.rev, rev) })
	return i
}

// sees takes what etcd says of a key of the fleet: value is nil where it was deleted.
func (a *account) sees(key string, value []byte, rev store.Revision) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name, ok := strings.CutPrefix(key, fleetState); ok {
		name, node, _ := strings.Cut(name, "/")
		a.state.add(version{rev: rev, of: entry{protocol.Unescape(node), protocol.Unescape(name)}, value: string(value)})
		return nil
	}
	node, ok := strings.CutPrefix(key, fleetNodes)
	if !ok {
		return nil
	}
	v := version{rev: rev, of: entry{node: protocol.Unescape(node)}}
	if value != nil {
		var r struct {
			Incarnation string            `json:"incarnation"`
			Tags        map[string]string `json:"tags"`
			Leaving     bool              `json:"leaving"`
		}
		if err := json.Unmarshal(value, &r); err != nil {
			return err
		}
		v.value, v.leaving = self(r.Incarnation, r.Tags), r.Leaving
	}
	a.nodes.add(v)
	return nil
}

func show(value string) string {
	if value == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", value)
}
