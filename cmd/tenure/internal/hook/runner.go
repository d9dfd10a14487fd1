package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// Config is what a Runner is made with.
type Config struct {
	Commands map[Kind]string // for /bin/sh -c; a kind may have none
	Timeout  time.Duration   // of one hook
	Guard    []string        // the command line that makes this program call guard.Main

	Election, Member, Endpoint, Store string // what hooks are told; Member as far as it is known
	Observer                          bool   // this process is no member

	// Environ is this process's environment, with these variables in place of those of
	// the same names.
	Environ func(vars ...string) []string
	// Tell is told of hooks that fail.
	Tell func(err error)
}

// Runner runs hooks. All methods may be called from many goroutines.
type Runner struct {
	conf    Config
	wake    chan struct{} // holds one: there is something to take
	renewed chan struct{} // holds one: the term's deadline has moved
	abort   context.Context
	kill    context.CancelFunc
	loop    sync.WaitGroup
	standby *guard.Guard // warm, for the next hook; the loop's own

	mu      sync.Mutex
	member  string
	queue   queue
	seen    tenure.Leader // somebody else, or before this member's term
	closing bool
}

// Start returns a runner, which Close ends.
func Start(conf Config) *Runner {
	r := &Runner{conf: conf, member: conf.Member, wake: make(chan struct{}, 1), renewed: make(chan struct{}, 1)}
	r.abort, r.kill = context.WithCancel(context.Background())
	r.loop.Go(r.run)
	return r
}

// Joined says which member this process is: the store may have to be asked for that.
func (r *Runner) Joined(member string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.member = member
}

// errKilled: nothing is run any more.
var errKilled = errors.New("hooks were told to end at once")

// Elected is for Callbacks.Elected: it runs the hook, and returns when that has ended. An
// error refuses the term, if that has not ended: then it is the cause of the end, and says
// that there is nothing for Lost to undo.
func (r *Runner) Elected(_ context.Context, t tenure.Term) error {
	j := newJob(Elected)
	j.term = t
	err := r.await(j, func() { r.queue.elected(j) })
	if errors.Is(err, errNotBegun) {
		return t.Cause()
	}
	return err
}

// Lost is for Callbacks.Lost: it runs the hook, and returns when that has ended.
func (r *Runner) Lost(t tenure.Term, cause error) {
	j := newJob(Lost)
	j.term, j.reason = t, cause.Error()
	_ = r.await(j, func() { r.queue.lost(j) }) // which has been told
}

// await puts a job into the queue and waits for its end.
func (r *Runner) await(j *job, add func()) error {
	r.mu.Lock()
	if r.abort.Err() != nil {
		r.mu.Unlock()
		return errKilled
	}
	add()
	r.signal(r.wake)
	r.mu.Unlock()
	select {
	case err := <-j.done:
		return err
	case <-j.context().Done():
	}
	if r.withdraw(j) {
		return errNotBegun
	}
	return <-j.done // the loop ends every job that it has taken
}

// withdraw takes a job out of the queue, unless it has begun.
func (r *Runner) withdraw(j *job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signal(r.wake) // a follower may wait for the end of the term
	return r.queue.withdraw(j)
}

// Changed takes in a change of the leader.
func (r *Runner) Changed(ev tenure.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = ev.Leader
	if ev.Kind != tenure.Elected || ev.Leader.Member == r.member || r.conf.Commands[Follower] == "" || r.ended() {
		return
	}
	j := newJob(Follower)
	j.leader = ev.Leader
	if r.queue.follow(j) {
		r.signal(r.wake)
	}
}

// Error takes in an error after which the campaign goes on.
func (r *Runner) Error(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conf.Commands[Error] == "" || r.ended() {
		return
	}
	j := newJob(Error)
	j.reason = err.Error()
	if r.queue.fail(j, time.Now()) {
		r.signal(r.wake)
	}
}

// Renewed says that the deadline of the term has moved.
func (r *Runner) Renewed() { r.signal(r.renewed) }

func (r *Runner) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is enough
	}
}

// ended: nothing new is taken in. r.mu is held.
func (r *Runner) ended() bool { return r.closing || r.abort.Err() != nil }

// Kill kills the hook that runs, and starts no other.
func (r *Runner) Kill() { r.kill() }

// Close stops a hook of Follower, runs those of errors that wait, and waits for their
// end. Neither Elected nor Lost may run.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closing = true
	r.queue.follower = nil
	r.queue.stopRunning(Follower)
	r.signal(r.wake)
	r.mu.Unlock()
	r.loop.Wait()
	r.kill()
}

// run is the loop: it alone starts hooks.
func (r *Runner) run() {
	defer r.discardStandby()
	for {
		j, ended := r.take()
		switch {
		case j != nil:
			err := r.execute(j)
			r.mu.Lock()
			r.queue.ended(err)
			r.mu.Unlock()
			r.report(j, err)
			j.done <- err
		case ended:
			return
		default:
			if r.runs() {
				_ = r.prepare() // which start does again, and reports
			}
			select {
			case <-r.wake:
			case <-r.abort.Done():
			}
		}
	}
}

// runs reports whether there is any command.
func (r *Runner) runs() bool {
	for _, text := range r.conf.Commands {
		if text != "" {
			return true
		}
	}
	return false
}

// take returns the job to run next, or whether there never will be one.
func (r *Runner) take() (j *job, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.abort.Err() != nil {
		if role := r.queue.drop(); role != nil {
			role.done <- errKilled
		}
		return nil, true
	}
	j = r.queue.next()
	return j, r.closing
}

// report tells of a hook that failed, and runs another for that.
func (r *Runner) report(j *job, err error) {
	if err == nil || errors.Is(err, errNotBegun) {
		return
	}
	err = fmt.Errorf("on-%s: %w", j.kind, err)
	r.conf.Tell(err)
	if j.kind != Error {
		r.Error(err)
	}
}
