package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

func newWatch(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "watch NAME",
		Short: "Print every change of an election's leader",
		Long: `Prints the present state of the election NAME and then every change, one a line,
until it is interrupted:

    elected MEMBER token N [ENDPOINT]
    vacant
    vacant: MEMBER, token N, was deposed by WHO: WHY
    gap                   changes may have been missed, for the store's history was lost`,
		Args: oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			observe := func(ctx context.Context, st store.Store) iter.Seq2[tenure.Event, error] {
				return tenure.NewView(st, args[0]).Observe(ctx)
			}
			return untilInterrupted(cmd, c, observe, func(ev tenure.Event) error { return c.printEvent(cmd, args[0], ev) })
		},
	}
}

// untilInterrupted prints what is told about a store.
func untilInterrupted[T any](cmd *cobra.Command, c *common, tell func(context.Context, store.Store) iter.Seq2[T, error], show func(T) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	st, _, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // nothing was written
	for ev, err := range tell(ctx, st) {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err == nil {
			err = show(ev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *common) printEvent(cmd *cobra.Command, election string, ev tenure.Event) error {
	out := cmd.OutOrStdout()
	if c.json {
		return printJSON(out, newEventJSON(election, ev))
	}
	line := ev.Kind.String()
	if ev.Vacancy != nil {
		line += ": " + deposed(*ev.Vacancy)
	}
	if ev.Kind == tenure.Elected {
		line += fmt.Sprintf(" %s token %d", plain(ev.Leader.Member), ev.Leader.Token)
		if ev.Leader.Endpoint != "" {
			line += " " + plain(ev.Leader.Endpoint)
		}
	}
	_, err := fmt.Fprintln(out, line)
	return err
}
