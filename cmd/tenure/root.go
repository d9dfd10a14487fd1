package main

import (
	"cmp"
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

Exit codes:

`

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
		Long:          rootHelp + exitCodesText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // or an unknown command were cobra's error, not one of usage
		RunE:          commandNeeded,
	}
	root.PersistentFlags().StringVar(&c.store, "store", "", "store to use, see \"tenure --help\" (default $TENURE_STORE, else a file under the user's state directory)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, one value a line")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, "%w", err)
	})
	root.AddCommand(newRun(&c), newCampaign(&c), newResign(&c), newLeader(&c), newWait(&c), newWatch(&c), newStatus(&c), newHistory(&c),
		newVerify(&c), newBench(&c), newVictim(&c),
		newDepose(&c), newTransfer(&c), newDrain(&c), newUndrain(&c), newPause(&c), newUnpause(&c),
		newNodes(&c), newState(&c), newServe(&c), newVersion(&c),
		newExitCodes(), newEnvironment())
	addCompletion(root, &c)
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

// storeURL returns the store that was asked for, or the default, whose folder is made when
// missing.
func (c *common) storeURL() (string, error) {
	url, dir, err := c.whichStore()
	if err != nil || dir == "" {
		return url, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state directory for the default store: %w; use --store sqlite:PATH", err)
	}
	return url, nil
}

// whichStore returns the store that was asked for, or the default and the folder that it
// lies in. It makes nothing.
func (c *common) whichStore() (url, dir string, err error) {
	if url := cmp.Or(c.store, os.Getenv(storeEnv)); url != "" {
		return url, "", nil
	}
	home, err := os.UserHomeDir()
	if dir = stateDir(os.Getenv(stateEnv), home); dir == "" {
		return "", "", errors.Join(errors.New("no state directory for the default store; use --store sqlite:PATH"), err)
	}
	return "sqlite:" + dir + "/tenure.db", dir, nil
}

// stateDir is where a user's programs keep what should outlast them, as the XDG Base
// Directory Specification has it; "" if there is no such place.
func stateDir(base, home string) string {
	if filepath.IsAbs(base) { // the specification has a relative one ignored
		return base + "/tenure"
	}
	if home == "" {
		return ""
	}
	return home + "/.local/state/tenure"
}
