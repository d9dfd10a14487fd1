package cluster

import (
	"context"
	"sync"
)

// node is what both kinds of Node have in common: a life, which is a sequence of runs, and
// the calls, each of which belongs to a run.
type node struct {
	id, cluster string
	opts        Options
	open        func(context.Context, *run) error // fills in a run; where it fails it leaves nothing behind
	turn        chan struct{}                     // a token: whoever calls a routine, in whatever run, has it meanwhile
	life        context.Context                   // until Close
	end         context.CancelFunc

	mu    sync.Mutex
	run   *run  // the present one, or nil
	ended error // why there is none
}

// run is a node from Start to Stop:
//
//	opening --> running --> draining --> leaving --> done
//
// Calls are served while it runs and drains: a routine that finishes its work may
// publish. A run that fails to open has nothing to drain.
type run struct {
	n     *node
	view  *View
	state writer
	notes *notes
	roles *roles
	parts // what is different in the two kinds

	abort  context.CancelCauseFunc // ends opening
	opened chan struct{}           // closed when that has ended
	ok     bool                    // it opened; set before, under node.mu

	ctx    context.Context // of calls and watches; its cause says why they end
	cancel context.CancelCauseFunc
	ending sync.Once
	done   chan struct{} // closed when nothing runs any more
	err    error         // of drain; set before

	wg sync.WaitGroup // goroutines that end with ctx
}

// parts is what differs between the two kinds of Node.
type parts interface {
	// drain ends the routines and gives the leadership up. It returns
	// tenure.ErrDrainTimeout where a routine still runs.
	drain() error
	// leave withdraws what the node has published.
	leave()
	// healthy is as of Node.Healthy.
	healthy() error
}

// writer publishes what the node says.
type writer interface {
	set(ctx context.Context, key string, value []byte) error // nil: delete
	write(ctx context.Context, f func(*record)) error
	info() Info
}

func newNode(cluster, id string, opts Options) *node {
	opts.Logger = opts.Logger.With("cluster", cluster, "node", id)
	n := &node{id: id, cluster: cluster, opts: opts, turn: make(chan struct{}, 1), ended: ErrStopped}
	n.turn <- struct{}{}
	n.life, n.end = context.WithCancel(context.Background())
	return n
}

// ID is as of Node.
func (n *node) ID() string { return n.id }

// Start is as of Node.
func (n *node) Start(ctx context.Context) error {
	r := &run{n: n, opened: make(chan struct{}), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	ctx, r.abort = context.WithCancelCause(ctx)
	defer r.abort(nil)
	if err := n.begin(r); err != nil {
		return n.fail("start", err)
	}
	r.notes = newNotes(n.opts)
	r.roles = newRoles(r)
	err := n.open(ctx, r)
	n.mu.Lock()
	r.ok = err == nil
	n.mu.Unlock()
	close(r.opened)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = r.stop(context.Background(), ErrStopped) // whatever it says, this run has not begun
		return n.fail("start", err)
	}
	r.notes.started()
	return nil
}

// begin makes r the run of the node, if it may have one.
func (n *node) begin(r *run) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.life.Err() != nil:
		return ErrClosed
	case n.run != nil:
		return ErrRunning
	}
	n.run = r
	return nil
}

// Stop is as of Node.
func (n *node) Stop(ctx context.Context) error {
	return n.stop(ctx, ErrStopped)
}

// Close is as of Node.
func (n *node) Close() error {
	n.end()
	return n.stop(context.Background(), ErrClosed)
}

func (n *node) stop(ctx context.Context, why error) error {
	n.mu.Lock()
	r := n.run
	n.mu.Unlock()
	if r == nil {
		return nil
	}
	if err := r.stop(ctx, why); err != nil {
		return n.fail("stop", err)
	}
	return nil
}

func (r *run) stop(ctx context.Context, why error) error {
	r.shut(why)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shut has the run end. It does not wait: what runs in it may find that it must end.
func (r *run) shut(why error) {
	r.ending.Do(func() {
		r.abort(why)
		go r.close(why)
	})
}

func (r *run) close(why error) {
	<-r.opened
	if r.ok {
		r.err = r.drain()
	}
	r.cancel(why)
	if r.ok {
		r.leave()
	}
	r.wg.Wait()
	r.notes.stopped(why)
	r.notes.close()
	r.n.mu.Lock()
	r.n.run, r.n.ended = nil, why
	r.n.mu.Unlock()
	close(r.done)
}

// present returns the run that serves calls.
func (n *node) present() (*run, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.run
	switch {
	case r != nil && r.ctx.Err() != nil:
		return nil, context.Cause(r.ctx)
	case r != nil && r.ok:
		return r, nil
	case r != nil:
		return nil, ErrStopped // it opens yet, or could not
	case n.life.Err() != nil:
		return nil, ErrClosed
	}
	return nil, n.ended
}

// Healthy is as of Node.
func (n *node) Healthy() error {
	r, err := n.present()
	if err == nil {
		err = r.healthy()
	}
	return err
}

// enter begins a call: its context ends with the run, too.
func (n *node) enter(ctx context.Context) (*run, context.Context, context.CancelFunc, error) {
	r, err := n.present()
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })
	return r, ctx, func() { unhook(); cancel(nil) }, nil
}

func (n *node) fail(op string, err error) error { return &Error{Op: op, Cluster: n.cluster, Err: err} }
