package cluster

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/name"
	"github.com/tenure-go/tenure/store"
)

// Limits of what may be asked for.
const (
	// MaxName is the longest name of a cluster or id of a node, in bytes.
	MaxName = 256
	// MaxKey is the longest key of a node's state, in bytes.
	MaxKey = 1 << 10
	// MaxValue is the longest value of a node's state, in bytes.
	MaxValue = 512 << 10
	// MaxRecord is how much the endpoint, version and tags of a node may take together,
	// in bytes.
	MaxRecord = 64 << 10
)

// DefaultTick is the default of Options.Tick.
const DefaultTick = time.Second

// LeaderRoutine is what the leader does on each tick; t is the term in which it leads.
// The context ends the moment the leadership does, and the routine must then return.
type LeaderRoutine func(ctx context.Context, t tenure.Term) error

// FollowerRoutine is what a follower does on each tick. The context ends the moment the
// node is elected, and the routine must then return.
type FollowerRoutine func(ctx context.Context) error

// Options are the settings of a node. The zero value works.
type Options struct {
	// Endpoint is where others reach the node, such as "10.0.0.1:80". It may be empty.
	Endpoint string
	// Version and Tags are for others to see, and mean nothing to this package.
	Version string
	Tags    map[string]string

	// Leader and Follower are the routines; either may be nil. They are called at the
	// first tick at once, then every Tick counted from the start of the last call, or
	// when that has returned if it is later: never two at a time. An error or a
	// panic is reported (Trace.Routine) and the next call put off, twice as long each
	// time, up to a minute or the Tick, whichever is longer.
	Leader   LeaderRoutine
	Follower FollowerRoutine
	// Tick is the time between two calls of a routine. Default 1 s. Nodes whose ticks
	// differ are told so (Trace.TickDiffers).
	Tick time.Duration
	// DrainTimeout is how long a routine may take to return after its context was
	// cancelled, before that is reported (Trace.Overrun). Default 30 s.
	DrainTimeout time.Duration

	// TTL is how long the store keeps the leadership of a node that went silent.
	// Default 10 s, or the shortest that the store gives if that is longer; see
	// tenure.Options.
	TTL time.Duration
	// NodeTTL is how long the store keeps the record and the state of a node that went
	// silent. Default 4/5 of the TTL, or the shortest that the store gives if that is
	// longer: a new leader does not find the dead one among the nodes, most often.
	NodeTTL time.Duration
	// Drift and Margin are as in tenure.Options, for the TTL.
	Drift  float64
	Margin time.Duration

	// Campaign says how the node competes for the leadership.
	Campaign tenure.CampaignOptions
	// NeverLead keeps the node from competing.
	NeverLead bool

	// Logger is told of state changes at Info and of retries at Debug. The default
	// says nothing.
	Logger *slog.Logger
	// Trace is called back; see there.
	Trace *Trace
}

func (o Options) withDefaults(caps store.Capabilities) (Options, error) {
	o.Tags = maps.Clone(o.Tags)
	o.Tick = cmp.Or(o.Tick, DefaultTick)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, tenure.DefaultDrainTimeout)
	o.TTL = cmp.Or(o.TTL, max(tenure.DefaultTTL, caps.MinTTL))
	o.NodeTTL = cmp.Or(o.NodeTTL, max(o.TTL*4/5, caps.MinTTL, min(o.TTL, tenure.MinTTL)))
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Trace == nil {
		o.Trace = &Trace{}
	}
	return o, o.validate()
}

func (o Options) validate() error {
	switch {
	case o.Tick < 0:
		return invalid("tick of %v; it must not be negative", o.Tick)
	case o.DrainTimeout < 0:
		return invalid("drain timeout of %v; it must not be negative", o.DrainTimeout)
	case o.Campaign.PreemptAfter < 0:
		return invalid("preemption after %v; it must not be negative", o.Campaign.PreemptAfter)
	case !utf8.ValidString(o.Version):
		return invalid("version %q is not UTF-8", o.Version)
	}
	if err := checkRecord(o.Endpoint, o.Version, o.Tags); err != nil {
		return err
	}
	for _, s := range []tenure.Options{o.leadership("", ""), o.membership("")} {
		if _, err := s.Bounds(); err != nil {
			return err
		}
	}
	return nil
}

// membership is the session that the node's record and state hang on.
func (o Options) membership(id string) tenure.Options {
	return tenure.Options{
		ID: id, Endpoint: o.Endpoint, TTL: o.NodeTTL, Drift: o.Drift,
		Margin: time.Duration(float64(o.Margin) * float64(o.NodeTTL) / float64(o.TTL)),
		Logger: o.Logger, Trace: o.Trace.Membership,
	}
}

// leadership is the session with which the node campaigns.
func (o Options) leadership(cluster, id string) tenure.Options {
	return tenure.Options{
		ID: memberID(cluster, id), Endpoint: o.Endpoint, TTL: o.TTL, Drift: o.Drift, Margin: o.Margin,
		Logger: o.Logger, Trace: o.Trace.Leadership,
	}
}

func checkRecord(endpoint, version string, tags map[string]string) error {
	size := len(endpoint) + len(version)
	for k, v := range tags {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return invalid("tag %q of %q is not UTF-8", k, v)
		}
		size += len(k) + len(v)
	}
	if size > MaxRecord {
		return invalid("endpoint, version and tags of %d bytes; the limit is %d, so publish what is longer by Put", size, MaxRecord)
	}
	return nil
}

// checkName refuses what cannot name a cluster, a node, or a key.
func checkName(what, n string, limit int) error {
	if err := name.Check(what, n, limit); err != nil {
		return invalid("%w", err)
	}
	return nil
}

func checkKey(key string) error { return checkName("key", key, MaxKey) }

func checkValue(key string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes under key %q; the limit is %d, so keep it elsewhere and publish where",
			store.ErrTooLarge, len(value), key, MaxValue)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", tenure.ErrInvalid, fmt.Errorf(format, args...))
}
