package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

func newLeader(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "leader NAME",
		Short: "Print who leads an election",
		Long: `Prints the id of the member that leads the election NAME and, after a tab, its
endpoint if it has one. Nothing is printed, and the exit code is 3, when nobody
leads. A name that begins with a dash goes after "--".`,
		Args: oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // nothing was written
			leader, ok, err := tenure.NewView(st, args[0]).Read(cmd.Context())
			switch {
			case err != nil:
				return err
			case !ok:
				return &exitError{code: exitNobody}
			}
			return c.printLeader(cmd, args[0], leader)
		},
	}
}

func (c *common) printLeader(cmd *cobra.Command, election string, leader tenure.Leader) (err error) {
	switch {
	case c.json:
		return printJSON(cmd.OutOrStdout(), newLeaderJSON(election, leader))
	case leader.Endpoint != "":
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", plain(leader.Member), plain(leader.Endpoint))
	default:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), plain(leader.Member))
	}
	return err
}
