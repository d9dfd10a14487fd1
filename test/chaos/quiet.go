//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store/etcdstore"
)

// quieten has all nodes finish what they publish, and then compares what every watch has
// told with what is there.
func (c *campaign) quieten() (err error) {
	ctx, cancel := context.WithTimeout(c.ctx, recovery)
	defer cancel()
	for _, p := range c.places {
		if _, err := io.WriteString(p.process.stdin, "\n"); err != nil {
			return fmt.Errorf("worker %s: %w", p.ID, err)
		}
	}
	for _, p := range c.places {
		for !c.account.isQuiet(p.ID) {
			if !wait(ctx, ttl/20) {
				return fmt.Errorf("the node of %s still publishes after %v: %w", p.ID, recovery, errStuck)
			}
		}
	}
	st, err := etcdstore.Open(ctx, etcdstore.Config{Endpoints: c.cluster.Endpoints(), Prefix: prefix})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for view := cluster.NewView(st, fleet); ; {
		found, err := c.compare(ctx, view)
		if err != nil || len(found) == 0 {
			return err
		}
		if !wait(ctx, ttl/20) {
			return errors.Join(append(found, errStuck)...)
		}
	}
}

// compare reads what is there, and tells in what a watch differs from it so far.
func (c *campaign) compare(ctx context.Context, view *cluster.View) (found []error, err error) {
	values, err := view.GetAllPrefix(ctx, "")
	if err != nil {
		return nil, err
	}
	infos, err := view.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.recorder.catchUp(ctx); err != nil {
		return nil, err
	}
	state, nodes, roles := map[entry]string{}, map[entry]string{}, map[entry]string{}
	for node, all := range values {
		for _, v := range all {
			state[entry{node, v.Key}] = string(v.Data)
		}
	}
	for _, n := range infos {
		nodes[entry{node: n.ID}] = self(n.Incarnation, n.Tags)
		roles[entry{node: n.ID}] = string(n.Role)
	}
	return c.account.compare(state, nodes, roles), nil
}
