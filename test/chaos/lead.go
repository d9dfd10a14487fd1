//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// campaign wants to lead an election until the context ends.
func (w *worker) campaign(ctx context.Context, election string) {
	w.say(tenuretest.Wanted, election, 0)
	defer w.say(tenuretest.Unwanted, election, 0)
	var err error
	if election == loose {
		err = w.loosely(ctx)
	} else {
		err = w.m.Lead(ctx, election, w.work, tenure.LeadOptions{Requeue: election == brisk})
	}
	if ctx.Err() == nil {
		w.problem(election, err, "the campaign has ended")
	}
}

// work is the function given to Lead.
func (w *worker) work(ctx context.Context, term tenure.Term) error {
	l := term.(*tenure.Leadership) // over a store all are
	election := l.Election()
	w.say(tenuretest.WorkBegan, election, l.Token())
	w.track(l)
	defer w.say(tenuretest.WorkReturned, election, l.Token())
	life := time.Hour
	if election == brisk {
		life = 300*time.Millisecond + rand.N(2*time.Second)
	}
	w.lead(ctx, l, life)
	if ctx.Err() != nil {
		time.Sleep(rand.N(lingering)) // functions take a moment to return
		w.write(context.WithoutCancel(ctx), l, -1)
	}
	w.sample()
	return nil
}

// loosely leads by Campaign.
func (w *worker) loosely(ctx context.Context) error {
	for {
		l, err := w.m.Campaign(ctx, loose, tenure.CampaignOptions{})
		switch {
		case errors.Is(err, tenure.ErrAlreadyCandidate): // how the last one has ended is not known yet
			select {
			case <-time.After(writeEvery):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case err != nil:
			return err
		}
		w.track(l)
		leading, stop := context.WithCancel(l.Context())
		stopToo := context.AfterFunc(ctx, stop)
		w.lead(leading, l, 500*time.Millisecond+rand.N(3*time.Second))
		stopToo()
		stop()
		if err := w.pass(context.WithoutCancel(ctx), l); err != nil {
			w.print(report{What: tenuretest.Note.String(), Election: loose, Token: l.Token(), Text: "passes its seat on"}.because(err))
		}
		w.sample()
	}
}

// pass ends a term: for somebody in line, now and then.
func (w *worker) pass(ctx context.Context, l *tenure.Leadership) error {
	ctx, cancel := context.WithTimeout(ctx, ttl)
	defer cancel()
	if rand.IntN(3) == 0 {
		line, err := tenure.NewView(w.st, loose).Candidates(ctx)
		if err == nil && len(line) > 1 {
			if err = l.TransferTo(ctx, line[1+rand.IntN(len(line)-1)].Member); err == nil {
				return nil
			}
		}
	}
	return l.Resign(ctx)
}

// lead writes under a term until it has lived, or ctx ends.
func (w *worker) lead(ctx context.Context, l *tenure.Leadership, life time.Duration) {
	if err := l.Announce(ctx, []byte(w.ID)); err != nil {
		w.print(report{What: tenuretest.Note.String(), Election: l.Election(), Token: l.Token(), Text: "announces nothing"}.because(err))
	}
	end := time.NewTimer(life)
	defer end.Stop()
	every := time.NewTicker(writeEvery)
	defer every.Stop()
	for n := 1; ; n++ {
		select {
		case <-every.C:
			w.write(ctx, l, n)
		case <-end.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// write makes a guarded write, every other one without asking whether the term is
// held, as a process would that was paused in between.
func (w *worker) write(ctx context.Context, l *tenure.Leadership, n int) {
	value, err := json.Marshal(record{w.ID, l.Election(), l.Token(), n})
	if err != nil {
		w.problem(l.Election(), err, "a write")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ttl/2)
	defer cancel()
	key := "log/" + l.Election()
	told := report{Election: l.Election(), Token: l.Token(), N: n}
	var res store.Result
	if n%2 == 0 {
		res, err = l.Commit(ctx, store.Tx{Then: []store.Op{store.Put(key, value, store.NoLease)}})
	} else {
		res, err = w.st.Commit(ctx, store.Tx{
			If:   w.guard(l),
			Then: []store.Op{store.Put(store.Path(tenure.Data(w.st), key), value, store.NoLease)},
		})
	}
	switch {
	case err == nil && res.Committed:
		told.What, told.Revision = tenuretest.Confirmed.String(), res.Revision
	case err == nil, errors.Is(err, tenure.ErrLost):
		told.What = refused
	default:
		return // unknown
	}
	w.print(told)
}
