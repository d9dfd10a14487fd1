package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

// checkName refuses what cannot name an election or a member. The library would
// do so, too, but only once there is a store, and perhaps a new file.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty; give 1 to %d bytes", what, tenure.MaxName)
	case len(name) > tenure.MaxName:
		return fmt.Errorf("%s has %d bytes; give %d at most", what, len(name), tenure.MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %q is not UTF-8; give one that is", what, name)
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
