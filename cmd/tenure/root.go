package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

const rootHelp = `Tenure elects one leader among processes and tells everyone who it is.

The store is a file of this host unless --store or TENURE_STORE says otherwise,
so members of one host need no server and no configuration. Stores:

  sqlite:PATH                        a file, for members of one host
  etcd://[USER@]HOST,.../[PREFIX]    an etcd cluster, for members of many hosts
  etcds://...                        the same over TLS

Who has no etcd runs "tenure serve" on one host or three, which is one.

Name all hosts of a cluster, each with its port unless that is 2379. PREFIX is that
of all keys, "tenure/" if there is none. The password of USER is that in
TENURE_ETCD_PASSWORD; one in the URL is refused, because URLs are shown. After
etcds://... may follow ?cacert=FILE, the authorities to trust in place of the
system's, and &cert=FILE&key=FILE, a certificate to show.

Exit codes: 0 success, 1 failure, 2 a command line that cannot be used, 3 nobody
leads (tenure leader, depose, transfer; resign: this member does not) or no node lives
(tenure nodes, state list), 4 a node has no such key (tenure state get), 5 it was not so
in time (tenure wait). "tenure run" ends as its command did, and "tenure campaign" has a
code of its own for a second signal; see their help.`

// flags that every command has.
type common struct {
	store string
	json  bool
}

func newRoot() *cobra.Command {
	var c common
	root := &cobra.Command{
		Use:           "tenure",
		Short:         "Leader election for programs",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // or an unknown command were cobra's error, not one of usage
		RunE:          commandNeeded,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&c.store, "store", "", "store to use, see \"tenure --help\" (default $TENURE_STORE, else a file under the user's state directory)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, one value a line")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, "%w", err)
	})
	root.AddCommand(newRun(&c), newCampaign(&c), newResign(&c), newLeader(&c), newWait(&c), newWatch(&c), newStatus(&c), newHistory(&c),
		newVerify(&c), newBench(&c), newVictim(&c),
		newDepose(&c), newTransfer(&c), newDrain(&c), newUndrain(&c), newPause(&c), newUnpause(&c),
		newNodes(&c), newState(&c), newServe(&c), newVersion(&c))
	return root
}

// commandNeeded is what a command does that is nothing without one below it.
func commandNeeded(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "unknown command %q", args[0])
	}
	return cmd.Help()
}

// usage is the error of a command line that cannot be used.
func usage(cmd *cobra.Command, format string, args ...any) error {
	code := exitUsage
	if cmd.Name() == "run" {
		code = exitRunFailed // its other codes are the command's
	}
	err := fmt.Errorf(format, args...)
	return &exitError{code, fmt.Errorf("%w\nrun \"%s --help\" for help", err, cmd.CommandPath())}
}

// storeURL returns the store that was asked for, or the default.
func (c *common) storeURL() (string, error) {
	if c.store != "" {
		return c.store, nil
	}
	if url := os.Getenv("TENURE_STORE"); url != "" {
		return url, nil
	}
	dir, err := stateDir()
	if err != nil {
		return "", err
	}
	return "sqlite:" + dir + "/tenure.db", nil
}

// stateDir is where a user's programs keep what should outlast them, as the XDG
// Base Directory Specification has it. It is made when missing.
func stateDir() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the specification has a relative one ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.Join(errors.New("no state directory for the default store; use --store sqlite:PATH"), err)
		}
		base = home + "/.local/state"
	}
	dir := base + "/tenure"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state directory for the default store: %w; use --store sqlite:PATH", err)
	}
	return dir, nil
}
