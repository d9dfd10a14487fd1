package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

// orderFlags are what every command has that takes effect on others.
type orderFlags struct {
	yes    bool
	reason string
}

func (f *orderFlags) add(cmd *cobra.Command) {
	f.addYes(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why; all who look at the election are told")
}

func (f *orderFlags) addYes(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
}

// check refuses what the library would refuse, and what could not be confirmed,
// before anything is made in a store.
func (f *orderFlags) check() error {
	switch {
	case len(f.reason) > tenure.MaxReason:
		return fmt.Errorf("--reason has %d bytes; give %d at most", len(f.reason), tenure.MaxReason)
	case !utf8.ValidString(f.reason):
		return fmt.Errorf("--reason %q is not UTF-8; give one that is", f.reason)
	case !f.yes && !askable():
		return errors.New("no terminal to ask on whether this is meant; give --yes if it is")
	}
	return nil
}

// askable reports whether there is somebody who sees a question, and can answer.
func askable() bool {
	return isatty.IsTerminal(os.Stdin.Fd()) && isatty.IsTerminal(os.Stderr.Fd())
}

// confirm asks, unless --yes was given.
func (f *orderFlags) confirm(format string, args ...any) error {
	if f.yes {
		return nil
	}
	fmt.Fprintf(os.Stderr, format+" [y/N] ", args...)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr) // what ends the input ends no line
	}
	return errors.New("not confirmed; nothing was done")
}

// order is who wants it, and why.
func (f *orderFlags) order() tenure.Reason { return tenure.Reason{By: operator(), Why: f.reason} }

// operator is the user at this host. What the system does not tell is left out:
// nobody must be unable to depose because of that.
func operator() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return strings.ToValidUTF8(name[:min(len(name), tenure.MaxReason)], "")
}

// described is a leader in words.
func described(l tenure.Leader) string {
	if l.Endpoint == "" {
		return fmt.Sprintf("%s leads, token %d", plain(l.Member), l.Token)
	}
	return fmt.Sprintf("%s at %s leads, token %d", plain(l.Member), plain(l.Endpoint), l.Token)
}

// leads prints who leads after an order has been carried out, as watch would print
// the event.
func (c *common) leads(cmd *cobra.Command, election string, leader tenure.Leader) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), newEventJSON(election, tenure.Event{Kind: tenure.Elected, Leader: leader}))
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), described(leader))
	return err
}

// ordered prints an order that has been given: text, or its JSON form.
func (c *common) ordered(cmd *cobra.Command, text string, value orderJSON) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), value)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// checkToken refuses what no term has.
func checkToken(token int64) error {
	if token < 0 {
		return fmt.Errorf("--token is %d; give one that \"tenure leader --json\" has shown", token)
	}
	return nil
}

// seen returns the leader to act on: who leads, unless --token says that another was
// meant.
func seen(op string, s tenure.Status, token tenure.Token) (tenure.Leader, error) {
	var err error
	switch {
	case s.Leader == nil && s.Vacancy != nil:
		err = fmt.Errorf("%w: %s", tenure.ErrNoLeader, deposed(*s.Vacancy))
	case s.Leader == nil:
		err = tenure.ErrNoLeader
	case token != 0 && token != s.Leader.Token:
		err = fmt.Errorf("%w: %s", tenure.ErrChanged, described(*s.Leader))
	default:
		return *s.Leader, nil
	}
	return tenure.Leader{}, withCode(&tenure.Error{Op: op, Election: s.Election, Err: err})
}

// withCode gives an error the exit code that is its own.
func withCode(err error) error {
	if errors.Is(err, tenure.ErrNoLeader) {
		return &exitError{exitNobody, err}
	}
	return err
}
