package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

const historyHelp = `Prints the last terms of the election NAME, 100 at most, the newest last: who led,
with which token, from when to when, for how long, and why no longer. "-" stands for what nobody
knows, or what has not come yet: a term without an end and a cause goes on.

A term is written down by its leader, when it begins and when it has ended; for the
times, it looks at the clock of its host. Of one that crashed there is no word. One that
was cut off says what happened when it is back. Programs that use the library
write their terms down where Options.History is set; of others the present term alone
is known.

Nothing is printed, and the exit code is 0, when nobody has led. What is written stays
until --clear deletes it, which asks first. A name that begins with a dash goes after
"--".`

type historyFlags struct {
	*common
	orderFlags
	last  int
	clear bool
}

func newHistory(c *common) *cobra.Command {
	f := historyFlags{common: c}
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Print the last terms of an election, with their causes",
		Long:  historyHelp,
		Args:  oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return usage(cmd, "%w", err)
			}
			st, _, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = st.Close() }() // what was written is acknowledged
			view := tenure.NewView(st, args[0])
			if f.clear {
				return f.forget(cmd.Context(), view, args[0])
			}
			terms, err := view.History(cmd.Context())
			if printed := f.print(cmd, args[0], terms[max(len(terms)-f.last, 0):]); printed != nil {
				return printed
			}
			return err
		},
	}
	cmd.Flags().IntVarP(&f.last, "lines", "n", 100, "print this many terms at most, the last")
	cmd.Flags().BoolVar(&f.clear, "clear", false, "delete what is written, and print nothing")
	f.addYes(cmd)
	return cmd
}

func (f *historyFlags) check(cmd *cobra.Command) error {
	switch {
	case f.last < 1:
		return fmt.Errorf("-n is %d; give one that is above zero", f.last)
	case f.clear && cmd.Flags().Changed("lines"):
		return errors.New("--clear with -n; it deletes all terms, so leave -n out")
	case f.clear:
		return f.orderFlags.check()
	case f.yes:
		return errors.New("--yes without --clear, which alone asks")
	}
	return nil
}

func (f *historyFlags) forget(ctx context.Context, view *tenure.View, election string) error {
	if err := f.confirm("%s: delete what is written of its terms?", plain(election)); err != nil {
		return err
	}
	return view.ClearHistory(ctx)
}

// termJSON is a term as it is printed. What is not known is left out.
type termJSON struct {
	Election string       `json:"election"`
	Token    tenure.Token `json:"token"`
	Member   string       `json:"member"`
	Endpoint string       `json:"endpoint"`
	From     time.Time    `json:"from,omitzero"`
	To       time.Time    `json:"to,omitzero"`
	Cause    string       `json:"cause,omitempty"`
}

func newTermJSON(election string, t tenure.PastTerm) termJSON {
	return termJSON{election, t.Token, t.Member, t.Endpoint, t.From, t.To, t.Cause}
}

func (f *historyFlags) print(cmd *cobra.Command, election string, terms []tenure.PastTerm) error {
	if f.json {
		for _, t := range terms {
			if err := printJSON(cmd.OutOrStdout(), newTermJSON(election, t)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(terms) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOKEN\tMEMBER\tENDPOINT\tFROM\tTO\tLASTED\tCAUSE") //nolint:errcheck // Flush returns it
	for _, t := range terms {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Token, plain(t.Member), orDash(t.Endpoint), //nolint:errcheck // Flush returns it
			moment(t.From), moment(t.To), lasted(t), orDash(t.Cause))
	}
	return w.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return plain(text)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime + "Z")
}

func lasted(t tenure.PastTerm) string {
	if t.From.IsZero() || t.To.IsZero() {
		return "-"
	}
	d := t.To.Sub(t.From)
	if d > time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}
