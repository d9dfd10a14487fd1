package tenure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenure-go/tenure/internal/history"
	"github.com/tenure-go/tenure/internal/inbox"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// PastTerm is a term as its holder has written it down; see Options.History. It is for
// people to read: the times are those of the holder's wall clock, and nothing follows
// from them.
type PastTerm struct {
	Token    Token
	Member   string
	Endpoint string // of it and of Cause the beginning, where they are long
	// From and To are when it began and ended. Zero: it goes on, or nobody has said.
	From, To time.Time
	// Cause is why it has ended, in words. Empty: it goes on.
	Cause string
}

// noWord is the cause of a term that is over, and of which its holder has not said so.
const noWord = "no word of its end (crashed, cut off, or just over)"

// History asks the store for the last terms of the election, 100 at most, by rising
// tokens. Who leads now is the last of them, also where he writes no history. The others
// of members without Options.History are missing.
//
// Of a leader that has crashed nobody has said that its term is over: it has then lasted
// until the next began, at most. One that was cut off says so when it is back.
//
// Errors: ErrInvalid, ErrCorrupt, and those of the store and of ctx. Beside an ErrCorrupt
// it returns what can be read.
func (v *View) History(ctx context.Context) (terms []PastTerm, err error) {
	err = v.operate(ctx, "read history of", func(ctx context.Context) (err error) {
		terms, err = v.history(ctx)
		return err
	})
	return terms, err
}

func (v *View) history(ctx context.Context) ([]PastTerm, error) {
	// In one read: a term that is not the leader's has ended, whatever is said of it.
	key, seatKey := protocol.HistoryKey(v.election), protocol.SeatKey(v.election)
	l, err := list(ctx, v.st, store.Keys(key, seatKey))
	if err != nil {
		return nil, err
	}
	record, err := recordIn(l.Entry(key))
	terms := make([]PastTerm, 0, len(record.Terms)+1)
	for _, t := range record.Terms {
		terms = append(terms, PastTerm(t))
	}
	var leading Token
	if seat := l.Entry(seatKey); seat != nil {
		leader, vacancy, seatErr := leaderOf(seat)
		switch {
		case seatErr != nil:
			err = errors.Join(err, seatErr)
		case vacancy != nil:
			deposedIn(terms, *vacancy)
		default:
			terms, leading = withLeader(terms, leader), leader.Token
		}
	}
	conclude(terms, leading)
	return terms, err
}

func place(terms []PastTerm, token Token) (int, bool) {
	return slices.BinarySearchFunc(terms, token, func(t PastTerm, token Token) int { return cmp.Compare(t.Token, token) })
}

// withLeader adds the leader, where it has not written down yet that it leads.
func withLeader(terms []PastTerm, leader Leader) []PastTerm {
	i, written := place(terms, leader.Token)
	if written {
		return terms
	}
	return slices.Insert(terms, i, PastTerm{Token: leader.Token, Member: leader.Member, Endpoint: leader.Endpoint})
}

// deposedIn ends the term of a victim that has not said so itself. The vacancy does.
func deposedIn(terms []PastTerm, v Vacancy) {
	if i, written := place(terms, v.Victim.Token); written && terms[i].Cause == "" {
		terms[i].Cause = ErrDeposed.Error() + protocol.Order(v.Reason).String()
	}
}

// conclude ends the terms that nobody has, all but the one that goes on. The next has
// begun no earlier.
func conclude(terms []PastTerm, leading Token) {
	var next time.Time
	for i, t := range slices.Backward(terms) {
		if t.Cause == "" && t.Token != leading {
			terms[i].To, terms[i].Cause = next, noWord
		}
		next = t.From
	}
}

// ClearHistory deletes the history of the election. Nothing else does. Members that lead
// write their terms down again as they end. Errors: ErrInvalid, and those of the store and of ctx.
func (v *View) ClearHistory(ctx context.Context) error {
	return v.operate(ctx, "clear history of", func(ctx context.Context) error {
		return command(ctx, v.st, protocol.HistoryKey(v.election), nil)
	})
}

// recordIn reads a history; nil is an empty one.
func recordIn(e *store.Entry) (history.Record, error) {
	if e == nil {
		return history.Record{}, nil
	}
	return history.Decode(e.Value)
}

const (
	// historyDelay is how long a term's beginning or end waits to be written down. A
	// hand-over is one commit away from either, and shall not have to wait for this one.
	historyDelay = 20 * time.Millisecond
	// historyRefusals is how often others may come in between before it is left for later.
	historyRefusals = 10
)

// historian writes the terms of a member down, apart from all that must not wait: no
// term begins, ends or is passed on later because of it. A nil one writes nothing.
type historian struct {
	m       *Member
	news    *inbox.Inbox[news]
	pending map[string]*history.Record // by election: what is to be written
	queue   []string                   // the elections of pending, in turn
}

// news is the beginning of a term or, if ended is not zero, its end.
type news struct {
	term  *Leadership
	ended time.Time
}

func newHistorian(m *Member) *historian {
	return &historian{m: m, news: inbox.New[news](), pending: map[string]*history.Record{}}
}

func (h *historian) began(l *Leadership) {
	if h != nil {
		h.news.Put(news{term: l})
	}
}

func (h *historian) ended(l *Leadership) {
	if h != nil {
		h.news.Put(news{l, time.Now()})
	}
}

// run writes until over is closed and nothing is left. It does not keep Close for longer
// than the revoking of the session may: what the store has not taken by then is left out.
func (h *historian) run(over <-chan struct{}) {
	if h == nil {
		<-over
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(h.m.ctx, func() { time.AfterFunc(h.m.farewell(), cancel) })()
	for h.await(over) {
		for pause := reopenMin; len(h.queue) > 0; h.take() {
			election := h.queue[0]
			h.queue = h.queue[1:]
			err := h.write(ctx, election)
			switch {
			case err == nil:
				delete(h.pending, election)
				pause = reopenMin
			case ctx.Err() != nil || final(err):
				delete(h.pending, election)
				if ctx.Err() != nil {
					err = fmt.Errorf("%w: %w", ErrClosed, err)
				}
				h.m.trouble(election, "leave terms out of history", err)
			default:
				h.m.trouble(election, "write history", err)
				h.queue = append(h.queue, election)
				pause = h.rest(ctx, pause)
			}
		}
	}
}

// rest waits before something is tried again, and returns for how long the next time.
// Who closes the member does not wait for a long pause.
func (h *historian) rest(ctx context.Context, pause time.Duration) time.Duration {
	if h.m.ctx.Err() == nil {
		wait(h.m.ctx, pause/2+rand.N(pause))
		return min(2*pause, reopenMax)
	}
	wait(ctx, reopenMin)
	return reopenMin
}

// await waits for something to write. False: there will be nothing more.
func (h *historian) await(over <-chan struct{}) bool {
	select {
	case <-h.news.Ready():
		wait(h.m.ctx, historyDelay) // which ends when every seat has been passed on
	case <-over:
	}
	h.take()
	select {
	case <-over:
		return len(h.queue) > 0
	default:
		return true
	}
}

// take adds to what is to be written all that is new.
func (h *historian) take() {
	for _, n := range h.news.TakeAll() {
		l := n.term
		t := history.NewTerm(l.token, l.Member(), h.m.opts.Endpoint, l.began)
		if !n.ended.IsZero() {
			t = t.End(n.ended, said(l.Cause()))
		}
		election := l.c.election
		if h.pending[election] == nil {
			h.pending[election] = &history.Record{}
			h.queue = append(h.queue, election)
		}
		h.pending[election].Put(t)
	}
}

// said is the text of an error, which may be the user's.
func said(cause error) (text string) {
	if err := guarded(func() { text = cause.Error() }); err != nil {
		return err.Error()
	}
	return text
}

// write brings the record of an election up to date. It names the state that it replaces,
// so that one whose reply was lost may be written again: it is there, or it never will be.
func (h *historian) write(ctx context.Context, election string) error {
	key := protocol.HistoryKey(election)
	limit := history.MaxSize
	if most := h.m.st.Capabilities().MaxValue; most > 0 {
		limit = min(limit, most)
	}
	var there *store.Entry
	for range historyRefusals {
		record, err := recordIn(there)
		if err != nil {
			return err // which is for people to look at, and to clear
		}
		for _, t := range h.pending[election].Terms {
			record.Put(t)
		}
		value, err := record.Encode(limit)
		if err != nil {
			return err
		}
		cond := store.Absent(key)
		if there != nil {
			if string(there.Value) == string(value) {
				return nil
			}
			cond = store.ModifiedAt(key, there.Modified)
		}
		res, err := commit(ctx, h.m.st, store.Tx{
			If: []store.Cond{cond}, Then: []store.Op{store.Put(key, value, store.NoLease)}, Else: []string{key},
		})
		if err != nil || res.Committed {
			return err
		}
		there = res.Entry(key)
	}
	return fmt.Errorf("%w: others write, too", store.ErrConflict)
}

// final reports whether to write the same again were in vain.
func final(err error) bool {
	return slices.ContainsFunc([]error{
		ErrCorrupt, store.ErrTooLarge, store.ErrInvalid, store.ErrUnsupported, store.ErrClosed,
	}, func(target error) bool { return errors.Is(err, target) })
}

// wait waits for d, or for the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
