package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

func newStatus(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "status [NAME]",
		Short: "Print the elections, or the candidates of one",
		Long: `Without NAME, prints every election that has a leader or a candidate. With NAME,
prints its candidates: the leader, then those who wait, next in line first, and
below them whether its last leader was deposed, and whether it is paused. The state
of a candidate is one of

    leading
    deposed       was the leader, and has not confirmed its end
    waiting       is in line
    aside         stands back for a while; leads if a transfer names it
    ineligible    is unwell, or must not lead by its policy
    draining      gives up its seats and takes none, see "tenure drain"
    withdrawn     has left`,
		Args: optionalElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, _, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // nothing was written
			if len(args) == 0 {
				all, err := tenure.Survey(cmd.Context(), st)
				if printed := c.printSurvey(cmd, all); printed != nil {
					return printed
				}
				return err
			}
			status, err := tenure.NewView(st, args[0]).Status(cmd.Context())
			if err != nil {
				return err
			}
			return c.printStatus(cmd, status)
		},
	}
}

func (c *common) printSurvey(cmd *cobra.Command, all []tenure.Status) error {
	if c.json {
		for _, s := range all {
			if err := printJSON(cmd.OutOrStdout(), newStatusJSON(s)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ELECTION\tLEADER\tTOKEN\tENDPOINT\tWAITING\tNOTE") //nolint:errcheck // Flush returns it
	for _, s := range all {
		leader, token, endpoint := "-", "-", "-"
		if s.Leader != nil {
			leader, token = plain(s.Leader.Member), fmt.Sprint(s.Leader.Token)
			if s.Leader.Endpoint != "" {
				endpoint = plain(s.Leader.Endpoint)
			}
		}
		waiting := 0
		for _, candidate := range s.Candidates {
			if candidate.State == "waiting" {
				waiting++
			}
		}
		note := cmp.Or(strings.Join(notes(s), "; "), "-")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", plain(s.Election), leader, token, endpoint, waiting, note) //nolint:errcheck // Flush returns it
	}
	return w.Flush()
}

func (c *common) printStatus(cmd *cobra.Command, s tenure.Status) error {
	if c.json {
		return printJSON(cmd.OutOrStdout(), newStatusJSON(s))
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tSTATE\tPRIORITY\tTOKEN\tENDPOINT") //nolint:errcheck // Flush returns it
	for _, candidate := range s.Candidates {
		state, token, endpoint := plain(stateOf(s, candidate)), "-", "-"
		if s.Leader != nil && candidate.Session == s.Leader.Session {
			token = fmt.Sprint(s.Leader.Token)
		}
		if candidate.Endpoint != "" {
			endpoint = plain(candidate.Endpoint)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", plain(candidate.Member), state, candidate.Priority, token, endpoint) //nolint:errcheck // Flush returns it
	}
	for _, note := range notes(s) {
		fmt.Fprintln(w, note) //nolint:errcheck // Flush returns it
	}
	return w.Flush()
}

// notes say in words what keeps the seat from being taken.
func notes(s tenure.Status) []string {
	var all []string
	if s.Vacancy != nil {
		all = append(all, "vacant: "+deposed(*s.Vacancy))
	}
	if s.Paused != nil {
		all = append(all, "paused"+ordered(*s.Paused))
	}
	return all
}

// stateOf is a candidate's state. How a leader came by its seat does not matter here.
func stateOf(s tenure.Status, c tenure.Candidate) string {
	if s.Leader != nil && c.Session == s.Leader.Session {
		return "leading"
	}
	return c.State
}
