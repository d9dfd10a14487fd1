package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const runHelp = `Waits until this member leads the election NAME, and runs CMD while it does. CMD
finds TENURE_ELECTION, TENURE_MEMBER, TENURE_TOKEN, TENURE_STORE and, if there is
one, TENURE_ENDPOINT in its environment, and has the standard input, output and
error of tenure run.

The token rises with every term of an election. Give it to whatever CMD writes
to, and have it refuse a lower one: that holds even where no process can be
stopped in time.

When CMD ends, what is left of its process group is stopped, the leadership is
handed to the next member, and tenure run ends with CMD's exit code; --restart
goes on instead. When the leadership is lost, also because somebody deposed this
member, CMD's process group is killed, and tenure run waits to be elected again.
It does so, too, when the leadership is wanted elsewhere ("tenure transfer", "tenure
drain"): CMD is then sent TERM, and has the --grace for its end before it is killed.

CMD runs under a guard, a second process, which kills CMD's process group in
time when tenure run is killed or stopped, or cannot renew its leadership. What
it cannot reach: processes that leave the group (daemons, setsid), and the time
until it runs again when the guard itself is stopped together with the rest.

--pre-stop is a command of the shell that runs before CMD is told to stop, in CMD's
environment; what it prints goes to standard error. It does not run when CMD ends by
itself, nor when the leadership is lost. It and CMD's own end have the --grace together: when no more
than 2 s of that are left, or half of it, the pre-stop command is killed and CMD is
told. It is killed, too, when CMD is. That it fails is told, and CMD is stopped.

--health-cmd is a command of the shell that says, by exit code 0, that this member is
fit to lead. It runs from the start every third of the --ttl, whether this member
leads or not, and has as long to answer. No member campaigns before it has succeeded
once. When it has failed for --health-grace, CMD is stopped as for a transfer, the
leadership goes to the next member, and this one waits until the command succeeds.
Its environment is CMD's, with TENURE_TOKEN only while this member leads: so it may
look at CMD itself then. When it fails, the last line of its output is told.

--max-hold has CMD stopped in the same way after it has led for so long, counted from
each election. The leadership goes to the next member, and tenure run ends with exit
code 124, whatever CMD's is; with --restart it campaigns again, as the last in line.

--wait-timeout ends a tenure run that has not been elected within it, counted from the
start, and again from the end of each term after which it waits; that the store does
not answer counts as waiting. It ends with exit code 124, is no candidate any more, and
leaves nothing in the store; if that is away, what is there ends with the TTL.

Signals: TERM, INT, HUP and QUIT end a tenure run that waits. While CMD runs,
every signal is passed on to its process group; TERM and INT also end tenure
run, after CMD has ended, for which it has the --grace. A second one kills CMD at once;
the same one again within 200 ms is the first, which timeout(1) sends twice.

Under systemd, with Type=notify, a member is ready when it has joined, also where it
waits to lead; the status says what it does. Where WatchdogSec= is set, it shows that
it is alive by renewing its session, or by trying to; give twice the --ttl and 15 s at
least. NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are not passed on to CMD, the
pre-stop or the health command.

` + listenHelp + ` The leader is the member whose CMD runs, in
a term that it holds.

Exit codes: CMD's own; 124 when a --wait-timeout or --max-hold has passed; 128+N
when signal N ended CMD, or tenure run while it waited; 126 when CMD cannot be
executed; 127 when there is no CMD; 125 when tenure run could not do its part.`

// stopGrace is for CMD to end after TERM or INT, unless --grace says otherwise.
const stopGrace = 10 * time.Second

// The limits of flags. A hold has to be worth an election, and a grace that is not meant
// is longer than a day.
const (
	minHold  = time.Second
	maxGrace = 24 * time.Hour
)

type runFlags struct {
	memberFlags
	restart     restartPolicy
	grace       time.Duration
	waitTimeout time.Duration
	maxHold     time.Duration
	preStop     string
	healthCmd   string
}

func (f *runFlags) add(cmd *cobra.Command) {
	f.memberFlags.add(cmd)
	flags := cmd.Flags()
	flags.Var(&f.restart, "restart", "campaign again when CMD has ended: no, on-failure or always")
	flags.DurationVar(&f.grace, "grace", stopGrace, "time for CMD to end when it is told to stop, --pre-stop included, before it is killed")
	flags.DurationVar(&f.waitTimeout, "wait-timeout", 0, "end, with exit code 124, when not elected within this time (default wait for ever)")
	flags.DurationVar(&f.maxHold, "max-hold", 0, "stop CMD, and hand over, after it has led for this time (default lead for ever)")
	flags.StringVar(&f.preStop, "pre-stop", "", "shell command to run before CMD is told to stop")
	flags.StringVar(&f.healthCmd, "health-cmd", "", "shell command whose success says that this member is fit to lead")
	flags.DurationVar(&f.healthGrace, "health-grace", 0, "for how long --health-cmd may fail before this member leads no more (default the --ttl)")
}

// check refuses what could not be used, before anything is made in a store.
func (f *runFlags) check(cmd *cobra.Command, election string) error {
	switch {
	case f.grace < 0 || f.grace > maxGrace:
		return fmt.Errorf("--grace is %v; give one from 0s to %v", f.grace, maxGrace)
	case f.waitTimeout < 0:
		return fmt.Errorf("--wait-timeout is %v; give one that is not negative, or none to wait for ever", f.waitTimeout)
	case f.maxHold != 0 && f.maxHold < minHold:
		return fmt.Errorf("--max-hold is %v; give %v at least, or none to lead for ever", f.maxHold, minHold)
	case f.healthGrace < 0:
		return fmt.Errorf("--health-grace is %v; give one that is not negative", f.healthGrace)
	case f.healthCmd == "" && cmd.Flags().Changed("health-grace"):
		return errors.New("--health-grace is of no use without --health-cmd; give both or none")
	}
	for _, name := range []string{"health-cmd", "pre-stop"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed && strings.TrimSpace(flag.Value.String()) == "" {
			return fmt.Errorf("--%s is empty; give a command of the shell, or leave it out", name)
		}
	}
	return f.memberFlags.check(cmd, election)
}

func newRun(c *common) *cobra.Command {
	f := runFlags{memberFlags: memberFlags{common: c}, restart: restartNo}
	cmd := &cobra.Command{
		Use:   "run NAME [flags] -- CMD [ARG...]",
		Short: "Run a command on one member at a time",
		Long:  runHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			election, argv, err := splitRunArgs(cmd, args)
			if err != nil {
				return err
			}
			if err := f.check(cmd, election); err != nil {
				return usage(cmd, "%w", err)
			}
			code, err := run(cmd.Context(), f, election, argv)
			if code == 0 && err == nil {
				return nil
			}
			return &exitError{cmp.Or(code, exitRunFailed), err}
		},
	}
	f.add(cmd)
	return cmd
}

// splitRunArgs takes apart NAME -- CMD ARG..., where NAME may itself stand after
// a "--" because it begins with a dash.
func splitRunArgs(cmd *cobra.Command, args []string) (election string, argv []string, err error) {
	switch dash := cmd.ArgsLenAtDash(); {
	case dash == 1:
		election, argv = args[0], args[1:]
	case dash == 0 && len(args) > 1 && args[1] == "--":
		election, argv = args[0], args[2:]
	default:
		return "", nil, usage(cmd, "want NAME -- CMD [ARG...]")
	}
	if len(argv) == 0 || argv[0] == "" {
		return "", nil, usage(cmd, "no command after \"--\"")
	}
	return election, argv, nil
}

// restartPolicy says when to campaign again after CMD has ended.
type restartPolicy string

const (
	restartNo        restartPolicy = "no"
	restartOnFailure restartPolicy = "on-failure"
	restartAlways    restartPolicy = "always"
)

func (p *restartPolicy) String() string { return string(*p) }
func (p *restartPolicy) Type() string   { return "policy" }

func (p *restartPolicy) choices() []string {
	return []string{string(restartNo), string(restartOnFailure), string(restartAlways)}
}

func (p *restartPolicy) Set(s string) error {
	switch v := restartPolicy(s); v {
	case restartNo, restartOnFailure, restartAlways:
		*p = v
		return nil
	}
	return fmt.Errorf("want %s, %s or %s", restartNo, restartOnFailure, restartAlways)
}
