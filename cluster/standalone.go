package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// standalone is the name of the cluster of one.
const standalone = "standalone"

// Standalone is a Node that is a cluster of its own. It plays the leader and the follower
// itself, never both at a time, and needs no store: for tests, and for programs that are
// run alone at times.
type Standalone struct{ *node }

var _ Node = (*Standalone)(nil)

// NewStandalone returns a node that is alone. Of opts, the TTL, NodeTTL, Drift, Margin and
// Campaign mean nothing to it.
//
// Errors: tenure.ErrInvalid.
func NewStandalone(id string, opts Options) (*Standalone, error) {
	err := checkName("node id", id, MaxName)
	if err == nil {
		opts, err = opts.withDefaults(store.Capabilities{})
	}
	if err != nil {
		return nil, &Error{Op: "new node", Cluster: standalone, Err: err}
	}
	s := &Standalone{node: newNode(standalone, id, opts)}
	s.open = s.play
	return s, nil
}

// alone is what a run of a standalone node consists of: a store that nobody else sees, in
// which it writes what others would read of a clustered one.
type alone struct {
	r  *run
	st store.Store

	mu     sync.Mutex
	record record
	rev    store.Revision
}

func (s *Standalone) play(_ context.Context, r *run) error {
	a := &alone{r: r, st: memstore.New(), record: newRecord(s.id, s.opts)}
	r.view = NewView(a.st, standalone)
	r.view.report = func(err error) { r.notes.trouble("watch", err) }
	r.state, r.parts = a, a
	if err := a.write(r.ctx, func(*record) {}); err != nil {
		return err
	}
	if s.opts.NeverLead {
		r.roles.alone(Follower)
	} else {
		r.roles.wg.Go(a.lead)
	}
	if routine := s.opts.Follower; routine != nil {
		r.roles.wg.Go(func() { r.roles.tickOn(r.roles.ctx, Follower, routine) })
	}
	return nil
}

// lead leads in one term after the other: a term may be resigned.
func (a *alone) lead() {
	ctx, n := a.r.roles.ctx, a.r.n
	for ctx.Err() == nil {
		seat := protocol.NewSeat("", memberID(standalone, n.id), n.opts.Endpoint, n.opts.TTL)
		res, err := a.st.Commit(ctx, store.Tx{Then: []store.Op{store.Put(protocol.SeatKey(standalone), protocol.Encode(seat), store.NoLease)}})
		if err != nil {
			return // only because ctx has ended
		}
		t := newTerm(ctx, res.Revision)
		a.r.roles.sees(n.id, t.token)
		_ = a.r.roles.lead(t.ctx, t) // that it had no turn for so long was told
		t.cancel(nil)
	}
}

func (a *alone) set(ctx context.Context, key string, value []byte) error {
	op := store.Delete(stateKey(key, a.r.n.id))
	if value != nil {
		op = store.Put(stateKey(key, a.r.n.id), value, store.NoLease)
	}
	_, err := a.r.view.st.Commit(ctx, store.Tx{Then: []store.Op{op}})
	return err
}

func (a *alone) write(ctx context.Context, f func(*record)) error {
	a.mu.Lock()
	defer a.mu.Unlock() // of a store in this process, which waits for nobody
	f(&a.record)
	res, err := a.r.view.st.Commit(ctx, store.Tx{Then: []store.Op{store.Put(nodeKey(a.record.ID), a.record.encode(), store.NoLease)}})
	a.rev = max(a.rev, res.Revision)
	return err
}

func (a *alone) info() Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.record.info(a.rev)
}

func (a *alone) drain() error { return a.r.roles.drain(func() error { return nil }) }

func (a *alone) leave() { _ = a.st.Close() }

func (a *alone) healthy() error { return nil }

// term is a term that nobody else can want.
type term struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	token  tenure.Token
}

var _ tenure.Term = (*term)(nil)

func newTerm(ctx context.Context, token tenure.Token) *term {
	t := &term{token: token}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	return t
}

func (t *term) Context() context.Context { return t.ctx }
func (t *term) Held() bool               { return t.ctx.Err() == nil }
func (t *term) Token() tenure.Token      { return t.token }
func (t *term) Cause() error             { return context.Cause(t.ctx) }

func (t *term) Until() time.Time {
	now := time.Now()
	if t.Held() {
		return now.Add(tenure.MaxTTL)
	}
	return now
}

func (t *term) Resign(context.Context) error {
	t.cancel(tenure.ErrResigned)
	return nil
}
