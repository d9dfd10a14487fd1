package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// What one commit may carry: stores take more, but not much.
const (
	maxBatchKeys  = 100
	maxBatchBytes = 1 << 20
)

const (
	retryMin = 20 * time.Millisecond
	retryMax = 2 * time.Second
)

// publisher keeps in the store what a node says: its record, and its state. Whoever
// changes something queues the change and waits; one goroutine makes the store agree, a
// commit at a time. It looks, and then acts on what it saw, and looks again when it was
// refused: doc.go has the states, and why nothing that is late can do harm.
type publisher struct {
	st      store.Store // of the cluster
	id      string
	timeout time.Duration // of a request
	notes   *notes
	wake    chan struct{} // holds one token while there is something to do
	ended   chan struct{} // closed when run has returned
	err     error         // why; set before

	mu        sync.Mutex
	record    record
	tell      bool              // the record is to be written
	told      []chan<- error    // who waits for that
	published map[string][]byte // what the store has, as far as it has answered
	changes   map[string]*change
	queue     []*change      // in the order of their first calls
	oneByOne  bool           // after a commit that the store will never take
	lastErr   error          // why the last attempt came to nothing
	alive     bool           // all of it is on a session that lives
	away      bool           // since one was lost it has not been
	at, seen  store.Revision // up to which the record is known, and when it was seen to change

	// Owned by run.
	guard []store.Cond // of the next commit; nil: look first
	pause time.Duration
}

// change is what is to become of one key.
type change struct {
	key     string
	value   []byte // nil: no such key
	taken   bool   // it is in a commit that is under way
	waiters []chan<- error
}

func newPublisher(st store.Store, r record, timeout time.Duration, notes *notes) *publisher {
	return &publisher{
		st: st, id: r.ID, timeout: timeout, notes: notes, record: r, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		published: map[string][]byte{}, changes: map[string]*change{},
	}
}

// run serves one session of the member after the other. It returns why there will be no
// more: the end of ctx, or of the member.
func (p *publisher) run(ctx context.Context, m *tenure.Member) (err error) {
	defer func() {
		p.err = err
		close(p.ended)
	}()
	for {
		s, err := m.Session(ctx)
		if err != nil {
			return err
		}
		p.serve(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.setLost(context.Cause(s.Context()))
	}
}

// serve makes the store agree until the session ends.
func (p *publisher) serve(ctx context.Context, s *tenure.Session) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.Context(), cancel)()
	p.guard, p.pause = nil, retryMin
	for ctx.Err() == nil {
		idle, err := p.step(ctx, s)
		wake, retry := p.wake, (<-chan time.Time)(nil)
		switch {
		case err != nil && ctx.Err() == nil:
			p.failed(err)
			// A new change does not make a store come back.
			wake, retry = nil, time.After(p.pause/2+rand.N(p.pause))
			p.pause = min(2*p.pause, retryMax)
		case err == nil && !idle:
			p.pause = retryMin
			continue
		}
		select {
		case <-wake:
		case <-retry:
		case <-ctx.Done():
		}
	}
}

// step sends one request, if there is anything to ask or to say.
func (p *publisher) step(ctx context.Context, s *tenure.Session) (idle bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	p.mu.Lock()
	if p.seen > p.at {
		p.guard = nil // somebody else has written the record
	}
	idle = p.guard != nil && !p.tell && len(p.queue) == 0
	p.mu.Unlock()
	switch {
	case idle:
		return true, nil
	case p.guard == nil:
		return false, p.look(ctx, s)
	}
	return false, p.flush(ctx, s)
}

// look finds out what the next commit is to be guarded by.
func (p *publisher) look(ctx context.Context, s *tenure.Session) error {
	l, err := p.st.List(ctx, store.Keys(protocol.MemberKey(p.id), nodeKey(p.id)))
	if err != nil {
		return err
	}
	owner := l.Entry(protocol.MemberKey(p.id))
	if !owns(owner, s) {
		return fmt.Errorf("%w: the id %q is not this session's any more", store.ErrConflict, p.id)
	}
	e := l.Entry(nodeKey(p.id))
	if r, ok := p.ours(e, s); ok {
		if err := p.adopt(ctx, r.Written); err != nil {
			return err
		}
		p.guard = []store.Cond{store.ModifiedAt(e.Key, e.Modified)}
	} else {
		p.guard = []store.Cond{store.ModifiedAt(owner.Key, owner.Modified), asRead(nodeKey(p.id), e)}
		p.restore()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = l.Revision
	return nil
}

// owns reports whether the session is the one that owns the id: it stays so until it
// ends, and nothing can be put on its lease after that.
func owns(owner *store.Entry, s *tenure.Session) bool {
	if owner == nil {
		return false
	}
	m, err := protocol.DecodeMember(owner.Value)
	return err == nil && m.Session == s.ID()
}

// ours returns the record that an entry holds, if this publisher wrote it on this session.
func (p *publisher) ours(e *store.Entry, s *tenure.Session) (record, bool) {
	if e == nil || e.Lease != s.Lease() {
		return record{}, false
	}
	r, err := decode(e)
	return r, err == nil && r.Incarnation == p.record.Incarnation
}

// asRead is the condition that a key is as an entry shows it.
func asRead(key string, e *store.Entry) store.Cond {
	if e == nil {
		return store.Absent(key)
	}
	return store.ModifiedAt(key, e.Modified)
}

// adopt takes for the node's own what others have written in its name. The record is then
// written without their notes, if it is as it was.
func (p *publisher) adopt(ctx context.Context, written []string) error {
	if len(written) == 0 {
		return nil
	}
	q := store.Query{}
	for _, key := range written {
		q.Keys = append(q.Keys, stateKey(key, p.id))
	}
	l, err := p.st.List(ctx, q)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell = true
	for _, key := range written {
		if p.changes[key] != nil {
			continue // what the node itself wants is later
		}
		if e := l.Entry(stateKey(key, p.id)); e != nil {
			p.published[key] = e.Value
		} else {
			delete(p.published, key)
		}
	}
	return nil
}

// restore has everything written anew, on a session that has nothing yet.
func (p *publisher) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell = true
	for key, value := range p.published {
		if p.changes[key] == nil {
			p.enqueue(&change{key: key, value: value})
		}
	}
	p.published = map[string][]byte{}
}

// flush commits what is queued, or as much of it as one commit may carry.
func (p *publisher) flush(ctx context.Context, s *tenure.Session) error {
	batch, tell := p.take()
	tx := store.Tx{If: p.guard}
	if tell != nil {
		tx.Then = append(tx.Then, store.Put(nodeKey(p.id), tell.record.encode(), s.Lease()))
	}
	for _, c := range batch {
		op := store.Delete(stateKey(c.key, p.id))
		if c.value != nil {
			op = store.Put(stateKey(c.key, p.id), c.value, s.Lease())
		}
		tx.Then = append(tx.Then, op)
	}
	res, err := p.st.Commit(ctx, tx)
	switch {
	case err == nil && res.Committed:
		p.done(batch, tell, res.Revision)
		return nil
	case err == nil:
		p.putBack(batch, tell)
		p.guard = nil
		return nil
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrInvalid):
		return p.refused(batch, tell, err)
	}
	p.putBack(batch, tell)
	if !without(err) {
		// It may take effect yet. Once the record has been written again, it cannot.
		p.mu.Lock()
		p.tell = true
		p.mu.Unlock()
	}
	return err
}

// without reports whether an error says that the request had no effect, nor will have.
func without(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLeaseNotFound) || errors.Is(err, store.ErrDenied)
}

// telling is the record in a commit, and who waits for it.
type telling struct {
	record  record
	waiters []chan<- error
}

// take removes from the queue what goes into one commit.
func (p *publisher) take() ([]*change, *telling) {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := maxBatchKeys
	if most := p.st.Capabilities().MaxOps; most > 0 {
		limit = min(limit, most-1)
	}
	var tell *telling
	if p.tell {
		tell = &telling{p.record, p.told}
		p.tell, p.told = false, nil
	}
	if p.oneByOne {
		limit = 1
		if tell != nil {
			return nil, tell
		}
	}
	n, size := 0, 0
	for n < min(limit, len(p.queue)) && (n == 0 || size+len(p.queue[n].value) <= maxBatchBytes) {
		size += len(p.queue[n].value)
		p.queue[n].taken = true
		n++
	}
	batch := p.queue[:n:n]
	p.queue = p.queue[n:]
	return batch, tell
}

func (p *publisher) done(batch []*change, tell *telling, rev store.Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range batch {
		if c.value == nil {
			delete(p.published, c.key)
		} else {
			p.published[c.key] = c.value
		}
		p.settle(c, nil)
	}
	if tell != nil {
		p.guard, p.at = []store.Cond{store.ModifiedAt(nodeKey(p.id), rev)}, rev
		answer(tell.waiters, nil)
	}
	p.lastErr = nil
	if len(p.queue) > 0 {
		return
	}
	p.oneByOne = false
	if p.away {
		p.notes.rejoined(len(p.published))
	}
	p.alive, p.away = true, false
}

func answer(waiters []chan<- error, err error) {
	for _, w := range waiters {
		w <- err // each has room for it
	}
}

// putBack queues again what a commit did not do, or may not have done.
func (p *publisher) putBack(batch []*change, tell *telling) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tell != nil {
		p.tell = true
		p.told = append(tell.waiters, p.told...)
	}
	queue := make([]*change, 0, len(batch)+len(p.queue))
	for _, c := range batch {
		if newer := p.changes[c.key]; newer != c {
			newer.waiters = append(c.waiters, newer.waiters...)
			continue
		}
		c.taken = false
		queue = append(queue, c)
	}
	p.queue = append(queue, p.queue...)
}

// refused deals with a commit that the store will never take. If it is one key's fault,
// that one is given up, once it has been tried alone.
func (p *publisher) refused(batch []*change, tell *telling, err error) error {
	if len(batch) != 1 || tell != nil {
		p.putBack(batch, tell)
		p.mu.Lock()
		defer p.mu.Unlock()
		again := p.oneByOne
		p.oneByOne = true
		if again {
			return err // of the record alone
		}
		return nil
	}
	p.notes.trouble("publish "+batch[0].key, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(batch[0], err)
	return nil
}

// settle ends a change. mu is held.
func (p *publisher) settle(c *change, err error) {
	if p.changes[c.key] == c {
		delete(p.changes, c.key)
	}
	answer(c.waiters, err)
}

// failed takes note of an attempt that came to nothing, for those who wait no longer.
func (p *publisher) failed(err error) {
	p.mu.Lock()
	p.lastErr = err
	p.mu.Unlock()
	p.notes.trouble("publish", err)
}

func (p *publisher) setLost(cause error) {
	p.mu.Lock()
	p.alive, p.away = false, true
	p.mu.Unlock()
	p.notes.lost(cause)
}

// set has the node publish value under key, or, where it is nil, nothing, and waits until
// the store has it. What is there already is written, too: others may have written it
// otherwise a moment ago.
func (p *publisher) set(ctx context.Context, key string, value []byte) error {
	done := make(chan error, 1)
	p.mu.Lock()
	if c := p.changes[key]; c != nil && !c.taken {
		c.value = value
		c.waiters = append(c.waiters, done)
	} else {
		p.enqueue(&change{key: key, value: value, waiters: []chan<- error{done}})
	}
	p.rouse()
	p.mu.Unlock()
	return p.await(ctx, done)
}

// enqueue adds a change to the queue. mu is held.
func (p *publisher) enqueue(c *change) {
	p.changes[c.key] = c
	p.queue = append(p.queue, c)
}

// await waits for the store to have what was queued.
func (p *publisher) await(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lastErr == nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w; %w", context.Cause(ctx), p.lastErr)
	}
}

// write has the record written as f changes it, and waits until the store has it.
func (p *publisher) write(ctx context.Context, f func(*record)) error {
	done := make(chan error, 1)
	p.mu.Lock()
	f(&p.record)
	p.tell = true
	p.told = append(p.told, done)
	p.rouse()
	p.mu.Unlock()
	return p.await(ctx, done)
}

// saw takes note that the node's record was written, or deleted, at a revision.
func (p *publisher) saw(rev store.Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = max(p.seen, rev)
	p.rouse()
}

// rouse wakes run.
func (p *publisher) rouse() {
	select {
	case p.wake <- struct{}{}:
	default: // it has been
	}
}

// info is what the record says.
func (p *publisher) info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.info(p.at)
}

// isAlive reports whether the store has all that the node has to say.
func (p *publisher) isAlive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive
}
