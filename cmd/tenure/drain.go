package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

func newDrain(c *common) *cobra.Command {
	var f orderFlags
	cmd := &cobra.Command{
		Use:   "drain MEMBER",
		Short: "Have a member give up its seats, and take none",
		Long: `Has MEMBER give up its seats in all elections, and take none until "tenure undrain
MEMBER", however often it is started: for maintenance of its host. Each seat goes to
the next in line when the member's work has ended cleanly ("tenure run" sends TERM to
its CMD, which has its --grace, and goes on waiting); this is not waited for. The member need
not run. Asks first. An id that begins with a dash goes after "--".`,
		Args: oneMember,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage(cmd, "%w", err)
			}
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // what was written is acknowledged
			if err := f.confirmDrain(cmd.Context(), st, args[0]); err != nil {
				return err
			}
			order := f.order()
			if err := tenure.Drain(cmd.Context(), st, args[0], order); err != nil {
				return err
			}
			return c.ordered(cmd, plain(args[0])+" is draining: it gives up its seats, and takes none until it is undrained",
				orderJSON{Event: "draining", Member: args[0], reasonJSON: newReasonJSON(order)})
		},
	}
	f.add(cmd)
	return cmd
}

func (f *orderFlags) confirmDrain(ctx context.Context, st store.Store, member string) error {
	if f.yes {
		return nil
	}
	all, err := tenure.Survey(ctx, st)
	if err != nil && !errors.Is(err, tenure.ErrCorrupt) { // all that can be read is there
		return err
	}
	leads := seatsOf(all, member)
	if leads == "" {
		leads = "nothing"
	}
	return f.confirm("%s leads %s.\nDrain it?", plain(member), leads)
}

// seatsOf names the elections that a member leads.
func seatsOf(all []tenure.Status, member string) string {
	var names []string
	for _, s := range all {
		if s.Leader != nil && s.Leader.Member == member {
			names = append(names, plain(s.Election))
		}
	}
	return strings.Join(names, ", ")
}

func newUndrain(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain MEMBER",
		Short: "Let a member take seats again",
		Long: `Ends what "tenure drain MEMBER" began: the member waits for seats again. For one that
is not drained it changes nothing. An id that begins with a dash goes after "--".`,
		Args: oneMember,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // what was written is acknowledged
			if err := tenure.Undrain(cmd.Context(), st, args[0]); err != nil {
				return err
			}
			return c.ordered(cmd, plain(args[0])+" is not drained", orderJSON{Event: "undrained", Member: args[0]})
		},
	}
}
