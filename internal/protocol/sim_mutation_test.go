package protocol_test

import (
	"strings"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// mutation breaks one thing that safety rests on, around the protocol or in the
// store: the checks must catch it. The zero value breaks nothing.
type mutation struct {
	sentAtReply       bool // deadlines count from the reply
	noEvidence        bool // only the session's deadline counts, whatever rounds show
	releaseEarly      bool // a seat is passed on while the user's function still runs
	staleOffers       bool // an old offer is taken for a new one
	endedAgain        bool // a term that was lost is held again when the seat is still at its token
	unguardedWithdraw bool // withdrawals are not conditioned on the candidate key
	unmarkedWithdraw  bool // and delete where a mark is due
	unguardedTake     bool // takes are not conditioned on the seat's absence
	unguardedTakes    bool // nor anything on what operators want
	unguardedDepose   bool // a deposition is not conditioned on the seat
	shortVacancies    bool // vacancies say that the victim's TTL is a third of it
	witnessForEver    bool // rounds show candidates that are gone
	tokensRestart     bool // a key that was deleted begins again at token 1
	earlyLeases       bool // the store ends leases early
	splitCommits      bool // the store writes later than it judges
}

// tx is a transaction as it reaches the store.
func (mut mutation) tx(a protocol.Commit) store.Tx {
	tx := a.Tx
	drop := func(prefix string) {
		var kept []store.Cond
		for _, c := range tx.If {
			if !strings.HasPrefix(c.Key, prefix) {
				kept = append(kept, c)
			}
		}
		tx.If = kept
	}
	switch a.Move {
	case protocol.MoveWithdraw:
		if mut.unguardedWithdraw {
			drop(protocol.CandidatesPrefix)
		}
		if mut.unmarkedWithdraw {
			tx.Then = []store.Op{store.Delete(tx.Then[0].Key)}
		}
	case protocol.MoveTake:
		if mut.unguardedTake {
			drop(protocol.LeadersPrefix)
		}
	case protocol.MoveDepose:
		return mut.deposeTx(tx)
	}
	if mut.unguardedTakes {
		drop(protocol.ControlPrefix)
	}
	return tx
}

// deposeTx is a deposition as it reaches the store.
func (mut mutation) deposeTx(tx store.Tx) store.Tx {
	seat, err := protocol.DecodeSeat(tx.Then[0].Value)
	if err != nil {
		panic(err)
	}
	if mut.shortVacancies {
		seat.TTL /= 3
		tx.Then[0].Value = protocol.Encode(seat)
	}
	if mut.unguardedDepose {
		tx.If = nil
	}
	return tx
}

// show notes the candidates that a look has shown.
func (mut mutation) show(m *member, l store.Listing) {
	for _, e := range l.Entries {
		if mut.witnessForEver {
			m.shown[e.Key] = e.Modified
		}
	}
}

// listing is a round's as it reaches a member.
func (mut mutation) listing(m *member, q store.Query, l store.Listing) store.Listing {
	show := func(key string, token protocol.Token) {
		if e := l.Entry(key); e != nil {
			e.Modified = token
			return
		}
		believed := kv{entries: l.Entries}
		i, _ := believed.find(key)
		l.Entries = append(l.Entries[:i:i], append([]store.Entry{{Key: key, Modified: token, Lease: m.lease}}, l.Entries[i:]...)...)
	}
	if mut.witnessForEver {
		for _, key := range q.Keys {
			if strings.HasPrefix(key, protocol.CandidatesPrefix) {
				show(key, m.shown[key])
			}
		}
	}
	if !mut.noEvidence {
		return l
	}
	for i, t := range m.terms {
		if t.token != 0 && !t.ended {
			show(m.w.seats[i], t.token)
			show(protocol.TermKey(m.session, m.w.elections[i]), t.token)
		}
	}
	return l
}

// event is an event as it reaches a session.
func (mut mutation) event(m *member, ev protocol.Event) protocol.Event {
	if mut.sentAtReply {
		ev = sentNow(ev, m.instant())
	}
	if watched, ok := ev.(protocol.Watched); ok && mut.staleOffers {
		entry := &watched.Event.Entry
		present := m.w.kv.get(entry.Key)
		stale := present == nil || present.Modified != entry.Modified
		if seat, err := protocol.DecodeSeat(entry.Value); stale && err == nil && seat.Session == m.session {
			entry.Modified = m.w.kv.rev
		}
		return watched
	}
	return ev
}

func sentNow(ev protocol.Event, now protocol.Instant) protocol.Event {
	switch ev := ev.(type) {
	case protocol.Renewed:
		ev.Sent = now
		return ev
	case protocol.Listed:
		ev.Sent = now
		return ev
	case protocol.Looked:
		ev.Sent = now
		return ev
	case protocol.Committed:
		ev.Sent = now
		return ev
	}
	return ev
}

// after is what follows an event that a member was told of.
func (mut mutation) after(m *member, ev protocol.Event) {
	if m.s == nil {
		return
	}
	for i := range m.terms {
		t := &m.terms[i]
		if !t.ended {
			continue
		}
		if mut.releaseEarly && t.clean && !t.released {
			t.released = true
			m.step(protocol.Drained{Election: m.w.elections[i], Token: t.token})
		}
		if !mut.endedAgain || t.clean {
			continue
		}
		var l store.Listing
		switch ev := ev.(type) {
		case protocol.Looked:
			l = ev.Listing
		case protocol.Listed:
			l = ev.Listing
		}
		if e := l.Entry(m.w.seats[i]); e != nil && e.Modified == t.token {
			token := t.token
			*t = term{}
			m.do(protocol.Begin{Election: m.w.elections[i], Token: token, Until: m.deadline})
		}
	}
}
