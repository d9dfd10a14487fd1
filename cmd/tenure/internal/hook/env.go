package hook

import (
	"strconv"
	"strings"

	"github.com/tenure-go/tenure"
)

// Roles that a hook is told.
const (
	roleLeader   = "leader"
	roleFollower = "follower"
	roleObserver = "observer"
)

// facts are what the hook of a job finds in its environment, as of its start.
type facts struct {
	role   string
	member string
	leader tenure.Leader // zero: nobody is known to lead
	token  tenure.Token  // of the term that the hook is about; 0: none
	reason string
}

// factsOf returns them. Runner.mu is held.
func (r *Runner) factsOf(j *job) facts {
	f := facts{role: roleFollower, member: r.member, reason: j.reason}
	if r.conf.Observer {
		f.role = roleObserver
	}
	if r.seen.Token > r.queue.term && r.seen.Member != r.member {
		f.leader = r.seen
	}
	switch {
	case j.kind == Follower:
		f.leader = j.leader
	case j.kind == Lost:
		f.token = j.token()
		return f
	case r.queue.term != 0: // elected, or an error of a leader
		f.role = roleLeader
		f.leader = tenure.Leader{Member: r.member, Endpoint: r.conf.Endpoint, Token: r.queue.term}
	}
	f.token = f.leader.Token
	return f
}

// env is the environment of a hook: this process's, with what is about the election.
// All of it is set, if only to nothing: this process may be the child of another that
// has set it.
func (r *Runner) env(kind Kind, f facts) []string {
	token := ""
	if f.token != 0 {
		token = strconv.FormatInt(int64(f.token), 10)
	}
	return r.conf.Environ(
		"TENURE_EVENT="+string(kind),
		"TENURE_ROLE="+f.role,
		"TENURE_ELECTION="+r.conf.Election,
		"TENURE_MEMBER="+value(f.member),
		"TENURE_STORE="+r.conf.Store,
		"TENURE_LEADER="+value(f.leader.Member),
		"TENURE_ENDPOINT="+value(f.leader.Endpoint),
		"TENURE_TOKEN="+token,
		"TENURE_REASON="+value(f.reason),
	)
}

// maxValue is far beyond what members write, and below what the system refuses, so that
// no record that a stranger wrote keeps the hooks from running.
const maxValue = 32 << 10

// value makes a text one that an environment can hold.
func value(text string) string {
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "")
	}
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}
