package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
)

func newStateList(c *common) *cobra.Command {
	var f keyFlags
	var node string
	cmd := &cobra.Command{
		Use:   "list CLUSTER [KEY]",
		Short: "Print the values of all nodes",
		Long: `Prints what each node that lives has under KEY, under the keys with a prefix, or under
all keys, sorted by node and key, one a line with tabs between its parts:

    NODE KEY VALUE
    NODE                  has nothing there

Nothing is printed, and the exit code is 3, when no node lives. What begins with a dash
goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, many, err := f.read(cmd, args)
			if err == nil && cmd.Flags().Changed("node") {
				err = checkText("--node", node, 1, cluster.MaxName)
			}
			if err != nil {
				return usage(cmd, "%w", err)
			}
			return c.withCluster(cmd.Context(), args[0], func(v *cluster.View) error {
				get := v.GetAll
				if many {
					get = v.GetAllPrefix
				}
				all, err := get(cmd.Context(), key)
				if node != "" {
					all, err = only(args[0], node, all, err)
				}
				if printed := c.printState(cmd, args[0], all); printed != nil {
					return printed
				}
				if err == nil && len(all) == 0 {
					return &exitError{code: exitNobody}
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&node, "node", "", "print what this node has, and no other")
	return cmd
}

// only takes one node out of all.
func only(name, node string, all map[string][]cluster.Value, err error) (map[string][]cluster.Value, error) {
	values, ok := all[node]
	switch {
	case ok:
		return map[string][]cluster.Value{node: values}, nil
	case err != nil:
		return nil, err
	}
	return nil, &cluster.Error{Op: "list state", Cluster: name, Err: fmt.Errorf("%w: %q", cluster.ErrNoNode, node)}
}

func (c *common) printState(cmd *cobra.Command, name string, all map[string][]cluster.Value) error {
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if len(all[id]) == 0 {
			if err := c.printNothing(cmd, name, id); err != nil {
				return err
			}
		}
		for _, value := range all[id] {
			if err := c.printValue(cmd, name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *common) printValue(cmd *cobra.Command, name string, v cluster.Value) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), newValueJSON(name, v))
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\n", plain(v.Node), plain(v.Key), plain(string(v.Data)))
	return err
}

func (c *common) printNothing(cmd *cobra.Command, name, node string) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), valueJSON{Cluster: name, Node: node})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), plain(node))
	return err
}
