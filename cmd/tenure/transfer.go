package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

const transferHelp = `Asks the leader of the election NAME to hand over to MEMBER, which waits for the
seat or stands back, and waits for the outcome. The leader's work is ended cleanly
first ("tenure run" sends TERM to its CMD, which has its --grace), and the leader stays a
candidate. For one that does not answer there is "tenure depose".

Shows who leads, and asks. The leader that was shown is the one that is asked: if
another leads by then, nothing is done. If MEMBER leads already, nothing is done, and
that is a success. A name that begins with a dash goes after "--".

A leader's function has 30 s for its end, unless its program says otherwise, and if
the leader dies in them its TTL goes by before the next is elected. The default of
--timeout has room for both. After it the transfer goes on all the same.

Exit codes: 0 MEMBER leads; 3 nobody led. If MEMBER was gone by the time the leader had
ended its work, the next in line leads, and that is a failure.`

// transferTimeout has room for tenure.DefaultDrainTimeout, and the fail-over of a
// leader that dies meanwhile.
const transferTimeout = time.Minute

type transferFlags struct {
	*common
	orderFlags
	to      string
	token   int64
	timeout time.Duration
}

func newTransfer(c *common) *cobra.Command {
	f := transferFlags{common: c}
	cmd := &cobra.Command{
		Use:   "transfer NAME --to MEMBER",
		Short: "Have the leader hand over to a member",
		Long:  transferHelp,
		Args:  oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return usage(cmd, "%w", err)
			}
			return f.transfer(cmd, args[0])
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.to, "to", "", "id of the member that is to lead")
	cmd.Flags().Int64Var(&f.token, "token", 0, "ask only the leader of this token (default that of the leader shown)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", transferTimeout, "how long to wait for the outcome")
	return cmd
}

func (f *transferFlags) check(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("to") {
		return errors.New("want --to MEMBER, who is to lead")
	}
	if err := checkName("--to", f.to); err != nil {
		return err
	}
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout is %v; give one above 0", f.timeout)
	}
	if err := checkToken(f.token); err != nil {
		return err
	}
	return f.orderFlags.check()
}

func (f *transferFlags) transfer(cmd *cobra.Command, election string) error {
	st, _, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // what was written is acknowledged
	asking := &asking{Store: st}
	view := tenure.NewView(asking, election)
	status, err := view.Status(cmd.Context())
	if err != nil {
		return err
	}
	leader, err := seen("transfer", status, tenure.Token(f.token))
	if err != nil {
		return err
	}
	if leader.Member != f.to {
		if err := f.possible(status); err != nil {
			return &tenure.Error{Op: "transfer", Election: election, Err: err}
		}
		if err := f.confirm("%s: %s.\nTransfer it to %s?", plain(election), described(leader), plain(f.to)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	next, err := view.Transfer(ctx, leader.Token, f.to, f.order())
	switch {
	case err == nil:
		return f.leads(cmd, election, next)
	case asking.goesOn(ctx, err):
		return notWithin(leader.Member, f.timeout)
	default:
		return withCode(err)
	}
}

// goesOn reports whether the time for an order has passed after it was given.
func (a *asking) goesOn(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err()) && a.asked
}

func notWithin(leader string, timeout time.Duration) error {
	return fmt.Errorf("%s has not handed over within %v, and goes on with it; \"tenure watch\" shows when it has", plain(leader), timeout)
}

// possible refuses what would end the leader's term for nothing.
func (f *transferFlags) possible(s tenure.Status) error {
	if s.Paused != nil {
		return fmt.Errorf("paused%s; nobody could be elected until \"tenure unpause\"", ordered(*s.Paused))
	}
	i := slices.IndexFunc(s.Candidates, func(c tenure.Candidate) bool { return c.Member == f.to })
	if i < 0 {
		return fmt.Errorf("%w: %q", tenure.ErrNotCandidate, f.to)
	}
	switch state := s.Candidates[i].State; state {
	case "draining", "ineligible":
		return fmt.Errorf("%w: %q is %s", tenure.ErrNotCandidate, f.to, state)
	}
	return nil
}

// asking is a store that knows whether anything was written through it: the wait for
// a transfer that was never asked for ends with the same error.
type asking struct {
	store.Store
	asked bool
}

func (a *asking) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	res, err := a.Store.Commit(ctx, tx)
	a.asked = a.asked || err == nil && res.Committed
	return res, err
}
