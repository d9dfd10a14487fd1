package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// What others want of us: pauses, drains and transfers from the keys under
// ControlPrefix, and what our own process says of itself (Campaign.Barred). Each is
// learnt from a watch, from a round that asks for it, or from the look that follows a
// refusal: what may not be is a condition of every transaction that seats somebody.

// standing is what our candidate key has to say while we have no seat.
func (s *Session) standing(now Instant, e *election) CandidateState {
	switch {
	case s.drain != nil:
		return Draining
	case e.barred != nil:
		return Ineligible
	case now.Mono < e.aside:
		return Aside
	default:
		return Waiting
	}
}

// mayLead reports whether we begin a term where the seat is ours. Who stands aside
// does: it was named.
func (s *Session) mayLead(e *election) bool { return e.wanted && e.barred == nil && s.drain == nil }

// reconsider follows a change of what we want, or may.
func (s *Session) reconsider(now Instant, e *election) {
	barred := cmp.Or(s.drain, e.barred)
	switch {
	case e.phase == leading && barred != nil:
		s.resign(now, e, barred, "")
		return
	case e.phase == outside:
		e.due = 0
		if e.open() {
			e.known = false // whose turn it is takes a look
		}
	}
	s.advance(now, e)
}

// ordered takes one key of what operators want; nil: it is not there.
func (s *Session) ordered(now Instant, key string, entry *store.Entry, rev store.Revision) {
	if name, ok := strings.CutPrefix(key, PausePrefix); ok {
		s.with(Unescape(name), func(e *election) {
			if s.pause(e, entry != nil, rev) {
				s.reconsider(now, e)
			}
		})
	} else if name, ok := strings.CutPrefix(key, TransferPrefix); ok && entry != nil {
		s.with(Unescape(name), func(e *election) { s.transfer(now, e, entry) })
	} else if key == DrainKey(s.cfg.Member) {
		s.drainIs(now, entry, rev)
	}
}

// pause notes whether the election is paused, and reports whether that is news.
func (s *Session) pause(e *election, paused bool, rev store.Revision) bool {
	if rev < e.pauseAt {
		return false
	}
	e.pauseAt = rev
	news := e.paused != paused
	e.paused = paused
	if news && paused {
		s.pauses++
	} else if news {
		s.pauses--
	}
	return news
}

// drainIs notes whether we are drained. A key that cannot be read says so, too.
func (s *Session) drainIs(now Instant, entry *store.Entry, rev store.Revision) {
	if rev < s.drainAt {
		return
	}
	s.drainAt = rev
	was := s.drain
	s.drain = nil
	if entry != nil {
		c, _ := DecodeControl(entry.Value)
		s.drain = fmt.Errorf("%w%v", ErrDrained, c.Order)
	}
	if (was == nil) == (s.drain == nil) {
		return
	}
	for _, e := range slices.Backward(s.order) { // to reconsider one may remove it
		s.reconsider(now, e)
	}
}

// transfer takes an order to hand over. One that is meant for another term is void.
func (s *Session) transfer(now Instant, e *election, entry *store.Entry) {
	c, err := DecodeControl(entry.Value)
	if err != nil || e.phase == outside || c.Token != e.token {
		return
	}
	switch {
	case c.To == s.cfg.Member:
	case e.phase == leading:
		s.resign(now, e, fmt.Errorf("%w to %s%v", ErrTransferred, c.To, c.Order), c.To)
	case e.clean && e.to == "":
		e.nominate(c.To)
	}
}

// yield hands the seat to a higher priority once the term has lasted so long. Where
// the line is not watched, a look in each Round shows it.
func (s *Session) yield(now Instant, e *election) {
	if e.phase != leading || e.yields == 0 {
		return
	}
	due := e.begun + int64(e.yields)
	switch {
	case now.Mono < due:
		s.wake(e, due)
	case len(e.queue) > 0 && e.queue[0].record.Priority > e.priority:
		s.resign(now, e, ErrPreempted, "")
	case e.lined:
	case now.Mono < e.lookedAt+int64(s.cfg.Round):
		s.wake(e, e.lookedAt+int64(s.cfg.Round))
	default:
		s.look(now, e)
	}
}
