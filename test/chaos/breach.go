//go:build unix

package main

import (
	"cmp"
	"fmt"
	"slices"
)

// rule is one that what nodes publish and what watches tell must keep; see docs/testing.md.
type rule string

// Those of what is in etcd.
const (
	// ofItsNode: a value that is there was put, by the node whose it is.
	ofItsNode rule = "nothing is there that its node has not put"
	// inOrder: values follow each other as they were put, and none comes back after what
	// the node has said later.
	inOrder rule = "nothing older comes back"
	// withItsNode: state is there only while its node's record is, and goes in the same commit.
	withItsNode rule = "state goes with its node, in one commit"
	// atItsWord: a value goes by itself only if its node has deleted it.
	atItsWord rule = "nothing goes by itself that its node has not deleted"
	// asAcknowledged: what was acknowledged was there.
	asAcknowledged rule = "what was acknowledged was there"
	// asRead: after an acknowledgement nothing but that can be read.
	asRead rule = "what is read was said last"
	// lastWord: when all is quiet, what every node has said last is there.
	lastWord rule = "the last word is there"
)

// Those of what a watch tells.
const (
	// presentFirst: a watch begins with all that is there at the revision of Ready.
	presentFirst rule = "the present state comes first"
	// noneInvented: whatever is told was so, at that revision.
	noneInvented rule = "no event is invented"
	// noneLost: all that was so is told, unless a gap says that it may not be.
	noneLost rule = "no event is lost"
	// forward: revisions do not go back.
	forward rule = "revisions do not go back"
	// oldAsTold: what was there before an event is what the watch has told before.
	oldAsTold rule = "old is what was told before"
	// comingAndGoing: who joins was not there, and who leaves, changes, or has expired, was.
	comingAndGoing rule = "who is there cannot come, nor who is not go"
	// asItWent: a node has left if it said so, and expired otherwise.
	asItWent rule = "leaving is no expiry"
	// gapMended: what follows a gap comes to what is there at its end.
	gapMended rule = "after a gap comes the difference"
	// oneLeads: no watch tells of two leaders at once.
	oneLeads rule = "one leads"
	// errorLast: a watch ends with an error, and nothing comes after it.
	errorLast rule = "a watch ends with an error"
	// viewsEqual: when all is quiet, what a watch has told comes to what is there.
	viewsEqual rule = "views equal the store's"
)

// breach is a rule that was broken.
type breach struct {
	rule rule
	who  string
	text string
}

func breaks(r rule, format string, args ...any) *breach {
	return &breach{rule: r, text: fmt.Sprintf(format, args...)}
}

func (b *breach) Error() string { return fmt.Sprintf("%s: %s: %s", b.rule, b.who, b.text) }

// sorted are breaches in an order that does not change, without more than a few.
func sorted(found []*breach) (errs []error) {
	slices.SortFunc(found, func(x, y *breach) int { return cmp.Compare(x.Error(), y.Error()) })
	for i, b := range found {
		if i == 8 {
			return append(errs, fmt.Errorf("and %d more like these", len(found)-i))
		}
		errs = append(errs, b)
	}
	return errs
}
