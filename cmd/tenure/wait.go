package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

const waitHelp = `Waits for a leader of the election NAME, and prints it as "tenure leader" does.

    --for leader    until somebody leads, whoever that is (the default)
    --for ID        until the member ID leads
    --for change    until a term begins that had not begun at the start, whoever leads
                    in it; with --token N, one that follows on the term of token N

A member that is itself called leader or change is "--for id:leader". While the store
is away it is waited for, too. A name that begins with a dash goes after "--".

    token=$(tenure leader NAME --json | jq .token)
    ...
    tenure wait NAME --for change --token "$token" --timeout 1m

Exit codes: 0 it is so; 5 it was not within --timeout; 1 failure; 2 a command line that
cannot be used.`

// awaited is what "tenure wait" waits for.
type awaited struct {
	member string       // "": anybody
	change bool         // a new term
	after  tenure.Token // with change; 0: after the one that is there at first
}

type waitFlags struct {
	*common
	until   string
	token   int64
	timeout time.Duration
}

func newWait(c *common) *cobra.Command {
	f := waitFlags{common: c}
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait for a leader, a certain one, or another",
		Long:  waitHelp,
		Args:  oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := f.parse(cmd)
			if err != nil {
				return usage(cmd, "%w", err)
			}
			return f.wait(cmd, args[0], want)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.until, "for", "leader", "what to wait for: leader, change or the id of a member")
	flags.Int64Var(&f.token, "token", 0, "with --for change: of the term to follow on (default that of the start)")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long to wait (default for ever)")
	return cmd
}

func (f *waitFlags) parse(cmd *cobra.Command) (awaited, error) {
	want := awaited{after: tenure.Token(f.token)}
	switch f.until {
	case "leader":
	case "change":
		want.change = true
	default:
		want.member = strings.TrimPrefix(f.until, "id:")
		if err := checkName("--for", want.member); err != nil {
			return want, err
		}
	}
	if err := checkToken(f.token); err != nil {
		return want, err
	}
	switch {
	case cmd.Flags().Changed("token") && !want.change:
		return want, errors.New("--token is for --for change; leave it out")
	case f.timeout < 0 || f.timeout == 0 && cmd.Flags().Changed("timeout"):
		return want, fmt.Errorf("--timeout is %v; give one above 0, or leave it out to wait for ever", f.timeout)
	}
	return want, nil
}

func (f *waitFlags) wait(cmd *cobra.Command, election string, want awaited) error {
	ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
	if f.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
	}
	defer cancel()
	st, err := f.openPatiently(ctx)
	if err == nil {
		defer func() { _ = st.Close() }() // nothing was written
		var leader tenure.Leader
		if leader, err = want.wait(ctx, tenure.NewView(st, election)); err == nil {
			return f.printLeader(cmd, election, leader)
		}
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &exitError{exitTimeout, fmt.Errorf("%s: %s within %v", plain(election), want, f.timeout)}
	}
	return err
}

// wait waits until it is so, and returns who leads.
func (a awaited) wait(ctx context.Context, view *tenure.View) (tenure.Leader, error) {
	after, begun := a.after, !a.change || a.after != 0
	for ev, err := range view.Observe(ctx) {
		switch {
		case err != nil:
			return tenure.Leader{}, err
		case !begun: // the first is what is there at the start
			after, begun = ev.Leader.Token, true
		case ev.Kind == tenure.Elected && ev.Leader.Token > after && (a.member == "" || a.member == ev.Leader.Member):
			return ev.Leader, nil
		}
	}
	return tenure.Leader{}, ctx.Err() // not reached: the sequence ends with an error
}

// String says what has not happened.
func (a awaited) String() string {
	switch {
	case a.change:
		return "no term has begun"
	case a.member != "":
		return plain(a.member) + " has not led"
	}
	return "nobody has led"
}

// openPause is between two attempts to open a store that is away.
const openPause = time.Second

// openPatiently opens the store however long it is away.
func (c *common) openPatiently(ctx context.Context) (store.Store, error) {
	for {
		st, _, err := c.open(ctx)
		if !errors.Is(err, store.ErrUnavailable) {
			return st, err
		}
		select {
		case <-time.After(openPause):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}
