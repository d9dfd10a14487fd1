//go:build unix

package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/systemd"
)

// told are the variables that tell a child where it stands. A process that itself runs
// under another's leadership does not pass that one's on.
var told = []string{
	"TENURE_ELECTION", "TENURE_MEMBER", "TENURE_TOKEN", "TENURE_ENDPOINT", "TENURE_STORE",
	"TENURE_EVENT", "TENURE_ROLE", "TENURE_LEADER", "TENURE_REASON",
}

// childEnv is the environment of a child: this process's own, with what it is to be told
// in place of what has the same name, and without what is for this process alone. Of two
// variables of one name most programs see the first.
func childEnv(vars ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return systemd.Private(name) || slices.Contains(told, name)
	})
	return append(env, vars...)
}

// environment is what CMD and the commands beside it find. The token is 0 while this
// member does not lead.
func (r *runner) environment(token tenure.Token) []string {
	vars := []string{
		"TENURE_ELECTION=" + r.election,
		"TENURE_MEMBER=" + r.member,
		"TENURE_STORE=" + r.url,
	}
	if r.flags.endpoint != "" {
		vars = append(vars, "TENURE_ENDPOINT="+r.flags.endpoint)
	}
	if token != 0 {
		vars = append(vars, "TENURE_TOKEN="+strconv.FormatInt(int64(token), 10))
	}
	return childEnv(vars...)
}
