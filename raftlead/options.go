package raftlead

import (
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

// Options of an Elector. The zero value works.
type Options struct {
	// Lease is how long a quorum's answers to heartbeats are relied on, counted from
	// before these were sent. It must be shorter than the shortest
	// Config.HeartbeatTimeout of all servers, by what their clocks may differ in rate.
	// By default nine tenths of this server's.
	Lease time.Duration
	// TrustRaft: believe raft's own word for who leads, where there is no Witness. A
	// server whose raft hangs, in a write to its disk for example, then takes itself for
	// the leader for as long as that lasts.
	TrustRaft bool
	// TransferTimeout is how long a leadership that ends cleanly is offered to other
	// servers, all attempts together. By default ten times Lease.
	TransferTimeout time.Duration
	// DrainTimeout is when a function of Lead that still runs after the end of its term
	// is logged as a warning. It is waited for however long it takes. By default 10 s.
	DrainTimeout time.Duration
	// Logger is told of terms, at Info, and of what is tried again, at Debug. By default
	// nothing is logged.
	Logger *slog.Logger
}

func (o Options) withDefaults(r *raft.Raft) (Options, error) {
	for name, d := range map[string]time.Duration{"Lease": o.Lease, "TransferTimeout": o.TransferTimeout, "DrainTimeout": o.DrainTimeout} {
		if d < 0 {
			return o, invalid("%s is %v; give a positive duration, or none for the default", name, d)
		}
	}
	if heartbeat := r.ReloadableConfig().HeartbeatTimeout; o.Lease >= heartbeat {
		return o, invalid("Lease is %v, and raft's HeartbeatTimeout %v: after that another may be elected; give less", o.Lease, heartbeat)
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func (e *Elector) lease() time.Duration {
	heartbeat := e.r.ReloadableConfig().HeartbeatTimeout
	if 0 < e.opts.Lease && e.opts.Lease < heartbeat { // it may have been reloaded since New
		return e.opts.Lease
	}
	return heartbeat / 10 * 9
}

func (e *Elector) transferTimeout() time.Duration {
	if e.opts.TransferTimeout > 0 {
		return e.opts.TransferTimeout
	}
	return 10 * e.lease()
}
