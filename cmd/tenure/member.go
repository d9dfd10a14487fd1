package main

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

// memberFlags are what every command has that makes this process a member.
type memberFlags struct {
	*common
	id       string
	endpoint string
	ttl      time.Duration
	priority int
	quiet    bool
	listen   listenFlags

	health      func(context.Context) error // nil: the member is healthy
	healthGrace time.Duration
}

func (f *memberFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "id of this member (default host-pid-nonce)")
	flags.StringVar(&f.endpoint, "endpoint", "", "address that others are told when this member leads")
	flags.DurationVar(&f.ttl, "ttl", tenure.DefaultTTL, "time after which a member that went silent is replaced")
	flags.IntVar(&f.priority, "priority", 0, "candidates of a higher priority go first")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing on standard error but errors")
	f.listen.add(cmd)
}

// check refuses what the library would refuse, before anything is made in a
// store.
func (f *memberFlags) check(cmd *cobra.Command, election string) error {
	if err := checkName("election name", election); err != nil {
		return err
	}
	if cmd.Flags().Changed("id") {
		if err := checkName("--id", f.id); err != nil {
			return err
		}
	}
	switch {
	case f.ttl < tenure.MinTTL || f.ttl > tenure.MaxTTL:
		return fmt.Errorf("--ttl is %v; give one from %v to %v", f.ttl, tenure.MinTTL, tenure.MaxTTL)
	case len(f.endpoint) > tenure.MaxEndpoint:
		return fmt.Errorf("--endpoint has %d bytes; give %d at most", len(f.endpoint), tenure.MaxEndpoint)
	case !utf8.ValidString(f.endpoint):
		return fmt.Errorf("--endpoint %q is not UTF-8; give one that is", f.endpoint)
	}
	return f.listen.check()
}
