package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
)

// Exit codes. "tenure run" ends with the code of its command, and has codes of its own, which
// commands use less, where that could not be run.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitNobody     = 3 // leads, or lives
	exitNoKey      = 4
	exitTimeout    = 5
	exitRunTimeout = 124 // as of timeout(1)
	exitRunFailed  = guard.CodeNotStarted
)

// exitCodes is every code, what it means, and which commands end with it. The help of the
// root, "tenure help exit-codes" and docs/cli.md are made from it, so that they agree.
var exitCodes = []struct {
	code     any // a number, or how it comes about
	meaning  string
	commands string
}{
	{0, "success", allButRun},
	{exitFailed, "failure, and the error says which", allButRun},
	{exitUsage, "a command line that cannot be used", allButRun},
	{exitNobody, "nobody leads", "leader, depose, transfer"},
	{exitNobody, "the member does not lead", "resign"},
	{exitNobody, "no node lives", "nodes, state list"},
	{exitNoKey, "the node has no such key", "state get"},
	{exitTimeout, "it was not so in time", "wait"},
	{exitRunTimeout, "the --wait-timeout or the --max-hold has passed", "run"},
	{exitRunFailed, "tenure run could not do its part", "run"},
	{guard.CodeNotExecutable, "CMD cannot be executed", "run"},
	{guard.CodeNotFound, "there is no CMD", "run"},
	{"128+N", "signal N ended CMD, or tenure run while it waited", "run"},
	{"128+N", "it was told to stop a second time, by signal N", "campaign"},
	{"CMD's own", "CMD ended with it", "run"},
}

const allButRun = "all but run"

// exitCodesText is the table for a help text.
func exitCodesText() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, row := range exitCodes {
		fmt.Fprintf(w, "  %v\t%s\t%s\n", row.code, row.meaning, row.commands) //nolint:errcheck // a string takes all
	}
	_ = w.Flush() // as above
	return trimLines(b.String())
}

// trimLines takes the blanks off the ends of lines.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func newExitCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What each exit code means",
		Long:  "Exit codes, what each means, and which commands end with it:\n\n" + exitCodesText(),
	}
}

// exitError carries an exit code; its message may be empty.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
