package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
)

const runHelp = `Waits until this member leads the election NAME, and runs CMD while it does. CMD
finds TENURE_ELECTION, TENURE_MEMBER, TENURE_TOKEN and TENURE_STORE in its
environment, and has the standard input, output and error of tenure run.

The token rises with every term of an election. Give it to whatever CMD writes
to, and have it refuse a lower one: that holds even where no process can be
stopped in time.

When CMD ends, what is left of its process group is stopped, the leadership is
handed to the next member, and tenure run ends with CMD's exit code; --restart
goes on instead. When the leadership is lost, also because somebody deposed this
member, CMD's process group is killed, and tenure run waits to be elected again.
It does so, too, when the leadership is wanted elsewhere ("tenure transfer", "tenure
drain"): CMD is then sent TERM, and has 10 s for its end before it is killed.

CMD runs under a guard, a second process, which kills CMD's process group in
time when tenure run is killed or stopped, or cannot renew its leadership. What
it cannot reach: processes that leave the group (daemons, setsid), and the time
until it runs again when the guard itself is stopped together with the rest.

Signals: TERM, INT, HUP and QUIT end a tenure run that waits. While CMD runs,
every signal is passed on to its process group; TERM and INT also end tenure
run, after CMD has ended, for which it has 10 s. A second one kills CMD at once.

Exit codes: CMD's own; 128+N when signal N ended CMD, or tenure run while it
waited; 126 when CMD cannot be executed; 127 when there is no CMD; 125 when
tenure run could not do its part.`

type runFlags struct {
	memberFlags
	restart restartPolicy
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
	cmd.Flags().Var(&f.restart, "restart", "campaign again when CMD has ended: no, on-failure or always")
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
