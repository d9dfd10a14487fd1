package tenure

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/internal/name"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// Limits of what may be asked for.
const (
	// MinTTL and MaxTTL bound Options.TTL.
	MinTTL = 100 * time.Millisecond
	MaxTTL = time.Hour
	// MaxName is the longest name of an election or ID of a member, in bytes.
	MaxName = 1 << 10
	// MaxEndpoint is the longest endpoint, in bytes.
	MaxEndpoint = 4 << 10
	// MaxAnnouncement is the longest announcement, in bytes.
	MaxAnnouncement = 64 << 10
	// MaxReason is the longest that either half of a Reason may be, in bytes.
	MaxReason = 1 << 10
)

// Defaults of Options.
const (
	DefaultTTL          = 10 * time.Second
	DefaultDrift        = 0.01
	DefaultDrainTimeout = 30 * time.Second
	DefaultFlapLimit    = 3
)

// Options are the settings of a Member. The zero value works.
type Options struct {
	// ID names the member; two live members never share one. The default is
	// made of the host's name, the process id and a nonce.
	ID string
	// Endpoint is what observers and clients are told of the leader, such as
	// "10.0.0.1:80". It may be empty.
	Endpoint string
	// TTL is how long the store keeps the session of a member that went silent:
	// a crash is noticed after it. Default 10 s, or the shortest that the store
	// gives if that is longer; at least 100 ms, at most 1 h. See Bounds for what
	// follows from it.
	TTL time.Duration
	// Drift is by how much the clock rates of two hosts may differ, as a
	// fraction: the faster runs at most 1 + Drift times as fast as the slower.
	// Default 0.01, at most 0.1.
	Drift float64
	// Margin is how long before the end of its session a holder stops: the time
	// it has to act in. Default TTL/10, at most 1 s. It may take, together with
	// TTL x Drift, a quarter of the TTL: what is left outlives a renewal that is
	// not answered.
	Margin time.Duration
	// Logger is told of state changes at Info and of retries at Debug. The
	// default says nothing.
	Logger *slog.Logger
	// Trace is called back; see there.
	Trace *Trace
	// Health, if not nil, says whether the member is fit to lead anything. It is
	// called every third of the TTL, one call at a time, with a context that ends
	// after as long, and must return then. An error or a panic is a failure. Once
	// it has failed for HealthGrace, terms end with ErrUnhealthy, their seats are
	// handed over, and the member takes none until a call succeeds.
	Health func(context.Context) error
	// HealthGrace is for how long a Health check may fail. Default: the TTL.
	HealthGrace time.Duration
	// FlapLimit is how many terms of one election may end within 5 minutes against
	// this member's will (lost, unhealthy, or by a function that failed and is to be
	// called again) before it stands back from the election: for 1 s, and twice as
	// long each further time, up to a minute. While it stands back it takes the seat
	// only when it is named by a transfer, which also forgets what was counted.
	// Default 3; a negative one counts and never stands back.
	FlapLimit int
	// History has the member write down its terms, for View.History: under one key for
	// each election, which stays when everybody has gone. A term costs two commits more.
	// They are made beside the protocol, which never waits for them; what cannot be
	// written is left out, and told to Trace.Trouble. Default: it writes nothing.
	History bool
}

// CampaignOptions are the settings of one campaign. The zero value works.
type CampaignOptions struct {
	// Priority puts a candidate before those of a lower one. Default 0. See
	// Member.SetPriority.
	Priority int
	// PreemptAfter, if not zero, lets a candidate of a higher priority have the
	// seat before this member's function is done: once a term has lasted so long,
	// it ends with ErrPreempted as soon as there is such a candidate. The time keeps
	// two members whose priorities change from passing the seat to and fro.
	PreemptAfter time.Duration
	// Policy, if not nil, says who may lead; see there.
	Policy Policy
	// Health is as in Options, for this election alone.
	Health func(context.Context) error
	// If are conditions of leading, on keys as seen through Data. They are checked
	// when the member has been elected and before anybody knows of it here, in one
	// transaction with the term's own: at some moment of the term all of them held.
	// Where one does not hold, the term ends and the seat goes to the next in line, and
	// the campaign with ErrConditionFailed; to others it was a short term. A term whose
	// conditions hold is not ended when they do no longer: put them into each Commit
	// where that matters. What the store leaves unanswered is asked again; nobody leads
	// meanwhile, as long as the session is renewed.
	If []store.Cond
}

// LeadOptions are the settings of Member.Lead. The zero value works.
type LeadOptions struct {
	// The settings that Campaign has, too; see CampaignOptions.
	Priority     int
	PreemptAfter time.Duration
	Policy       Policy
	Health       func(context.Context) error
	If           []store.Cond

	// DrainTimeout is how long the function may take to return after its context
	// was cancelled, before that is reported (Trace.Overrun). Default 30 s.
	DrainTimeout time.Duration
	// ReleaseOverrun gives the seat up when the drain time is over although the
	// function still runs, and makes Lead return ErrDrainTimeout. The risk: two
	// functions may then work at once, one of them without holding the term.
	// Without it the seat stays taken, not held, until the function returns.
	ReleaseOverrun bool
	// Requeue keeps the member in line when its function has returned nil, after
	// Term.Resign, too: the seat goes to the next candidate, and in the same
	// commit this member to the end of the line. Lead then ends only with its
	// context, with an error of the function, or with Close. When nobody else
	// waits, the function is called again at once.
	Requeue bool
	// Retry keeps the member in line when its function has failed or panicked, or a
	// condition of If does not hold: the seat is handed over, the failure is counted (Options.FlapLimit) and reported
	// (Trace.Failed), and Lead campaigns again. A member that fails at every
	// election so stands back ever longer, up to a minute.
	Retry bool
	// BeforeRelease, if not nil, is called once for each term, after the function
	// has returned and before the seat is passed on. Its context is alive and ends
	// after the DrainTimeout. Term.Cause says why the term has ended; where that is
	// ErrLost, the seat may be another's already. Its error is treated as one of the
	// function. Where a condition of If has failed there was no function, nor is this.
	BeforeRelease func(context.Context, Term) error

	failed func(error) // called back, too, where Trace.Failed is
}

func (o LeadOptions) campaign() CampaignOptions {
	return CampaignOptions{Priority: o.Priority, PreemptAfter: o.PreemptAfter, Policy: o.Policy, Health: o.Health, If: o.If}
}

func (o Options) withDefaults(caps store.Capabilities) (Options, error) {
	o.ID = cmp.Or(o.ID, NewID())
	o.TTL = cmp.Or(o.TTL, max(DefaultTTL, caps.MinTTL))
	o.Drift = cmp.Or(o.Drift, DefaultDrift)
	o.Margin = cmp.Or(o.Margin, min(o.TTL/10, time.Second))
	o.HealthGrace = cmp.Or(o.HealthGrace, o.TTL)
	o.FlapLimit = cmp.Or(o.FlapLimit, DefaultFlapLimit)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Trace == nil {
		o.Trace = &Trace{}
	}
	return o, o.validate(caps)
}

func (o Options) validate(caps store.Capabilities) error {
	if err := checkName("member id", o.ID); err != nil {
		return err
	}
	switch {
	case len(o.Endpoint) > MaxEndpoint:
		return invalid("endpoint of %d bytes; the limit is %d", len(o.Endpoint), MaxEndpoint)
	case !utf8.ValidString(o.Endpoint):
		return invalid("endpoint %q is not UTF-8", o.Endpoint)
	case o.TTL < MinTTL || o.TTL > MaxTTL:
		return invalid("TTL of %v; it must be from %v to %v", o.TTL, MinTTL, MaxTTL)
	case o.TTL < caps.MinTTL:
		return invalid("TTL of %v; the shortest that a %s store gives is %v", o.TTL, caps.Name, caps.MinTTL)
	case !(o.Drift >= 0 && o.Drift <= 0.1): // so written, it refuses NaN
		return invalid("drift of %v; it must be from 0 to 0.1", o.Drift)
	case o.HealthGrace < 0:
		return invalid("health grace of %v; it must not be negative", o.HealthGrace)
	case o.Margin < 0:
		return invalid("margin of %v; it must not be negative", o.Margin)
	case protocol.Trust(o.TTL, o.Drift, o.Margin) < o.TTL-o.TTL/4:
		// Of the second renewal after the last that was answered too little time
		// would be left, or none.
		return invalid("margin of %v and a drift of %v, which is %v of the TTL of %v; together they may take "+
			"a quarter of the TTL, %v, so that a renewal may go unanswered; lower them or lengthen the TTL",
			o.Margin, o.Drift, time.Duration(float64(o.TTL)*o.Drift), o.TTL, o.TTL/4)
	}
	return nil
}

func (o CampaignOptions) validate() error {
	if o.PreemptAfter < 0 {
		return invalid("preemption after %v; it must not be negative", o.PreemptAfter)
	}
	return nil
}

func (o LeadOptions) withDefaults() (LeadOptions, error) {
	if o.DrainTimeout < 0 {
		return o, invalid("drain timeout of %v; it must not be negative", o.DrainTimeout)
	}
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	return o, nil
}

// checkName refuses what cannot be a name: of an election or of a member.
func checkName(what, n string) error {
	if err := name.Check(what, n, MaxName); err != nil {
		return invalid("%w", err)
	}
	return nil
}

// checkStore refuses a store that lacks what an election needs.
func checkStore(st store.Store) error {
	c := st.Capabilities()
	const ops = 7 // of a hand-over
	switch {
	case !c.MultiKey:
		return fmt.Errorf("%w: a %s store has no transactions over several keys, which an election needs", store.ErrUnsupported, c.Name)
	case !c.ForeignLease:
		return fmt.Errorf("%w: a %s store cannot put a key on another member's lease, which a hand-over needs", store.ErrUnsupported, c.Name)
	case c.MaxOps > 0 && c.MaxOps < ops:
		return fmt.Errorf("%w: a %s store takes %d writes in a transaction, and a hand-over needs %d", store.ErrUnsupported, c.Name, c.MaxOps, ops)
	}
	return nil
}

// NewID returns an id like that of a member without Options.ID, for who has to know it
// before Join, as metrics have.
func NewID() string {
	host, err := os.Hostname()
	if err != nil || checkName("host name", host) != nil {
		host = "host"
	}
	return fmt.Sprintf("%.200s-%d-%s", host, os.Getpid(), nonce())
}

// nonce tells apart what has the same name: two starts of one member.
func nonce() string { return strings.ToLower(rand.Text()[:10]) }
