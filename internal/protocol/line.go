package protocol

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// The line: who waits for the seat of an election, and our place among them.

// rival is another candidate that waits.
type rival struct {
	key      string
	modified store.Revision
	lease    store.LeaseID
	record   Candidate
}

// witness is somebody half-way between us and the head of the line. While he
// waits, we are not first, and need not watch the seat.
type witness struct {
	key       string // empty: nobody, yet
	modified  store.Revision
	askedFrom uint64 // since this round
}

// readQueue takes the others in line from a look. A candidate that cannot be read
// is not eligible, and neither is one whose member is drained and has not noticed yet.
func (s *Session) readQueue(e *election, l *store.Listing) {
	own, all := CandidateKey(e.name, s.cfg.Session), CandidatesOf(e.name)
	e.queue, e.asides = e.queue[:0], e.asides[:0]
	for _, entry := range l.Entries {
		if entry.Key != own && strings.HasPrefix(entry.Key, all) {
			e.enqueue(entry)
		}
	}
	drained := func(r rival) bool { return l.Entry(DrainKey(r.record.Member)) != nil }
	e.queue = slices.DeleteFunc(e.queue, drained)
	e.asides = slices.DeleteFunc(e.asides, drained)
	e.sortQueue()
}

// enqueue takes in a candidate that waits, or that may be named. One whose record is not
// of its key's session could be given no seat.
func (e *election) enqueue(entry store.Entry) {
	record, err := DecodeCandidate(entry.Value)
	if err != nil || entry.Key != CandidateKey(e.name, record.Session) {
		return
	}
	r := rival{entry.Key, entry.Modified, entry.Lease, record}
	switch record.State {
	case Waiting:
		e.queue = append(e.queue, r)
	case Aside:
		e.asides = append(e.asides, r)
	}
}

func (e *election) unqueue(key string) {
	same := func(r rival) bool { return r.key == key }
	e.queue = slices.DeleteFunc(e.queue, same)
	e.asides = slices.DeleteFunc(e.asides, same)
}

// nominate notes who is to have the seat; "": nobody has been named. Whoever named it has
// seen it in line, which the watch of the line may not have shown yet.
func (e *election) nominate(member string) {
	e.to = member
	if _, seen := e.nominee(); member != "" && !seen {
		e.known = false // takes a look
	}
}

// nominee is the member that was named, where the line has it.
func (e *election) nominee() (rival, bool) {
	isNamed := func(r rival) bool { return r.record.Member == e.to }
	for _, line := range [][]rival{e.queue, e.asides} {
		if i := slices.IndexFunc(line, isNamed); i >= 0 && e.to != "" {
			return line[i], true
		}
	}
	return rival{}, false
}

// successor is who is to have the seat: the member that was named, if it may still
// be, or else the first in line.
func (e *election) successor() (to rival, named, ok bool) {
	if to, ok := e.nominee(); ok {
		return to, true, true
	}
	if len(e.queue) == 0 {
		return rival{}, false, false
	}
	return e.queue[0], false, true
}

func (e *election) sortQueue() {
	slices.SortFunc(e.queue, func(a, b rival) int {
		return cmp.Or(cmp.Compare(b.record.Priority, a.record.Priority), cmp.Compare(a.modified, b.modified))
	})
}

// ahead counts those who go before us: a higher priority, or the same and a
// longer wait.
func (e *election) ahead() int {
	n := 0
	for _, r := range e.queue {
		longer := e.cand.state != Waiting || r.modified < e.cand.rev
		if r.record.Priority > e.priority || (r.record.Priority == e.priority && longer) {
			n++
		}
	}
	return n
}

// watchLine begins to follow the line for a term that lasts, so that the seat can be
// passed on at its end without a look first.
func (s *Session) watchLine(e *election) {
	if e.lined || s.lines == maxLines {
		return
	}
	s.lines++
	e.lined, e.line = true, 0
	s.do(WatchLine{Election: e.name, Token: e.token, On: true})
}

// unwatchLine keeps the queue as it is, for what follows.
func (s *Session) unwatchLine(e *election) {
	if e.lined {
		s.lines--
		e.lined = false
		s.do(WatchLine{Election: e.name, Token: e.token})
	}
}

// lined takes what the watch of the line has shown. What is newer by a look stays.
func (s *Session) lined(now Instant, e *election, ev Lined) {
	if !e.lined || e.token != ev.Token {
		return
	}
	own := CandidateKey(e.name, s.cfg.Session)
	fresh := e.line == 0 // the whole line: nothing of it is in the queue yet
	for _, change := range ev.Batch.Events {
		entry := change.Entry
		if entry.Modified <= e.line || entry.Key == own {
			continue
		}
		if !fresh {
			e.unqueue(entry.Key)
		}
		if !change.Deleted {
			e.enqueue(entry)
		}
	}
	e.line = max(e.line, ev.Batch.Revision)
	e.sortQueue()
	s.yield(now, e)
}

// place notes whether we are among the first in line. They watch the seats; the
// others have somebody to ask after in each round. Were a thousand candidates to
// watch, the event of a hand-over would have to reach them all, and its successor
// as one of them.
func (s *Session) place(now Instant, e *election) {
	if s.standing(now, e) != Waiting {
		s.setFar(e, true) // it has no place
		e.witness = witness{}
		return
	}
	ahead := e.ahead()
	s.setFar(e, ahead >= s.cfg.Near && len(s.order) <= maxFar)
	if e.far {
		w := e.queue[ahead/2]
		e.witness = witness{key: w.key, modified: w.modified}
	}
}

func (s *Session) setFar(e *election, far bool) {
	if far == e.far {
		return
	}
	e.far, e.witness = far, witness{}
	if far {
		s.near--
		return
	}
	s.near++
	if !s.watching {
		s.watching = true
		s.do(WatchSeats{On: true})
	}
}

// lineSeen takes what a round has shown of the line: without our witness, we may
// be among the first.
func (s *Session) lineSeen(now Instant, e *election, round uint64, l *store.Listing) {
	w := e.witness
	if e.phase != outside || !e.far || w.askedFrom == 0 || round < w.askedFrom {
		return
	}
	if entry := l.Entry(w.key); entry == nil || entry.Modified != w.modified {
		e.known, e.witness = false, witness{}
		s.advance(now, e)
	}
}
