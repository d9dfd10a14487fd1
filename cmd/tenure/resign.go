package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

const resignHelp = `Has this member, if it leads the election NAME, hand over to the next in line, and
prints who leads then. It is for the member's own programs: in the environment of the
CMD of "tenure run", and of the hooks of "tenure campaign", NAME and --id need not be
given (TENURE_ELECTION, TENURE_MEMBER), and only the term that the program was started
for is ended (TENURE_TOKEN). For another member there is "tenure transfer".

The member's work is ended cleanly first, and it stays a candidate: it may be elected
again. CMD is ended with the rest: a CMD that runs "tenure resign" itself is sent TERM
before that has an answer, and its tenure resign, too. So is an --on-elected hook. Where
nobody else waits, nothing is done, and the member goes on. A name that begins with a
dash goes after "--".

Exit codes: 0 another leads; 3 the member does not lead, or not in that term any more;
1 failure, also that nobody waits to take over; 2 a command line that cannot be used.`

type resignFlags struct {
	*common
	orders  orderFlags
	id      string
	timeout time.Duration
}

func newResign(c *common) *cobra.Command {
	f := resignFlags{common: c, orders: orderFlags{yes: true}} // it is the member's own wish
	cmd := &cobra.Command{
		Use:   "resign [NAME]",
		Short: "Have this member hand over to the next in line",
		Long:  resignHelp,
		Args:  optionalElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			election := os.Getenv("TENURE_ELECTION")
			if len(args) > 0 {
				election = args[0]
			}
			token, err := f.check(election)
			if err != nil {
				return usage(cmd, "%w", err)
			}
			return f.resign(cmd, election, token)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "id of the member (default $TENURE_MEMBER)")
	flags.StringVar(&f.orders.reason, "reason", "", "why; all who look at the election are told")
	flags.DurationVar(&f.timeout, "timeout", transferTimeout, "how long to wait for the outcome")
	return cmd
}

// check completes what was given, and returns the token of the term that is to end; 0:
// whichever lasts.
func (f *resignFlags) check(election string) (token tenure.Token, err error) {
	own := os.Getenv("TENURE_MEMBER")
	f.id = cmp.Or(f.id, own)
	switch {
	case election == "":
		return 0, errors.New("want the name of one election; TENURE_ELECTION has none")
	case f.id == "":
		return 0, errors.New("want --id ID, the member's; TENURE_MEMBER has none")
	case f.timeout <= 0:
		return 0, fmt.Errorf("--timeout is %v; give one above 0", f.timeout)
	}
	if err := errors.Join(checkName("election name", election), checkName("--id", f.id), f.orders.check()); err != nil {
		return 0, err
	}
	text := os.Getenv("TENURE_TOKEN")
	if text == "" || election != os.Getenv("TENURE_ELECTION") || f.id != own {
		return 0, nil // or it is another's
	}
	token, err = parseToken(text)
	if err != nil {
		return 0, fmt.Errorf("TENURE_TOKEN is %q; want the token that \"tenure run\" has set", text)
	}
	return token, nil
}

func parseToken(text string) (tenure.Token, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n <= 0 {
		err = strconv.ErrRange
	}
	return tenure.Token(n), err
}

func (f *resignFlags) resign(cmd *cobra.Command, election string, token tenure.Token) error {
	st, _, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // what was written is acknowledged
	asking := &asking{Store: st}
	view := tenure.NewView(asking, election)
	status, err := view.Status(cmd.Context())
	if err != nil && (status.Leader == nil || !errors.Is(err, tenure.ErrCorrupt)) { // of a candidate, say
		return err
	}
	if err := f.holds(status, token); err != nil {
		return &exitError{exitNobody, &tenure.Error{Op: "resign", Election: election, Err: err}}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	next, err := f.handOver(ctx, view, status)
	switch {
	case err == nil:
		return f.leads(cmd, election, next)
	case asking.goesOn(ctx, err):
		return notWithin(f.id, f.timeout)
	default:
		return err
	}
}

// errNotLeading: there is no term to end.
var errNotLeading = errors.New("does not lead")

// holds refuses where the member does not lead in the term that is to end.
func (f *resignFlags) holds(s tenure.Status, token tenure.Token) error {
	switch {
	case s.Leader == nil:
		return fmt.Errorf("%s %w: nobody does", plain(f.id), errNotLeading)
	case s.Leader.Member != f.id:
		return fmt.Errorf("%s %w: %s", plain(f.id), errNotLeading, described(*s.Leader))
	case token != 0 && token != s.Leader.Token:
		return fmt.Errorf("%s %w any more in the term of token %d: %s", plain(f.id), errNotLeading, token, described(*s.Leader))
	}
	return nil
}

// handOver asks for it in favour of the first in line who is still there.
func (f *resignFlags) handOver(ctx context.Context, view *tenure.View, s tenure.Status) (tenure.Leader, error) {
	fail := func(err error) error { return &tenure.Error{Op: "resign", Election: s.Election, Err: err} }
	if s.Paused != nil {
		return tenure.Leader{}, fail(fmt.Errorf("%w%s; %s goes on", tenure.ErrPaused, ordered(*s.Paused), plain(f.id)))
	}
	for _, c := range s.Candidates {
		if c.State != "waiting" {
			continue
		}
		next, err := view.Transfer(ctx, s.Leader.Token, c.Member, f.orders.order())
		switch {
		case errors.Is(err, tenure.ErrNotCandidate):
			continue // it has gone meanwhile
		case errors.Is(err, tenure.ErrWentElsewhere), errors.Is(err, tenure.ErrChanged):
			if next.Member == f.id {
				return next, fail(fmt.Errorf("nobody has taken over: %s again", described(next)))
			}
			return next, nil // another leads all the same
		}
		return next, err
	}
	return tenure.Leader{}, fail(fmt.Errorf("nobody waits to take over; %s goes on", plain(f.id)))
}
