package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

const deposeHelp = `Takes the seat of the election NAME from its leader, whether that answers or not:
also when it hangs, or its host cannot be reached. A leader that works loses its
work at once ("tenure run" kills its CMD); to move a seat without that there is
"tenure transfer".

The seat is vacant from then on. The next member leads when the one that was
deposed has confirmed its end, or could not lead any longer: at the latest after
its TTL, and a little more. Nobody needs to be sure that it is dead. If it is
alive, it stands back for its TTL and then campaigns again; see "tenure drain".

Shows who leads, and asks. The leader that was shown is the one that is deposed: if
another leads by then, nothing is done. A seat that is vacant already is left as it
is. A name that begins with a dash goes after "--".

Exit codes: 0 the seat is vacant, and with --wait somebody leads; 3 nobody leads.`

type deposeFlags struct {
	*common
	orderFlags
	token int64
	wait  time.Duration
}

func newDepose(c *common) *cobra.Command {
	f := deposeFlags{common: c}
	cmd := &cobra.Command{
		Use:   "depose NAME",
		Short: "Take the seat from a leader, also from one that hangs",
		Long:  deposeHelp,
		Args:  oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage(cmd, "%w", err)
			}
			return f.depose(cmd, args[0])
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&f.token, "token", 0, "depose only the leader of this token (default that of the leader shown)")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait up to this long for the next leader, and print it (default do not wait)")
	return cmd
}

func (f *deposeFlags) check() error {
	if f.wait < 0 {
		return fmt.Errorf("--wait is %v; give one that is not negative", f.wait)
	}
	if err := checkToken(f.token); err != nil {
		return err
	}
	return f.orderFlags.check()
}

func (f *deposeFlags) depose(cmd *cobra.Command, election string) error {
	st, _, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // what was written is acknowledged
	view := tenure.NewView(st, election)
	status, err := view.Status(cmd.Context())
	if err != nil {
		return err
	}
	vacancy, text := status.Vacancy, "the seat is vacant already: "
	if vacancy == nil {
		leader, err := seen("depose", status, tenure.Token(f.token))
		if err != nil {
			return err
		}
		if err := f.confirm("%s: %s%s.\nDepose it?", plain(election), described(leader), pausedNote(status)); err != nil {
			return err
		}
		vacancy, text = &tenure.Vacancy{Victim: leader, Reason: f.order()}, "the seat is vacant: "
	}
	token := cmp.Or(tenure.Token(f.token), vacancy.Victim.Token)
	if err := view.Depose(cmd.Context(), token, f.order()); err != nil {
		return withCode(err)
	}
	if f.json {
		err = printJSON(cmd.OutOrStdout(), newEventJSON(election, tenure.Event{Kind: tenure.Vacant, Vacancy: vacancy}))
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text+deposed(*vacancy))
	}
	if err != nil || f.wait == 0 {
		return err
	}
	return f.next(cmd, view, status, vacancy.Victim.Token)
}

// next waits for the next leader.
func (f *deposeFlags) next(cmd *cobra.Command, view *tenure.View, before tenure.Status, token tenure.Token) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.wait)
	defer cancel()
	leader, err := view.Wait(ctx, token)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nobody has been elected within %v%s", f.wait, pausedNote(before))
	}
	if err != nil {
		return err
	}
	return f.leads(cmd, before.Election, leader)
}

// deposed is a vacancy in words.
func deposed(v tenure.Vacancy) string {
	return fmt.Sprintf("%s, token %d, was deposed%s", plain(v.Victim.Member), v.Victim.Token, ordered(v.Reason))
}

// ordered is what a reason adds to a sentence.
func ordered(r tenure.Reason) string {
	text := ""
	if r.By != "" {
		text += " by " + plain(r.By)
	}
	if r.Why != "" {
		text += ": " + plain(r.Why)
	}
	return text
}

// pausedNote is what one should know when a seat becomes free.
func pausedNote(s tenure.Status) string {
	if s.Paused == nil {
		return ""
	}
	return fmt.Sprintf("; the election is paused%s", ordered(*s.Paused))
}
