package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
)

// checkName refuses what cannot name an election or a member. The library would
// do so, too, but only once there is a store, and perhaps a new file.
func checkName(what, name string) error { return checkText(what, name, 1, tenure.MaxName) }

// checkText refuses what cannot name anything, or be the beginning of a name.
func checkText(what, text string, least, most int) error {
	switch {
	case len(text) < least:
		return fmt.Errorf("%s is empty; give %d to %d bytes", what, least, most)
	case len(text) > most:
		return fmt.Errorf("%s has %d bytes; give %d at most", what, len(text), most)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s %q is not UTF-8; give one that is", what, text)
	}
	return nil // an argument cannot have a NUL byte
}

// oneElection wants the name of one election.
func oneElection(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "want the name of one election, got %d arguments", len(args))
	}
	return optionalElection(cmd, args)
}

// oneMember wants the id of one member.
func oneMember(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, "want the id of one member, got %d arguments", len(args))
	}
	if err := checkName("member id", args[0]); err != nil {
		return usage(cmd, "%w", err)
	}
	return nil
}

// noArguments wants flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) != 0 {
		return usage(cmd, "want no arguments, got %d", len(args))
	}
	return nil
}

// optionalElection wants the name of one election, or nothing.
func optionalElection(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return nil
	case 1:
		if err := checkName("election name", args[0]); err != nil {
			return usage(cmd, "%w", err)
		}
		return nil
	}
	return usage(cmd, "want the name of one election or none, got %d arguments", len(args))
}

// named is what the words in the usage lines of commands stand for, and how long it
// may be.
var named = map[string]struct {
	what string
	most int
}{
	"CLUSTER": {"cluster name", cluster.MaxName},
	"NODE":    {"node id", cluster.MaxName},
	"KEY":     {"key", cluster.MaxKey},
}

// asUsed wants the arguments that the command's usage line names, each within its
// limit. Those in brackets may be missing.
func asUsed(cmd *cobra.Command, args []string) error {
	_, line, _ := strings.Cut(cmd.Use, " ")
	words := strings.Fields(line)
	if least := len(words) - strings.Count(line, "["); len(args) < least || len(args) > len(words) {
		return usage(cmd, "want %s, got %d arguments", line, len(args))
	}
	for i, arg := range args {
		n, ok := named[strings.Trim(words[i], "[]")]
		if !ok {
			continue
		}
		if err := checkText(n.what, arg, 1, n.most); err != nil {
			return usage(cmd, "%w", err)
		}
	}
	return nil
}
