package tenuretest

import (
	"fmt"
	"slices"
)

func checkObservers(r *reading, _ Expect) *finding {
	type id struct{ observer, election string }
	told := map[id][]int{}
	for i, e := range r.events {
		switch e.Kind {
		case Observing, ObservedLeader, ObservedNone, ObservedGap:
			told[id{e.Member, e.Election}] = append(told[id{e.Member, e.Election}], i)
		}
	}
	var first *finding
	for _, places := range told {
		if f := r.follow(places); f != nil && (first == nil || f.at < first.at) {
			first = f
		}
	}
	return first
}

// follow takes one observer along the history of a seat, which begins with
// nobody's.
func (r *reading) follow(places []int) *finding {
	election := r.events[places[0]].Election
	seats := r.seats[election]
	if len(seats) == 0 {
		return r.followBlind(places)
	}
	seats = append([]seat{{at: never}}, seats...)
	pos, free := 0, true // of what the observer was told last; free: it may have jumped to it
	for n, i := range places {
		e := r.events[i]
		switch e.Kind {
		case Observing: // also anew, after an earlier one has stopped
			for at, s := range seats {
				if s.at < i {
					pos = at
				}
			}
			free = true
			continue
		case ObservedGap:
			pos, free = max(pos, seatIndex(seats, e)), true
			continue
		}
		next := seatIndex(seats, e)
		if problem := r.step(seats, pos, next, free, e); problem != "" {
			f := &finding{rule: ObserversAgree, at: i, election: election, text: fmt.Sprintf("%s %s, %s", e.Member, e, problem)}
			if n > 0 {
				f.also = append(f.also, places[n-1])
			}
			return f
		}
		pos, free = next, false
	}
	return nil
}

// seatIndex returns which of the seats was the present one at the event's
// revision, or its token if that is what it tells of.
func seatIndex(seats []seat, e Event) int {
	if e.Kind == ObservedLeader {
		return slices.IndexFunc(seats, func(s seat) bool { return s.token == e.Token })
	}
	present := 0
	for at, s := range seats {
		if s.rev <= e.Revision {
			present = at
		}
	}
	return present
}

// step says what is wrong with being told of seats[next] after seats[pos].
func (r *reading) step(seats []seat, pos, next int, free bool, e Event) string {
	switch {
	case next == never:
		return "and no seat ever had that token"
	case e.Kind == ObservedLeader && e.Text != seats[next].member:
		return fmt.Sprintf("and that token is %s's", seats[next].member)
	case e.Kind == ObservedNone && seats[next].token != 0:
		return fmt.Sprintf("and the seat was %s's then, with token %d", seats[next].member, seats[next].token)
	case next < pos:
		return "which is older than what was known to it"
	case free:
		return ""
	case next == pos:
		return "for the second time"
	case next > pos+1:
		missed := seats[pos+1]
		if missed.token == 0 {
			return fmt.Sprintf("and was not told before that the seat was nobody's since revision %d", missed.rev)
		}
		return fmt.Sprintf("and was not told before of %s, token %d", missed.member, missed.token)
	}
	return ""
}

// followBlind is follow where the history of the seat was not recorded.
func (r *reading) followBlind(places []int) *finding {
	last := never
	for _, i := range places {
		e := r.events[i]
		if e.Kind == Observing {
			last = never
		}
		if e.Kind != ObservedLeader {
			continue
		}
		if last != never && e.Token <= r.events[last].Token {
			return &finding{
				rule: ObserversAgree, at: i, election: e.Election, also: []int{last},
				text: fmt.Sprintf("%s %s, after token %d", e.Member, e, r.events[last].Token),
			}
		}
		last = i
	}
	return nil
}
