package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

func newNodes(c *common) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "nodes CLUSTER",
		Short: "Print the nodes of a cluster",
		Long: `Prints the nodes of CLUSTER that live, sorted by id, and which of them leads. Nothing
is printed, and the exit code is 3, when there is none.

With --watch, prints the present nodes and then every change, one a line with tabs
between its parts, until it is interrupted:

    present NODE ROLE ENDPOINT VERSION TAGS STARTED
    ready                 all that were present have been printed
    joined  NODE ...
    changed NODE ...      its role or its tags, for example; this is how they are now
    left    NODE ...      it was stopped
    expired NODE ...      it went without a word: it died, or was cut off for too long
    gone    NODE ...      one of these two, and which was not seen
    gap                   changes were missed, for the store's history was lost; what
                          they came to follows

In JSON, "now" is what a node says of itself, in the form that "nodes" prints without
--watch, and "old" what it said before. A name that begins with a dash goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if watch {
				tell := func(ctx context.Context, st store.Store) iter.Seq2[cluster.NodeEvent, error] {
					return cluster.NewView(st, name).WatchNodes(ctx)
				}
				return untilInterrupted(cmd, c, tell, func(ev cluster.NodeEvent) error { return c.printNodeEvent(cmd, name, ev) })
			}
			return c.withCluster(cmd.Context(), name, func(v *cluster.View) error {
				nodes, err := v.Nodes(cmd.Context())
				if printed := c.printNodes(cmd, name, nodes); printed != nil {
					return printed
				}
				if err == nil && len(nodes) == 0 {
					return &exitError{code: exitNobody}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and print every change")
	return cmd
}

// withCluster opens the store for as long as fn looks at a cluster in it.
func (c *common) withCluster(ctx context.Context, name string, fn func(*cluster.View) error) error {
	st, _, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // what was written is acknowledged
	return fn(cluster.NewView(st, name))
}

func (c *common) printNodes(cmd *cobra.Command, name string, nodes []cluster.Info) error {
	if c.json {
		for _, n := range nodes {
			if err := printJSON(cmd.OutOrStdout(), newNodeJSON(name, n)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(nodes) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tENDPOINT\tVERSION\tTAGS\tSTARTED") //nolint:errcheck // Flush returns it
	for _, n := range nodes {
		fmt.Fprintln(w, nodeCells(n)) //nolint:errcheck // Flush returns it
	}
	return w.Flush()
}

func (c *common) printNodeEvent(cmd *cobra.Command, name string, ev cluster.NodeEvent) error {
	out := cmd.OutOrStdout()
	if c.json {
		return printJSON(out, newNodeEventJSON(name, ev))
	}
	line := ev.Kind.String()
	if ev.Kind != cluster.NodesReady && ev.Kind != cluster.NodesGap {
		line += "\t" + nodeCells(ev.Node)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// nodeCells is a node on a line.
func nodeCells(n cluster.Info) string {
	cell := func(text string) string {
		if text == "" {
			return "-"
		}
		return plain(text)
	}
	var tags []string
	for _, k := range slices.Sorted(maps.Keys(n.Tags)) {
		tags = append(tags, plain(k)+"="+plain(n.Tags[k]))
	}
	return strings.Join([]string{
		plain(n.ID), cell(string(n.Role)), cell(n.Endpoint), cell(n.Version),
		cmp.Or(strings.Join(tags, ","), "-"), n.Started.UTC().Format(time.RFC3339),
	}, "\t")
}
