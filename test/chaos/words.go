//go:build unix

package main

import (
	"fmt"
	"slices"

	"github.com/tenure-go/tenure/store"
)

// voice is whoever puts and deletes one key: nobody else does in that life of its node.
type voice struct {
	entry
	life int
}

// word is one Put or Delete, and what was read after it.
type word struct {
	at           int64
	value        string // none: a Delete
	acknowledged int64  // when it had returned nil; 0: it has not, as far as is known
	read         *string
	readAt       int64
}

// says takes what a node tells of what it publishes.
func (a *account) says(member string, r report) {
	v := voice{entry{member, r.Key}, r.Life}
	said := a.words[v]
	switch {
	case r.What == attempted && r.N == len(said)+1:
		a.words[v] = append(said, word{at: r.At, value: r.Value})
		a.counts["puts and deletes"]++
	case r.N < 1 || r.N > len(said):
		a.problems = append(a.problems, fmt.Errorf("%s: %s %d of %q in life %d, after %d words", member, r.What, r.N, r.Key, r.Life, len(said)))
	case r.What == acknowledged:
		said[r.N-1].acknowledged = r.At
		a.counts["acknowledged"]++
	case r.What == readBack:
		said[r.N-1].read, said[r.N-1].readAt = &r.Value, r.At
	}
}

// checkWords judges what etcd says up to a revision by what the nodes have said. What was
// acknowledged before a moment lies before the revision. mu is held.
func (a *account) checkWords(moment int64, upTo store.Revision) (found []*breach) {
	for of, versions := range a.state.of {
		if b := a.checkEntry(versions[:after(versions, upTo)]); b != nil {
			b.who = of.String()
			found = append(found, b)
		}
	}
	for node, versions := range a.nodes.of {
		if b := a.checkGoing(node.node, versions[:after(versions, upTo)]); b != nil {
			b.who = node.node
			found = append(found, b)
		}
	}
	for v, said := range a.words {
		if b := a.checkVoice(v, said, moment, upTo); b != nil {
			b.who = fmt.Sprintf("%v, life %d", v.entry, v.life)
			found = append(found, b)
		}
	}
	return found
}

// checkEntry judges the versions of one entry.
func (a *account) checkEntry(versions []version) *breach {
	var life, least int // of values from now on
	for i, v := range versions {
		if v.there() {
			l, n, ok := a.wordOf(v)
			switch {
			case !ok:
				return breaks(ofItsNode, "%q at revision %d", v.value, v.rev)
			case l < life || l == life && n < least:
				return breaks(inOrder, "%q at revision %d; in life %d nothing can come before word %d", v.value, v.rev, life, least)
			case !a.nodes.at(entry{node: v.of.node}, v.rev).there():
				return breaks(withItsNode, "%q at revision %d, at which the node has no record", v.value, v.rev)
			}
			life, least = l, n
			continue
		}
		record := a.nodes.at(entry{node: v.of.node}, v.rev)
		if !record.there() && (record.rev == v.rev || a.wasRobbed(record)) {
			continue // it may come again with the node
		}
		said := a.words[voice{v.of, life}]
		next := slices.IndexFunc(said[least:], func(w word) bool { return w.value == "" })
		if next < 0 {
			return breaks(atItsWord, "%q is gone at revision %d; there was %s", versions[i-1].value, v.rev, record.tell())
		}
		least += next + 1
	}
	return nil
}

// wordOf finds the Put that a version comes from.
func (a *account) wordOf(v version) (life, n int, ok bool) {
	if _, err := fmt.Sscanf(v.value, "%d.%d", &life, &n); err != nil || n < 1 {
		return 0, 0, false
	}
	said := a.words[voice{v.of, life}]
	return life, n, n <= len(said) && said[n-1].value == v.value
}

// checkGoing judges the ends of a record.
func (a *account) checkGoing(node string, versions []version) *breach {
	for _, v := range versions {
		if v.there() || a.wasRobbed(v) {
			continue
		}
		for _, key := range keys {
			if s := a.state.at(entry{node, key}, v.rev); s.there() {
				return breaks(withItsNode, "the record is gone at revision %d, and %q is still %q", v.rev, key, s.value)
			}
		}
	}
	return nil
}

// checkVoice judges what was acknowledged and read.
func (a *account) checkVoice(v voice, said []word, moment int64, upTo store.Revision) *breach {
	versions := a.state.of[v.entry]
	versions = versions[:after(versions, upTo)]
	for i, w := range said {
		if w.acknowledged == 0 || w.acknowledged > moment {
			continue
		}
		if w.read != nil && w.readAt <= moment && *w.read != w.value && (*w.read != "" || !a.wasAway(w.value, versions)) {
			return breaks(asRead, "%s was read after word %d, which was %s", show(*w.read), i+1, show(w.value))
		}
		if w.value != "" {
			if !slices.ContainsFunc(versions, func(x version) bool { return x.value == w.value }) {
				return breaks(asAcknowledged, "%q never was there", w.value)
			}
			continue
		}
		// Whatever was put before must have gone at once.
		for j, x := range slices.Backward(versions) {
			life, n, ok := a.wordOf(x)
			if !x.there() || !ok || life != v.life || n > i {
				continue
			}
			if j+1 == len(versions) || versions[j+1].there() {
				return breaks(asAcknowledged, "%q was still there after word %d, a Delete", x.value, i+1)
			}
			break
		}
	}
	return nil
}

// wasAway reports whether the node was while a value of its was to be there, among the
// versions of an entry.
func (a *account) wasAway(value string, versions []version) bool {
	i := slices.IndexFunc(versions, func(v version) bool { return v.value == value })
	if i < 0 {
		return false
	}
	from, to := versions[i], forever
	if later := slices.IndexFunc(versions[i:], func(v version) bool { return v.there() && v.value != value }); later > 0 {
		to = versions[i+later].rev
	}
	return slices.ContainsFunc(a.nodes.of[entry{node: from.of.node}], func(v version) bool {
		return !v.there() && v.rev > from.rev && v.rev <= to
	})
}

// checkLastWords judges what is there when all is quiet: what all nodes have said last.
// mu is held.
func (a *account) checkLastWords(there map[entry]string) (found []*breach) {
	for node, life := range a.lives {
		for _, key := range keys {
			of := entry{node, key}
			last := ""
			if said := a.words[voice{of, life}]; len(said) > 0 {
				last = said[len(said)-1].value
			}
			if there[of] != last {
				found = append(found, &breach{lastWord, of.String(), fmt.Sprintf("%s is there, and %s was said last", show(there[of]), show(last))})
			}
		}
	}
	return found
}
