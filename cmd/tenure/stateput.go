package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
)

func newStatePut(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "put CLUSTER NODE KEY VALUE",
		Short: "Set a value in the name of a node that runs",
		Long: `Sets the value that NODE publishes under KEY. The node takes it for its own: it stays
until that node, or somebody in its name, puts another or deletes it, or the node leaves.
With - for VALUE it is read from standard input, byte for byte, a newline at its end
included; so is one that is "-" itself. A NODE that does not live is an error. What
begins with a dash goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, id, key := args[0], args[1], args[2]
			value, err := valueOf(cmd, args[3])
			if err != nil {
				return err
			}
			return c.withCluster(cmd.Context(), name, func(v *cluster.View) error {
				if err := v.Put(cmd.Context(), id, key, value); err != nil {
					return err
				}
				return c.published(cmd, "%s publishes %s\n", stateEventJSON{Event: "put", Cluster: name, Node: id, Key: key})
			})
		},
	}
}

// valueOf is what an argument, or standard input, says. One that is too long is refused
// as an argument would be, before anything is made in a store.
func valueOf(cmd *cobra.Command, arg string) ([]byte, error) {
	value, size := []byte(arg), fmt.Sprintf("%d bytes", len(arg))
	if arg == "-" {
		var err error
		value, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), cluster.MaxValue+1))
		if err != nil {
			return nil, fmt.Errorf("read the value from standard input: %w", err)
		}
		size = fmt.Sprintf("more than %d bytes", cluster.MaxValue)
	}
	if len(value) > cluster.MaxValue {
		return nil, usage(cmd, "value has %s; give %d at most, or keep it elsewhere and put where", size, cluster.MaxValue)
	}
	return value, nil
}

func newStateDelete(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "delete CLUSTER NODE KEY",
		Short: "Withdraw a value in the name of a node that runs",
		Long: `Has NODE publish nothing under KEY, until it, or somebody in its name, puts a value
there. One that is not there is deleted already. A NODE that does not live is an error.
What begins with a dash goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, id, key := args[0], args[1], args[2]
			return c.withCluster(cmd.Context(), name, func(v *cluster.View) error {
				if err := v.Delete(cmd.Context(), id, key); err != nil {
					return err
				}
				return c.published(cmd, "%s does not publish %s\n", stateEventJSON{Event: "deleted", Cluster: name, Node: id, Key: key})
			})
		},
	}
}

// published prints what was done in a node's name: text, or its JSON form.
func (c *common) published(cmd *cobra.Command, text string, value stateEventJSON) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), value)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), text, plain(value.Node), plain(value.Key))
	return err
}
