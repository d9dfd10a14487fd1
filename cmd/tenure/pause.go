package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

func newPause(c *common) *cobra.Command {
	var f orderFlags
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Let nobody be elected for now",
		Long: `Lets nobody be elected in the election NAME until "tenure unpause NAME". A leader
goes on, and when its term ends the seat stays free. Nobody needs to take part in
the election yet. Asks first. A name that begins with a dash goes after "--".`,
		Args: oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage(cmd, "%w", err)
			}
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // what was written is acknowledged
			view := tenure.NewView(st, args[0])
			if err := f.confirmPause(cmd.Context(), view, args[0]); err != nil {
				return err
			}
			order := f.order()
			if err := view.Pause(cmd.Context(), order); err != nil {
				return err
			}
			return c.ordered(cmd, plain(args[0])+" is paused: nobody is elected until it is unpaused",
				orderJSON{Event: "paused", Election: args[0], reasonJSON: newReasonJSON(order)})
		},
	}
	f.add(cmd)
	return cmd
}

func (f *orderFlags) confirmPause(ctx context.Context, view *tenure.View, election string) error {
	if f.yes {
		return nil
	}
	leader, ok, err := view.Read(ctx)
	if err != nil {
		return err
	}
	now := "nobody leads"
	if ok {
		now = described(leader) + ", and goes on"
	}
	return f.confirm("%s: %s.\nPause it, so that nobody is elected?", plain(election), now)
}

func newUnpause(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "unpause NAME",
		Short: "Let members be elected again",
		Long: `Ends what "tenure pause NAME" began. In an election that is not paused it changes
nothing. A name that begins with a dash goes after "--".`,
		Args: oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // what was written is acknowledged
			if err := tenure.NewView(st, args[0]).Unpause(cmd.Context()); err != nil {
				return err
			}
			return c.ordered(cmd, plain(args[0])+" is not paused", orderJSON{Event: "unpaused", Election: args[0]})
		},
	}
}
