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
	{"TENURE_ELECTION", "CMD of run", "the name of the election"},
	{"TENURE_MEMBER", "CMD of run", "the id of the member that leads, which is this one"},
	{"TENURE_TOKEN", "CMD of run", "the token of the term, which rises with every term of the election"},
	{storeEnv, "CMD of run", "the store, so that \"tenure\" uses the same one there"},
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
