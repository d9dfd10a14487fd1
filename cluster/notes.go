package cluster

import (
	"sync"
	"time"

	"github.com/tenure-go/tenure/internal/inbox"
)

// notes calls back, in order, apart from everything that must not wait.
type notes struct {
	opts  Options
	queue *inbox.Inbox[func()]
	ended chan struct{}
	wg    sync.WaitGroup
}

func newNotes(opts Options) *notes {
	n := &notes{opts: opts, queue: inbox.New[func()](), ended: make(chan struct{})}
	n.wg.Go(func() { n.queue.Each(n.ended, n.call) })
	return n
}

func (n *notes) call(f func()) {
	if err := guarded(func() error { f(); return nil }); err != nil {
		n.panicked(err)
	}
}

// close calls what is left, and returns when that is done.
func (n *notes) close() {
	close(n.ended)
	n.wg.Wait()
}

// panicked reports a panic of a callback, or of the log handler, to both: one may be left.
func (n *notes) panicked(err error) {
	_ = guarded(func() error { n.opts.Logger.Error("a callback panicked", "error", err); return nil })
	if f := n.opts.Trace.Trouble; f != nil {
		_ = guarded(func() error { f("callback", err); return nil })
	}
}

func (n *notes) started() {
	n.queue.Put(func() { n.opts.Logger.Info("node started") })
}

func (n *notes) stopped(why error) {
	n.queue.Put(func() { n.opts.Logger.Info("node stopped", "cause", why) })
}

func (n *notes) role(role Role) {
	n.queue.Put(func() {
		n.opts.Logger.Info("role changed", "role", role)
		if f := n.opts.Trace.Role; f != nil {
			f(role)
		}
	})
}

func (n *notes) routine(info RoutineInfo) {
	n.queue.Put(func() {
		switch {
		case info.Err != nil:
			n.opts.Logger.Warn("the routine failed", "role", info.Role, "took", info.Took, "error", info.Err)
		case info.Over > 0:
			n.opts.Logger.Debug("the routine took longer than its tick", "role", info.Role, "took", info.Took)
		}
		if f := n.opts.Trace.Routine; f != nil {
			f(info)
		}
	})
}

func (n *notes) overrun(role Role, after time.Duration) {
	n.queue.Put(func() {
		n.opts.Logger.Warn("the routine still runs after its drain time", "role", role, "drain_timeout", after)
		if f := n.opts.Trace.Overrun; f != nil {
			f(role, after)
		}
	})
}

func (n *notes) lost(cause error) {
	n.queue.Put(func() {
		n.opts.Logger.Warn("the node may not be seen any more", "cause", cause)
		if f := n.opts.Trace.Lost; f != nil {
			f(cause)
		}
	})
}

func (n *notes) rejoined(keys int) {
	n.queue.Put(func() {
		n.opts.Logger.Info("the node is seen again", "keys", keys)
		if f := n.opts.Trace.Rejoined; f != nil {
			f(keys)
		}
	})
}

func (n *notes) tickDiffers(other Info) {
	n.queue.Put(func() {
		n.opts.Logger.Warn("another node has another tick", "node", other.ID, "tick", other.Tick)
		if f := n.opts.Trace.TickDiffers; f != nil {
			f(other)
		}
	})
}

func (n *notes) trouble(request string, err error) {
	n.queue.Put(func() {
		n.opts.Logger.Debug("request failed", "request", request, "error", err)
		if f := n.opts.Trace.Trouble; f != nil {
			f(request, err)
		}
	})
}
