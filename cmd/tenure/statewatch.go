package main

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

func newStateWatch(c *common) *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "watch CLUSTER [KEY]",
		Short: "Print the values of all nodes, and every change",
		Long: `Prints what the nodes have under KEY, under the keys with a prefix, or under all keys,
and then every change, one a line with tabs between its parts, until it is interrupted:

    present  NODE KEY VALUE
    ready                       all that were present have been printed
    added    NODE KEY VALUE
    modified NODE KEY VALUE OLD
    deleted  NODE KEY OLD       the node may have gone itself
    gap                         changes were missed, for the store's history was lost;
                                what they came to follows

What begins with a dash goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, many, err := f.read(cmd, args)
			if err != nil {
				return usage(cmd, "%w", err)
			}
			tell := func(ctx context.Context, st store.Store) iter.Seq2[cluster.Event, error] {
				v := cluster.NewView(st, args[0])
				if many {
					return v.WatchPrefix(ctx, key)
				}
				return v.Watch(ctx, key)
			}
			return untilInterrupted(cmd, c, tell, func(ev cluster.Event) error { return c.printStateEvent(cmd, args[0], ev) })
		},
	}
	f.add(cmd)
	return cmd
}

func (c *common) printStateEvent(cmd *cobra.Command, name string, ev cluster.Event) error {
	out := cmd.OutOrStdout()
	if c.json {
		return printJSON(out, newStateEventJSON(name, ev))
	}
	parts := []string{ev.Kind.String()}
	if ev.Kind != cluster.Ready && ev.Kind != cluster.Gap {
		parts = append(parts, plain(ev.Node), plain(ev.Key))
	}
	value, old := holds(ev.Kind)
	if value {
		parts = append(parts, plain(string(ev.Value)))
	}
	if old {
		parts = append(parts, plain(string(ev.Old)))
	}
	_, err := fmt.Fprintln(out, strings.Join(parts, "\t"))
	return err
}

// holds says which values an event of a kind has. An empty one need not be told from
// none by what it holds.
func holds(k cluster.EventKind) (value, old bool) {
	switch k {
	case cluster.Present, cluster.Added:
		return true, false
	case cluster.Modified:
		return true, true
	case cluster.Deleted:
		return false, true
	}
	return false, false
}
