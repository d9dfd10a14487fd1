package protocol

import (
	"time"

	"github.com/tenure-go/tenure/store"
)

// The transactions of the protocol: what each move requires and what it writes. With
// a term goes what was announced under it, and what was ordered of it. Whatever seats
// somebody requires that the election is not paused, and that the member is not
// drained.

// candidateAsKnown is the guard of P3.
func (s *Session) candidateAsKnown(e *election) store.Cond {
	key := CandidateKey(e.name, s.cfg.Session)
	if e.cand.rev == 0 {
		return store.Absent(key)
	}
	return store.ModifiedAt(key, e.cand.rev)
}

func (s *Session) seatRecord() Seat {
	return NewSeat(s.cfg.Session, s.cfg.Member, s.cfg.Endpoint, s.cfg.TTL)
}

func (s *Session) putCandidate(e *election, state CandidateState) store.Op {
	record := Candidate{Seat: s.seatRecord(), Priority: e.priority, State: state}
	return store.Put(CandidateKey(e.name, s.cfg.Session), Encode(record), s.cfg.Lease)
}

// enrolTx and withdrawTx delete what may be left of a term that somebody else has
// ended: a mirror without its seat costs a look in every round.
func (s *Session) enrolTx(e *election, as CandidateState) store.Tx {
	return store.Tx{
		If:   []store.Cond{s.candidateAsKnown(e)},
		Then: []store.Op{s.putCandidate(e, as), store.Delete(TermKey(s.cfg.Session, e.name))},
	}
}

// takeTx takes a seat that is free, or a vacancy that is outlived: because the victim
// has gone, which is required, or because of its age.
func (s *Session) takeTx(e *election) store.Tx {
	seat := Encode(s.seatRecord())
	tx := store.Tx{
		If: []store.Cond{
			store.Absent(SeatKey(e.name)),
			s.candidateAsKnown(e),
			store.Absent(PauseKey(e.name)),
			store.Absent(DrainKey(s.cfg.Member)),
		},
		Then: []store.Op{
			store.Put(SeatKey(e.name), seat, s.cfg.Lease),
			store.Put(TermKey(s.cfg.Session, e.name), seat, s.cfg.Lease),
			s.putCandidate(e, Leading),
		},
	}
	if e.seat.holder == vacant {
		tx.If[0] = store.ModifiedAt(SeatKey(e.name), e.vacancy.rev)
		if e.vacancy.gone {
			tx.If = append(tx.If, store.Absent(CandidateKey(e.name, e.vacancy.victim)))
		}
	}
	return tx
}

// handOverTx seats the successor on the successor's own lease.
func (s *Session) handOverTx(e *election, to rival, named bool, leaves CandidateState) store.Tx {
	offered := to.record
	offered.State, offered.Transfer = Offered, named
	seat := Encode(offered.Seat)
	return store.Tx{
		If: []store.Cond{
			store.ModifiedAt(SeatKey(e.name), e.seat.token),
			store.ModifiedAt(to.key, to.modified),
			store.Absent(PauseKey(e.name)),
			store.Absent(DrainKey(to.record.Member)),
		},
		Then: []store.Op{
			store.Put(SeatKey(e.name), seat, to.lease),
			store.Put(TermKey(to.record.Session, e.name), seat, to.lease),
			store.Put(to.key, Encode(offered), to.lease),
			store.Delete(TermKey(s.cfg.Session, e.name)),
			s.leaveOp(e, leaves),
			store.Delete(AnnounceKey(e.name)),
			store.Delete(TransferKey(e.name)),
		},
	}
}

func (s *Session) releaseTx(e *election, leaves CandidateState) store.Tx {
	return store.Tx{
		If: []store.Cond{store.ModifiedAt(SeatKey(e.name), e.seat.token)},
		Then: []store.Op{
			store.Delete(SeatKey(e.name)),
			store.Delete(TermKey(s.cfg.Session, e.name)),
			s.leaveOp(e, leaves),
			store.Delete(AnnounceKey(e.name)),
			store.Delete(TransferKey(e.name)),
		},
	}
}

func (s *Session) withdrawTx(e *election, leaves CandidateState) store.Tx {
	return store.Tx{
		If:   []store.Cond{s.candidateAsKnown(e)},
		Then: []store.Op{s.leaveOp(e, leaves), store.Delete(TermKey(s.cfg.Session, e.name))},
	}
}

// leaveOp is what becomes of our candidate key when we give up a seat or a
// place in line.
func (s *Session) leaveOp(e *election, leaves CandidateState) store.Op {
	if leaves != "" {
		return s.putCandidate(e, leaves)
	}
	return store.Delete(CandidateKey(e.name, s.cfg.Session))
}

// leaving returns what leaveOp writes; "": it deletes. While a request guarded
// by the key's absence is unresolved the key must not become absent again (P3):
// a mark stays, and dies with the session.
func (s *Session) leaving(now Instant, e *election) CandidateState {
	switch {
	case e.wanted:
		return s.standing(now, e)
	case s.unsettled[e.name] > 0:
		return Withdrawn
	default:
		return ""
	}
}

// Depose returns the transaction that forces an election: it puts a vacancy into a
// seat as it was read. longest is the longest TTL that a session can have, for a seat
// that does not say whose it is. The victim's mirror stays: where it has learnt of
// neither its offer nor the vacancy, the mirror is what makes it look.
func Depose(election string, seat *store.Entry, longest time.Duration, order Order) store.Tx {
	victim, err := DecodeSeat(seat.Value)
	if err != nil {
		victim = Seat{Format: format}
	}
	if err != nil || seat.Lease == store.NoLease {
		victim.TTL = longest
	}
	victim.Transfer, victim.Vacancy = false, &Vacancy{Token: seat.Modified, Order: order}
	return store.Tx{
		If: []store.Cond{store.ModifiedAt(seat.Key, seat.Modified)},
		Then: []store.Op{
			store.Put(seat.Key, Encode(victim), store.NoLease),
			store.Delete(AnnounceKey(election)),
			store.Delete(TransferKey(election)),
		},
	}
}

// Transfer returns the transaction that asks the leader, whose seat was read, to hand
// over to a candidate that was read with it.
func Transfer(election string, seat *store.Entry, candidate string, modified store.Revision, to string, order Order) store.Tx {
	c := NewControl(order)
	c.Token, c.To = seat.Modified, to
	return store.Tx{
		If: []store.Cond{
			store.ModifiedAt(seat.Key, seat.Modified),
			store.ModifiedAt(candidate, modified),
		},
		Then: []store.Op{store.Put(TransferKey(election), Encode(c), seat.Lease)},
	}
}
