package tenure

import (
	"time"

	"github.com/tenure-go/tenure/store"
)

// Token is the fencing token of a term. Within one election tokens rise with
// every term, for ever: over resignations, crashes, restarts and compactions.
type Token = store.Revision

// Trace is a set of callbacks for metrics, tests and alerts. Each may be nil.
// They are called one at a time, in the order of what happened, and apart from
// the protocol: a slow one delays other callbacks and log lines, nothing else.
// They must return, and must not call Close. A panic of one is told to Trouble and to
// the Logger, as a *PanicError.
type Trace struct {
	// SessionStarted: a lease was granted. Members remake a lost session.
	SessionStarted func(SessionInfo)
	// SessionLost: the session and all its terms have ended.
	SessionLost func(SessionInfo, error)
	// Round: a renewal was answered, or was not.
	Round func(RoundInfo)
	// Elected: a term has begun.
	Elected func(TermInfo)
	// Ended: a term has ended, with its cause. It is called once for each
	// Elected.
	Ended func(TermInfo, error)
	// Warning: the term ends in so long, unless a renewal that is under way or the
	// next one succeeds: a third of the TTL at most is left. It is called once for
	// each time that it comes to that.
	Warning func(TermInfo, time.Duration)
	// Failed: the function of a term, or its BeforeRelease, has failed, or a condition
	// of LeadOptions.If, and the member campaigns again, with LeadOptions.Retry or because the term was ended by
	// others. That it was told to stop is no failure.
	Failed func(TermInfo, error)
	// StoodBack: the member stands back from an election for so long, because that
	// many of its terms have ended of late against its will; see
	// Options.FlapLimit.
	StoodBack func(election string, flaps int, during time.Duration)
	// Overrun: the function of an ended term still runs after its drain time.
	Overrun func(TermInfo, time.Duration)
	// Trouble: a request failed and will be tried again, or a callback ("callback") or a
	// policy ("ask policy") has panicked, or a history will lack terms ("leave terms
	// out of history"). The election is empty for what belongs to the
	// session.
	Trouble func(election, request string, err error)
	// DuplicateWait: Join waits for another owner of the id to go away, for at
	// most the given time.
	DuplicateWait func(id, endpoint string, atMost time.Duration)
}

// SessionInfo describes a session.
type SessionInfo struct {
	ID  string
	TTL time.Duration // as granted, which may be longer than asked for
}

// TermInfo describes a term.
type TermInfo struct {
	Election string
	Member   string
	Token    Token
}

// RoundInfo describes one renewal.
type RoundInfo struct {
	// Took is from before the renewal was sent until its answer.
	Took time.Duration
	// Late is how long after it was due it was sent, by whichever clock says more. What
	// is not next to nothing is a process that was stopped or starved, a host that
	// slept, or a wall clock that was set forward.
	Late time.Duration
	// Until is the session's deadline after it.
	Until time.Time
	Err   error
}

// MultiTrace returns a Trace whose callbacks call those of all the given ones, in order. A nil
// Trace is one without callbacks. A panic of one keeps the others, behind it, from that call.
func MultiTrace(traces ...*Trace) *Trace {
	of := make([]Trace, 0, len(traces))
	for _, t := range traces {
		if t != nil {
			of = append(of, *t)
		}
	}
	return &Trace{
		SessionStarted: func(s SessionInfo) {
			for i := range of {
				if f := of[i].SessionStarted; f != nil {
					f(s)
				}
			}
		},
		SessionLost: func(s SessionInfo, err error) {
			for i := range of {
				if f := of[i].SessionLost; f != nil {
					f(s, err)
				}
			}
		},
		Round: func(r RoundInfo) {
			for i := range of {
				if f := of[i].Round; f != nil {
					f(r)
				}
			}
		},
		Elected: func(t TermInfo) {
			for i := range of {
				if f := of[i].Elected; f != nil {
					f(t)
				}
			}
		},
		Ended: func(t TermInfo, cause error) {
			for i := range of {
				if f := of[i].Ended; f != nil {
					f(t, cause)
				}
			}
		},
		Warning: func(t TermInfo, left time.Duration) {
			for i := range of {
				if f := of[i].Warning; f != nil {
					f(t, left)
				}
			}
		},
		Failed: func(t TermInfo, err error) {
			for i := range of {
				if f := of[i].Failed; f != nil {
					f(t, err)
				}
			}
		},
		StoodBack: func(election string, flaps int, during time.Duration) {
			for i := range of {
				if f := of[i].StoodBack; f != nil {
					f(election, flaps, during)
				}
			}
		},
		Overrun: func(t TermInfo, after time.Duration) {
			for i := range of {
				if f := of[i].Overrun; f != nil {
					f(t, after)
				}
			}
		},
		Trouble: func(election, request string, err error) {
			for i := range of {
				if f := of[i].Trouble; f != nil {
					f(election, request, err)
				}
			}
		},
		DuplicateWait: func(id, endpoint string, atMost time.Duration) {
			for i := range of {
				if f := of[i].DuplicateWait; f != nil {
					f(id, endpoint, atMost)
				}
			}
		},
	}
}
