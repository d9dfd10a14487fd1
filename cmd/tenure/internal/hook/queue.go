package hook

import (
	"context"
	"slices"
	"time"

	"github.com/tenure-go/tenure"
)

// Kind is what a hook is for.
type Kind string

// The kinds.
const (
	Elected  Kind = "elected"
	Lost     Kind = "lost"
	Follower Kind = "follower"
	Error    Kind = "error"
)

// job is one hook that is to run, or runs.
type job struct {
	kind   Kind
	term   tenure.Term   // elected, lost
	leader tenure.Leader // follower
	reason string        // lost, error

	stop    chan struct{} // closed when it is superseded
	stopped bool
	done    chan error // holds one: how it has ended
}

func newJob(kind Kind) *job {
	return &job{kind: kind, stop: make(chan struct{}), done: make(chan error, 1)}
}

// token is that of the term that a job tells of.
func (j *job) token() tenure.Token {
	if j.term != nil {
		return j.term.Token()
	}
	return j.leader.Token
}

// context ends when the hook of a job must.
func (j *job) context() context.Context {
	if j.kind == Elected {
		return j.term.Context()
	}
	return context.Background()
}

// over reports whether the hook of a job must end, or must not begin.
func (j *job) over() bool { return j.context().Err() != nil }

// Limits of errors, or a store that is away would mean a hook without end.
const (
	maxErrors  = 8           // that wait
	repetition = time.Minute // after which a text is told again
)

// queue decides what runs next, and what is superseded; see the package's
// documentation. It starts nothing, and waits for nothing.
type queue struct {
	running  *job
	role     *job
	follower *job
	errors   []*job

	term   tenure.Token // that lasts, 0: none does
	latest tenure.Token // that anybody has been told of
	told   map[string]time.Time
}

// elected begins a term.
func (q *queue) elected(j *job) {
	q.role, q.term = j, j.token()
	q.latest = max(q.latest, q.term)
	if q.follower != nil && q.follower.token() < q.term {
		q.follower = nil
	}
	q.stopRunning(Follower)
}

// lost takes in the end of the term.
func (q *queue) lost(j *job) {
	q.role = j
	q.stopRunning(Error)
}

// withdraw forgets a job that still waits.
func (q *queue) withdraw(j *job) bool {
	if q.role != j {
		return false
	}
	q.role, q.term = nil, 0
	return true
}

// follow takes in a leader, unless a newer one is known.
func (q *queue) follow(j *job) bool {
	if j.token() <= q.latest {
		return false
	}
	q.latest, q.follower = j.token(), j
	q.stopRunning(Follower)
	return true
}

// fail takes in an error, unless it was told a moment ago or too many wait.
func (q *queue) fail(j *job, now time.Time) bool {
	for text, at := range q.told {
		if now.Sub(at) >= repetition {
			delete(q.told, text)
		}
	}
	if _, repeated := q.told[j.reason]; repeated || len(q.errors) == maxErrors {
		return false
	}
	if q.told == nil {
		q.told = map[string]time.Time{}
	}
	q.told[j.reason] = now
	q.errors = append(q.errors, j)
	return true
}

func (q *queue) stopRunning(kind Kind) {
	if j := q.running; j != nil && j.kind == kind && !j.stopped {
		j.stopped = true
		close(j.stop)
	}
}

// next takes what is to run now, if anything is.
func (q *queue) next() *job {
	switch {
	case q.running != nil:
		return nil
	case q.role != nil:
		q.running, q.role = q.role, nil
	case q.follower != nil && q.term == 0:
		q.running, q.follower = q.follower, nil
	case len(q.errors) > 0:
		q.running = q.errors[0]
		q.errors = slices.Delete(q.errors, 0, 1)
	}
	return q.running
}

// ended makes room for the next. A term is over with its hook of lost, or without one if
// that of elected has failed.
func (q *queue) ended(err error) {
	if kind := q.running.kind; kind == Lost || kind == Elected && err != nil {
		q.term = 0
	}
	q.running = nil
}

// drop forgets what nobody waits for, and returns what somebody does.
func (q *queue) drop() (role *job) {
	role = q.role
	q.role, q.follower, q.errors = nil, nil, nil
	return role
}
