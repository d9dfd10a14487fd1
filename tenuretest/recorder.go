package tenuretest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// writesPrefix is where Node.Write writes to, among the user's data.
const writesPrefix = "tenuretest/"

// recorder records what the store's own history says of seats and writes.
type recorder struct {
	st      store.Store
	h       *History
	changed func() // a seat has changed hands; may be nil

	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed

	holders map[string]Event // by seat's key

	mu      sync.Mutex
	freed   map[store.Revision]bool // by a transaction; else by the end of a lease
	freeing int                     // transactions under way that free a seat
	seen    store.Revision
	news    *sync.Cond // any of these has changed, or done is closed
}

func newRecorder(st store.Store, h *History) *recorder {
	r := &recorder{st: st, h: h, done: make(chan struct{}), holders: map[string]Event{}, freed: map[store.Revision]bool{}}
	r.news = sync.NewCond(&r.mu)
	return r
}

// How much start waits for.
const (
	untilListed   = 1 // enough where nobody compacts
	untilWatching = 2 // the first step of a watch; a quiet server takes seconds to make one
)

// start returns once it has taken that many steps. From the first on nothing is
// missed that is not compacted, from the second on nothing at all.
func (r *recorder) start(until int) {
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	begun := make(chan struct{})
	go func() {
		steps := 0
		for batch, err := range store.Follow(ctx, r.st, "", nil) {
			if batch.Listed && steps > 0 {
				err = fmt.Errorf("%w: from revision %d to %d", store.ErrCompacted, batch.Since, batch.Revision)
			}
			if err != nil {
				if steps < until {
					close(begun)
				}
				r.ended(ctx, err)
				return
			}
			r.take(batch.Changes)
			if steps++; steps == until {
				close(begun)
			}
		}
	}()
	<-begun
}

func (r *recorder) ended(ctx context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil {
		r.err = fmt.Errorf("tenuretest: the recording has ended: %w", err)
	}
	close(r.done)
	r.news.Broadcast()
}

func (r *recorder) take(changes store.Changes) {
	seats := false
	for _, ev := range changes.Events {
		switch key := ev.Entry.Key; {
		case strings.HasPrefix(key, protocol.LeadersPrefix):
			r.seat(ev)
			seats = true
		case strings.HasPrefix(key, protocol.DataPrefix+writesPrefix) && !ev.Deleted:
			r.write(&ev.Entry)
		}
	}
	r.mu.Lock()
	r.seen = max(r.seen, changes.Revision)
	r.mu.Unlock()
	r.news.Broadcast()
	if seats && r.changed != nil {
		r.changed()
	}
}

func (r *recorder) seat(ev store.Event) {
	key, rev := ev.Entry.Key, ev.Entry.Modified
	election := protocol.Unescape(strings.TrimPrefix(key, protocol.LeadersPrefix))
	if ev.Deleted {
		byTx := r.byTransaction(rev)
		e, ok := r.holders[key]
		if !ok {
			return // it was vacant
		}
		e.Kind, e.Revision = SeatFreed, rev
		if !byTx {
			e.Err = tenure.ErrSessionExpired
		}
		delete(r.holders, key)
		r.h.Record(e)
		return
	}
	seat, err := protocol.DecodeSeat(ev.Entry.Value)
	if seat.Vacancy != nil {
		r.vacated(key, rev)
		return
	}
	if err != nil {
		seat.Member = "nobody known"
	}
	e := Event{Kind: SeatTaken, Member: seat.Member, Election: election, Token: rev, Revision: rev}
	r.holders[key] = e
	r.h.Record(e)
}

// vacated records that a leader was deposed. That the vacancy is cleared later is
// nothing new.
func (r *recorder) vacated(key string, rev store.Revision) {
	if e, ok := r.holders[key]; ok {
		e.Kind, e.Revision, e.Err = SeatFreed, rev, tenure.ErrDeposed
		delete(r.holders, key)
		r.h.Record(e)
	}
}

// write records a write of Node.Write, whose value says whose it is.
func (r *recorder) write(entry *store.Entry) {
	e := Event{Kind: Wrote, Revision: entry.Modified}
	if _, err := fmt.Sscanf(string(entry.Value), writeFormat, &e.Member, &e.Election, &e.Token); err != nil {
		e = Event{Kind: Note, Text: fmt.Sprintf("somebody wrote %q", entry.Value), Revision: entry.Modified}
	}
	r.h.Record(e)
}

const writeFormat = "%q wrote in %q with token %d"

// byTransaction reports whether a transaction has freed the seat at rev. While one
// is under way that might have, nobody knows.
func (r *recorder) byTransaction(rev store.Revision) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.freed[rev] && r.freeing > 0 {
		r.news.Wait()
	}
	by := r.freed[rev]
	delete(r.freed, rev)
	return by
}

// catchUp waits until all that is in the store by now has been recorded.
func (r *recorder) catchUp() error {
	l, err := r.st.List(context.Background(), store.Query{})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.seen < l.Revision {
		select {
		case <-r.done:
			return r.err
		default:
			r.news.Wait()
		}
	}
	return nil
}

func (r *recorder) stop() error {
	err := r.catchUp()
	r.cancel()
	<-r.done
	_ = r.st.Close()
	return err
}

// ledger is a handle that lets the recorder know which seats were freed by a
// transaction. The others were by the end of a lease, which the store's own
// history does not tell.
type ledger struct {
	store.Store
	rec *recorder
}

// Commit lets the recorder wait for the answer: what the transaction has changed
// may be seen before.
func (l *ledger) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	frees := false
	for _, op := range tx.Then {
		frees = frees || op.Delete && strings.HasPrefix(op.Key, protocol.LeadersPrefix)
	}
	if !frees {
		return l.Store.Commit(ctx, tx)
	}
	l.rec.frees(1)
	defer l.rec.frees(-1)
	res, err := l.Store.Commit(ctx, tx)
	if err == nil && res.Committed {
		l.rec.mu.Lock()
		l.rec.freed[res.Revision] = true
		l.rec.mu.Unlock()
	}
	return res, err
}

func (r *recorder) frees(more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freeing += more
	r.news.Broadcast()
}
