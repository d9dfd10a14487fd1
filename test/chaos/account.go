//go:build unix

package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// account is all that was told, by workers and by etcd.
type account struct {
	mu       sync.Mutex
	events   []tenuretest.Event // of workers, and faults
	etcd     []tenuretest.Event
	freed    map[store.Revision]bool // seats that transactions of members have freed
	terms    map[term]*life
	written  map[write]bool
	refused  map[write]bool
	taken    []taking
	harried  bool // third parties have written to the election prey
	problems []error
	counts   map[string]int

	// Of the fleet.
	state, nodes *past               // what etcd says
	words        map[voice][]word    // what nodes publish, in the order of their calls
	watches      map[string][]*watch // of each node
	robbed       map[robbery]bool
	lives        map[string]int  // those that run
	away, quiet  map[string]bool // the nodes that others may not see, and that publish nothing any more
}

type term struct {
	election, member string
	token            tenure.Token
}

// write is one guarded write; no other has its number.
type write struct {
	term
	n int
}

// life is what is known of a term. Yes is the place of the last Held but the first,
// which stands for all in between.
type life struct {
	elected, ended, working bool
	first, last             int64 // that it was held
	yes                     int
	no                      bool
}

// taking is a term whose seat a third party took away, before a moment.
type taking struct {
	term
	before int64
}

func newAccount() *account {
	return &account{
		freed: map[store.Revision]bool{}, terms: map[term]*life{}, written: map[write]bool{}, refused: map[write]bool{},
		counts: map[string]int{},
		state:  newPast(), nodes: newPast(), words: map[voice][]word{}, watches: map[string][]*watch{},
		robbed: map[robbery]bool{}, lives: map[string]int{}, away: map[string]bool{}, quiet: map[string]bool{},
	}
}

// tell takes a report of a worker.
func (a *account) tell(member string, r report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.What {
	case freed:
		a.freed[r.Revision] = true
	case compacted:
		a.counts["watches compacted"]++
	case refused:
		a.counts["writes refused"]++
		a.refused[write{term{r.Election, member, r.Token}, r.N}] = true
	case up, down, lost, rejoined, quiet:
		a.turns(member, r)
	case attempted, acknowledged, readBack:
		a.says(member, r)
	case toldState, toldNodes, watchEnded:
		a.hears(member, r)
	case problem:
		a.problems = append(a.problems, fmt.Errorf("%s: %s (%s): %s", member, r.Text, r.Election, r.Err))
	default:
		if e, ok := r.event(member); ok {
			a.take(e)
		}
	}
}

// take takes an event. Of the answers of Held only what matters is kept.
func (a *account) take(e tenuretest.Event) {
	switch e.Kind {
	case tenuretest.Elected, tenuretest.Ended, tenuretest.Held, tenuretest.NotHeld, tenuretest.WorkBegan, tenuretest.WorkReturned:
	case tenuretest.Confirmed:
		a.counts["writes confirmed"]++
		a.events = append(a.events, e)
		return
	case tenuretest.ObservedGap:
		a.counts["gaps observed"]++
		fallthrough
	default:
		a.events = append(a.events, e)
		return
	}
	id := term{e.Election, e.Member, e.Token}
	t := a.terms[id]
	if t == nil {
		t = &life{}
		a.terms[id] = t
	}
	switch at := e.At.UnixNano(); e.Kind {
	case tenuretest.Elected:
		t.elected = true
	case tenuretest.Ended:
		t.ended = true
		a.counts["terms"]++
		if errors.Is(e.Err, tenure.ErrLost) {
			a.counts["terms lost"]++
		}
	case tenuretest.WorkBegan:
		t.working = true
	case tenuretest.WorkReturned:
		t.working = false
	case tenuretest.NotHeld:
		t.no = true
	case tenuretest.Held:
		t.last = max(t.last, at)
		if t.first == 0 {
			t.first = at
			break
		}
		if t.yes > 0 {
			if last := &a.events[t.yes]; last.At.Before(e.At) {
				last.At = e.At
			}
			return
		}
		t.yes = len(a.events)
	}
	a.events = append(a.events, e)
}

// record takes an event of the campaign itself.
func (a *account) record(e tenuretest.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.At = moment(clock())
	a.take(e)
}

// died takes note of a worker that was killed. Nobody tells how its terms end, so
// this does: they were lost, with all that worked in them.
func (a *account) died(member string, elections []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := tenuretest.Event{At: moment(clock()), Member: member, Err: told{"killed", true}}
	for id, t := range a.terms {
		if id.member != member || t.ended {
			continue
		}
		e.Election, e.Token = id.election, id.token
		if !t.elected {
			e.Kind = tenuretest.Elected
			a.take(e)
		}
		if t.working {
			e.Kind = tenuretest.WorkReturned
			a.take(e)
		}
		e.Kind = tenuretest.Ended
		a.take(e)
	}
	for _, w := range a.watches[member] {
		w.killed = w.killed || !w.ended
	}
	delete(a.lives, member)
	for _, election := range elections {
		a.take(tenuretest.Event{At: e.At, Kind: tenuretest.Unwanted, Member: member, Election: election})
	}
}

// seat takes what etcd says of a seat.
func (a *account) seat(e tenuretest.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.At = moment(clock())
	a.etcd = append(a.etcd, e)
}

// wrote takes a guarded write that has taken effect.
func (a *account) wrote(w record, rev store.Revision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts["writes"]++
	a.written[write{term{w.Election, w.Member, w.Token}, w.N}] = true
	a.etcd = append(a.etcd, tenuretest.Event{
		At: moment(clock()), Kind: tenuretest.Wrote, Member: w.Member, Election: w.Election, Token: w.Token, Revision: rev,
	})
}

// harry takes note that a third party is about to write to the election prey.
func (a *account) harry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.harried = true
}

// took takes note that a third party has taken a seat away.
func (a *account) took(t term) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = append(a.taken, taking{t, clock()})
}

// fresh is how old an answer of Held may be that says who is in office. It is also
// that of a worker which is very slow.
const fresh = 500 * time.Millisecond

// inOffice returns the terms whose holders have said so last, and a moment ago.
func (a *account) inOffice() []term {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := clock() - int64(fresh)
	var all []term
	for id, t := range a.terms {
		if t.last > since && !t.no && !t.ended {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(x, y term) int {
		return cmp.Or(cmp.Compare(x.election, y.election), cmp.Compare(y.token, x.token))
	})
	return all
}

// allLed reports whether somebody is in office in each of the elections, and has said so
// since a moment.
func (a *account) allLed(since int64, elections []string) bool {
	terms := a.inOffice()
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(elections, func(election string) bool {
		return !slices.ContainsFunc(terms, func(t term) bool { return t.election == election && a.terms[t].last > since })
	})
}

// newest returns the highest tokens of all seats, by election.
func (a *account) newest() map[string]tenure.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	tokens := map[string]tenure.Token{}
	for _, e := range a.etcd {
		if e.Kind == tenuretest.SeatTaken {
			tokens[e.Election] = max(tokens[e.Election], e.Token)
		}
	}
	return tokens
}

// hasObserved reports whether a member was told of a token, or of a newer one.
func (a *account) hasObserved(member, election string, token tenure.Token) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range slices.Backward(a.events) {
		if e.Kind == tenuretest.ObservedLeader && e.Member == member && e.Election == election {
			return e.Token >= token
		}
	}
	return false
}

// problem is what must not be, so far.
func (a *account) problem() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(a.problems...)
}

// count returns one of the counts.
func (a *account) count(what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[what]
}
