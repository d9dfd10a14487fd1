package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const campaignHelp = `Waits until this member leads the election NAME, and calls a hook at each change: for
programs that run all the time, as leader or as follower. (For one that is to run only
while this member leads there is "tenure run".) It goes on until it is told to stop.

    --on-elected CMD    this member leads. If CMD fails, it does not: the seat goes to
                        the next in line, and this member stands back, ever longer
    --on-lost CMD       it leads no longer: once for each --on-elected that succeeded,
                        or that was stopped because the leadership ended
    --on-follower CMD   another member leads, at first and at every change
    --on-error CMD      something failed, and tenure campaign goes on: a hook, or the
                        store, which is tried again for as long as it is away. The same
                        trouble is told once a minute

CMD is run by /bin/sh -c, without input. It finds in its environment

    TENURE_EVENT        elected, lost, follower or error
    TENURE_ROLE         of this member: leader, follower or, with --observe, observer
    TENURE_ELECTION     NAME
    TENURE_MEMBER       the id of this member; with --observe, nothing
    TENURE_STORE        the store
    TENURE_LEADER       the id of the member that leads now; nothing if nobody does
    TENURE_ENDPOINT     the leader's endpoint
    TENURE_TOKEN        the token of the leader's term; for --on-lost, of the lost one
    TENURE_REASON       why the leadership was lost, or what has failed

One hook runs at a time, in order. One that has not ended within --hook-timeout is sent
TERM, and after 2 s KILL, with all of its process group, and has failed. So is one that
is superseded, which is no failure: --on-elected when the leadership ends, --on-follower
when the leader changes again, --on-error when the leadership is lost. Changes of the
leader that are over before their turn comes are left out. What a hook leaves behind in
its process group ends with it. No hook outlives tenure campaign, however that ends.

When the leadership ends in a clean way (a signal, "tenure transfer", "tenure drain"),
the seat is passed on after --on-lost has ended. When it is lost (the store is away for
too long, somebody deposed this member), --on-elected is killed before another can be
elected, and --on-lost begins at once; but the next leader waits for neither, and what
--on-elected has started may still work when that begins. Give the token to whatever is
written to, and have it refuse a lower one; or use "tenure run", which kills in time. A
tenure campaign that is killed calls nothing.

With --observe this process is no member, and never leads: --on-follower is called, and
--on-error, of hooks that fail.

Signals: TERM, INT, HUP and QUIT end it: --on-lost is run, and the seat is passed on.
After a second one the hook that runs is killed, and no other is started. Under systemd
use KillMode=mixed, or hooks are told to end with it; with Type=notify it is ready when it
has joined, as "tenure run" is.

` + listenHelp + ` The leader is the member whose
--on-elected has succeeded, in a term that it holds.

Exit codes: 0 it was told to stop, or --once is over; 1 it could not begin, or failed for
good; 2 a command line that cannot be used; 128+N it was told to stop a second time, by
signal N.`

type campaignFlags struct {
	memberFlags
	hooks   map[string]*string // by flag
	timeout time.Duration
	observe bool
	once    bool
}

// maxHookTimeout is what nobody means who means something: a seat whose leader hangs is
// kept for as long.
const maxHookTimeout = 24 * time.Hour

const (
	onElected  = "on-elected"
	onFollower = "on-follower"
	onLost     = "on-lost"
	onError    = "on-error"
)

func newCampaign(c *common) *cobra.Command {
	f := campaignFlags{memberFlags: memberFlags{common: c}, hooks: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "campaign NAME",
		Short: "Call hooks when this member is elected, and at every other change",
		Long:  campaignHelp,
		Args:  oneElection,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args[0]); err != nil {
				return usage(cmd, "%w", err)
			}
			return f.run(cmd.Context(), args[0])
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	for name, when := range map[string]string{
		onElected:  "this member leads; fails: it does not",
		onFollower: "another member leads, at every change",
		onLost:     "this member leads no longer",
		onError:    "something failed, and is tried again",
	} {
		f.hooks[name] = flags.String(name, "", "command to run when "+when)
	}
	flags.DurationVar(&f.timeout, "hook-timeout", 30*time.Second, "how long a hook may take before it is stopped, and has failed")
	flags.BoolVar(&f.observe, "observe", false, "only look on: be no member, and never lead")
	flags.BoolVar(&f.once, "once", false, "end after the first term in which --on-elected has not failed")
	return cmd
}

// check refuses what cannot be used, and what would do nothing.
func (f *campaignFlags) check(cmd *cobra.Command, election string) error {
	for name, text := range f.hooks {
		if *text == "" && cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is empty; give a command, or leave it out", name)
		}
	}
	if f.timeout <= 0 || f.timeout > maxHookTimeout {
		return fmt.Errorf("--hook-timeout is %v; give one above 0, and %v at most", f.timeout, maxHookTimeout)
	}
	if f.observe {
		return f.checkObserver(cmd)
	}
	return f.memberFlags.check(cmd, election)
}

func (f *campaignFlags) checkObserver(cmd *cobra.Command) error {
	for _, name := range []string{onElected, onLost, "once", "id", "endpoint", "ttl", "priority", "listen", "listen-anywhere"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is for members, and with --observe this is none; leave one of the two out", name)
		}
	}
	if *f.hooks[onFollower] == "" {
		return errors.New("--observe without --on-follower does nothing; give a command")
	}
	return nil
}
