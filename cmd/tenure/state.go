package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cluster"
)

const stateHelp = `A node of a cluster publishes values, each under a key of its own, and they go with it:
when it leaves or dies there are none of it. These commands read them, follow them, and
set them in a node's name.

What begins with a dash goes after "--". Where values are printed on lines, one that is
no text, has invisible characters, or none at all, is quoted as in Go, and so is one that
begins with a quotation mark. In JSON a value is "value", a string, or "base64" when it
is not UTF-8. "tenure state get" prints the bytes as they are.`

func newState(c *common) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Read and set what the nodes of a cluster publish",
		Long:  stateHelp,
		Args:  cobra.ArbitraryArgs, // as of the root
		RunE:  commandNeeded,
	}
	cmd.AddCommand(newStateGet(c), newStateList(c), newStateWatch(c), newStatePut(c), newStateDelete(c))
	return cmd
}

func newStateGet(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "get CLUSTER NODE KEY",
		Short: "Print one value",
		Long: `Prints the value that NODE has under KEY, byte for byte and with no newline after it.
Nothing is printed, and the exit code is 4, when it has none; for a value that is empty
nothing is printed either, and the exit code is 0. A NODE that does not live is an error.
What begins with a dash goes after "--".`,
		Args: asUsed,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, id, key := args[0], args[1], args[2]
			return c.withCluster(cmd.Context(), name, func(v *cluster.View) error {
				data, ok, err := v.GetFrom(cmd.Context(), id, key)
				switch {
				case err != nil:
					return err
				case !ok:
					return &exitError{code: exitNoKey}
				case c.json:
					return printJSON(cmd.OutOrStdout(), newValueJSON(name, cluster.Value{Node: id, Key: key, Data: data}))
				}
				_, err = cmd.OutOrStdout().Write(data)
				return err
			})
		},
	}
}

// keyFlags say which keys are meant.
type keyFlags struct{ prefix string }

func (f *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.prefix, "prefix", "", "in place of KEY: all keys that begin with this (default all keys)")
}

// read returns the one key that is meant, or, if many are, how they begin.
func (f *keyFlags) read(cmd *cobra.Command, args []string) (key string, many bool, err error) {
	switch {
	case len(args) == 1:
		return f.prefix, true, checkText("--prefix", f.prefix, 0, cluster.MaxKey)
	case cmd.Flags().Changed("prefix"):
		return "", false, errors.New("both KEY and --prefix; give one of them")
	}
	return args[1], false, nil
}
