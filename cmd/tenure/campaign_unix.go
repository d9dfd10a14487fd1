//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/hook"
	"github.com/tenure-go/tenure/store"
)

// observePause is between two attempts to observe an election whose seat cannot be read.
const observePause = 5 * time.Second

// campaigner is one "tenure campaign".
type campaigner struct {
	flags    *campaignFlags
	election string
	st       store.Store
	url      string
	tell     teller
	hooks    *hook.Runner
}

// run campaigns, or looks on, until it is told to stop.
func (f *campaignFlags) run(ctx context.Context, election string) error {
	stop := stopOnSignals(ctx)
	defer stop.release()
	st, url, err := f.open(stop.ctx)
	if err != nil {
		return stop.result(err)
	}
	defer func() { _ = st.Close() }() // after the member, whose close reports
	c := &campaigner{flags: f, election: election, st: st, url: url, tell: teller{election, f.json, f.quiet}}
	c.hooks = c.startHooks()
	stop.second(c.hooks.Kill)
	if f.observe {
		err = c.observe(stop.ctx)
	} else {
		err = c.campaign(stop.ctx)
	}
	c.hooks.Close()
	return stop.result(err)
}

func (c *campaigner) startHooks() *hook.Runner {
	commands := map[hook.Kind]string{}
	for kind, flag := range map[hook.Kind]string{
		hook.Elected: onElected, hook.Follower: onFollower, hook.Lost: onLost, hook.Error: onError,
	} {
		commands[kind] = *c.flags.hooks[flag]
	}
	return hook.Start(hook.Config{
		Commands: commands, Timeout: c.flags.timeout, Guard: guardCommand(), Environ: childEnv,
		Election: c.election, Member: c.flags.id, Endpoint: c.flags.endpoint, Store: c.url,
		Observer: c.flags.observe,
		Tell:     func(err error) { c.tell.tell("hook", "%s", plain(err.Error())) },
	})
}

// campaign takes part in the election until ctx ends, or, with --once, a term.
func (c *campaigner) campaign(ctx context.Context) error {
	if err := checkWatchdog(c.flags.ttl); err != nil {
		return err
	}
	status := newMemberStatus(c.tell)
	defer status.Close()
	defer context.AfterFunc(ctx, status.Stopping)()
	m, err := c.flags.join(ctx, c.st, c.url, c.tell, tenure.MultiTrace(status.trace(), c.trace()))
	if err != nil {
		return err
	}
	status.become("waits to lead %s", c.election)
	c.hooks.Joined(m.ID())
	c.tell.tell("waiting", "member %s waits to lead", plain(m.ID()))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	observed := make(chan error, 1)
	go func() {
		defer cancel()
		observed <- c.observe(ctx)
	}()
	ends := func() {}
	callbacks := tenure.Callbacks{Elected: func(ctx context.Context, t tenure.Term) error {
		if err := c.hooks.Elected(ctx, t); err != nil {
			return err
		}
		ends = m.works(t) // load balancers may send here what the hook has made ready
		return nil
	}, Lost: func(t tenure.Term, cause error) {
		ends()
		c.hooks.Lost(t, cause)
		if c.flags.once {
			cancel()
		}
	}}
	err = callbacks.Run(ctx, m.Member, c.election, tenure.LeadOptions{
		Priority: c.flags.priority, DrainTimeout: hook.LongestEnd(c.flags.timeout),
	})
	cancel()
	return errors.Join(err, <-observed, m.Close())
}

// trace tells the hooks what they must know of the member.
func (c *campaigner) trace() *tenure.Trace {
	return &tenure.Trace{
		Round:       func(tenure.RoundInfo) { c.hooks.Renewed() },
		Trouble:     func(_, request string, err error) { c.hooks.Error(fmt.Errorf("%s: %w", request, err)) },
		SessionLost: func(_ tenure.SessionInfo, cause error) { c.hooks.Error(fmt.Errorf("%w; joining again", cause)) },
	}
}

// observe tells the hooks who leads, until ctx ends.
func (c *campaigner) observe(ctx context.Context) error {
	view := tenure.NewView(c.st, c.election)
	told := ""
	for {
		for ev, err := range view.Observe(ctx) {
			switch {
			case err == nil:
				c.changed(ev)
			case ctx.Err() != nil:
				return nil
			case !errors.Is(err, tenure.ErrCorrupt):
				return err
			default: // who is elected next writes it anew
				if text := err.Error(); text != told {
					told = text
					c.tell.tell("trouble", "%s; trying again", plain(text))
				}
				c.hooks.Error(err)
			}
		}
		select {
		case <-time.After(observePause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *campaigner) changed(ev tenure.Event) {
	if c.flags.observe && ev.Kind == tenure.Elected {
		c.tell.tell("follower", "%s", described(ev.Leader))
	}
	c.hooks.Changed(ev)
}
