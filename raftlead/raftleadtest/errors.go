package raftleadtest

import "errors"

// Errors that callers test for, beside tenure.ErrInvalid and those of package raftlead.
var (
	// ErrTimeout: what was waited for did not come in time. The message names the server
	// and the time.
	ErrTimeout = errors.New("raftleadtest: not in time")
	// ErrUnknown: there is no server of this id.
	ErrUnknown = errors.New("raftleadtest: unknown server")
	// ErrTracked: the server is tracked already, and its source has not ended.
	ErrTracked = errors.New("raftleadtest: tracked already")
	// ErrIgnored: Ignore was called.
	ErrIgnored = errors.New("raftleadtest: elections are ignored")
	// ErrClosed: the Tracker or Cluster was closed.
	ErrClosed = errors.New("raftleadtest: closed")
)

// What a Tracker holds to be violations; see Tracker.Err.
var (
	// ErrUnexpected: a server was elected that nobody expected. Only a Strict Tracker
	// says so.
	ErrUnexpected = errors.New("raftleadtest: unexpected leadership")
	// ErrTwoLeaders: two servers lead in one raft term.
	ErrTwoLeaders = errors.New("raftleadtest: two leaders in one term")
	// ErrAcquiredTwice: a server was elected that had not lost its leadership.
	ErrAcquiredTwice = errors.New("raftleadtest: leadership acquired twice in a row")
	// ErrLostTwice: a server was told twice that it does not lead, with nothing changed.
	ErrLostTwice = errors.New("raftleadtest: leadership lost twice in a row")
	// ErrTermFell: a server's raft term is lower than it was.
	ErrTermFell = errors.New("raftleadtest: raft term went back")
	// ErrLeftOut: a transition is missing, as Transition.Seq says.
	ErrLeftOut = errors.New("raftleadtest: transition left out")
)
