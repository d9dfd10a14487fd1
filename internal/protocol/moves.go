package protocol

import "github.com/tenure-go/tenure/store"

// The transactions of the protocol: what each move requires and what it writes.

// candidateAsKnown is the guard of P3.
func (s *Session) candidateAsKnown(e *election) store.Cond {
	key := CandidateKey(e.name, s.cfg.Session)
	if e.cand.rev == 0 {
		return store.Absent(key)
	}
	return store.ModifiedAt(key, e.cand.rev)
}

func (s *Session) seatRecord() Seat {
	return Seat{Format: format, Session: s.cfg.Session, Member: s.cfg.Member, Endpoint: s.cfg.Endpoint, TTL: s.cfg.TTL}
}

func (s *Session) putCandidate(e *election, state CandidateState) store.Op {
	record := Candidate{Seat: s.seatRecord(), Priority: e.priority, State: state}
	return store.Put(CandidateKey(e.name, s.cfg.Session), Encode(record), s.cfg.Lease)
}

func (s *Session) enrolTx(e *election) store.Tx {
	return store.Tx{
		If:   []store.Cond{s.candidateAsKnown(e)},
		Then: []store.Op{s.putCandidate(e, Waiting)},
	}
}

func (s *Session) takeTx(e *election) store.Tx {
	seat := Encode(s.seatRecord())
	return store.Tx{
		If: []store.Cond{store.Absent(SeatKey(e.name)), s.candidateAsKnown(e)},
		Then: []store.Op{
			store.Put(SeatKey(e.name), seat, s.cfg.Lease),
			store.Put(TermKey(s.cfg.Session, e.name), seat, s.cfg.Lease),
			s.putCandidate(e, Leading),
		},
	}
}

// handOverTx seats the successor on the successor's own lease.
func (s *Session) handOverTx(e *election, to rival) store.Tx {
	seat := Encode(to.record.Seat)
	offered := to.record
	offered.State = Offered
	return store.Tx{
		If: []store.Cond{
			store.ModifiedAt(SeatKey(e.name), e.seat.token),
			store.ModifiedAt(to.key, to.modified),
		},
		Then: []store.Op{
			store.Put(SeatKey(e.name), seat, to.lease),
			store.Put(TermKey(to.record.Session, e.name), seat, to.lease),
			store.Put(to.key, Encode(offered), to.lease),
			store.Delete(TermKey(s.cfg.Session, e.name)),
			s.leaveOp(e),
		},
	}
}

func (s *Session) releaseTx(e *election) store.Tx {
	return store.Tx{
		If: []store.Cond{store.ModifiedAt(SeatKey(e.name), e.seat.token)},
		Then: []store.Op{
			store.Delete(SeatKey(e.name)),
			store.Delete(TermKey(s.cfg.Session, e.name)),
			s.leaveOp(e),
		},
	}
}

func (s *Session) withdrawTx(e *election) store.Tx {
	return store.Tx{
		If:   []store.Cond{s.candidateAsKnown(e)},
		Then: []store.Op{s.leaveOp(e)},
	}
}

// leaveOp is what becomes of our candidate key when we give up a seat or a
// place in line.
func (s *Session) leaveOp(e *election) store.Op {
	if state := s.leaving(e); state != "" {
		return s.putCandidate(e, state)
	}
	return store.Delete(CandidateKey(e.name, s.cfg.Session))
}

// leaving returns what leaveOp writes; "": it deletes. While a request guarded
// by the key's absence is unresolved the key must not become absent again (P3):
// a mark stays, and dies with the session.
func (s *Session) leaving(e *election) CandidateState {
	switch {
	case e.wanted:
		return Waiting
	case s.unsettled[e.name] > 0:
		return Withdrawn
	default:
		return ""
	}
}
