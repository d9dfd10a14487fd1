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
	var file string
	cmd := &cobra.Command{
		Use:   "watch NAME",
		Short: "Print every change of an election's leader",
		Long: `Prints the present state of the election NAME and then every change, one a line,
until it is interrupted:

    elected MEMBER token N [ENDPOINT]
    vacant
    vacant: MEMBER, token N, was deposed by WHO: WHY
    gap                   changes may have been missed, for the store's history was lost

With --write FILE it prints nothing, and keeps FILE, for programs that only read files:
one line MEMBER, ENDPOINT and TOKEN with tabs in between, or with --json what "tenure
leader --json" prints; nothing while nobody leads. FILE is replaced as a whole (a link
is followed), so that readers find one state or the other. Where that fails at first,
so does tenure watch; later, it says so on standard error and tries again.

FILE is as old as what tenure watch has seen last: it stays as it is while the store is
away, and when tenure watch ends. Check the token where that matters.`,
		Args: oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("write") {
				if file == "" {
					return usage(cmd, "--write is empty; give a file")
				}
				f, err := c.newLeaderFile(args[0], file)
				if err != nil {
					return err
				}
				return f.keep(cmd)
			}
			observe := func(ctx context.Context, st store.Store) iter.Seq2[tenure.Event, error] {
				return tenure.NewView(st, args[0]).Observe(ctx)
			}
			return untilInterrupted(cmd, c, observe, func(ev tenure.Event) error { return c.printEvent(cmd, args[0], ev) })
		},
	}
	cmd.Flags().StringVar(&file, "write", "", "keep this file with the present leader, and print nothing")
	return cmd
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
