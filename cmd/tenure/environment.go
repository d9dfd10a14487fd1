package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const (
	storeEnv = "TENURE_STORE"
	stateEnv = "XDG_STATE_HOME"
	// passwordEnv holds the password of an etcd user. What stands in a URL can be read in
	// lists of processes, in logs, and in the environment of CMD's children.
	passwordEnv = "TENURE_ETCD_PASSWORD"
)

// environment is every variable that the command reads or sets. "tenure help environment"
// and docs/cli.md are made from it.
var environment = []struct {
	name    string
	whose   string // who reads it
	meaning string
}{
	{storeEnv, "tenure", "the store to use where there is no --store"},
	{passwordEnv, "tenure", "the password of the user that the URL of an etcd store names"},
	{stateEnv, "tenure", "where the folder of the default store is; ~/.local/state without it"},
	{"NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID", "run, campaign, serve", "the service manager to tell; not passed on to CMD and hooks"},
	{"TENURE_ELECTION", "CMD of run, hooks, resign", "the name of the election"},
	{"TENURE_MEMBER", "CMD of run, hooks, resign", "the id of this member"},
	{"TENURE_TOKEN", "CMD of run, hooks, resign", "the token of the term, which rises with every term of the election"},
	{"TENURE_ENDPOINT", "CMD of run", "the endpoint of this member, if it has one"},
	{"TENURE_ENDPOINT", "hooks", "the endpoint of the member that leads"},
	{storeEnv, "CMD of run, hooks", "the store, so that \"tenure\" uses the same one there"},
	{"TENURE_EVENT", "hooks", "elected, lost, follower or error"},
	{"TENURE_ROLE", "hooks", "of this member: leader, follower or observer"},
	{"TENURE_LEADER", "hooks", "the id of the member that leads"},
	{"TENURE_REASON", "hooks", "why the leadership was lost, or what has failed"},
}

func newEnvironment() *cobra.Command {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, v := range environment {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.name, v.whose, v.meaning) //nolint:errcheck // a string takes all
	}
	_ = w.Flush() // as above
	return &cobra.Command{
		Use:   "environment",
		Short: "Which environment variables are read and set",
		Long:  "Environment variables, who reads them, and what they say:\n\n" + trimLines(b.String()),
	}
}
