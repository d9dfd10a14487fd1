package cluster

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
)

// Self is as of Node.
func (n *node) Self() Info {
	r, err := n.present()
	if err != nil {
		return Info{ID: n.id, Endpoint: n.opts.Endpoint, Version: n.opts.Version, Tags: maps.Clone(n.opts.Tags), Tick: n.opts.Tick}
	}
	info := r.state.info()
	info.Role = r.roles.present()
	return info
}

// Leader is as of Node.
func (n *node) Leader() (id string, ok bool) {
	r, err := n.present()
	if err != nil {
		return "", false
	}
	id = r.roles.leader()
	return id, id != ""
}

// SetTags is as of Node.
func (n *node) SetTags(ctx context.Context, tags map[string]string) error {
	return n.publish(ctx, "set tags", func(ctx context.Context, r *run) error {
		if err := checkRecord(n.opts.Endpoint, n.opts.Version, tags); err != nil {
			return err
		}
		tags = maps.Clone(tags)
		return r.state.write(ctx, func(rec *record) { rec.Tags = tags })
	})
}

// Put is as of Node.
func (n *node) Put(ctx context.Context, key string, value []byte) error {
	return n.publish(ctx, "put", func(ctx context.Context, r *run) error {
		if err := errors.Join(checkKey(key), checkValue(key, value)); err != nil {
			return err
		}
		if value == nil {
			value = []byte{}
		}
		return r.state.set(ctx, key, bytes.Clone(value))
	})
}

// Delete is as of Node.
func (n *node) Delete(ctx context.Context, key string) error {
	return n.publish(ctx, "delete", func(ctx context.Context, r *run) error {
		if err := checkKey(key); err != nil {
			return err
		}
		return r.state.set(ctx, key, nil)
	})
}

// publish is a call that writes.
func (n *node) publish(ctx context.Context, op string, f func(context.Context, *run) error) error {
	r, ctx, leave, err := n.enter(ctx)
	if err != nil {
		return n.fail(op, err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := f(ctx, r); err != nil {
		return n.fail(op, err)
	}
	return nil
}

// Nodes is as of Node.
func (n *node) Nodes(ctx context.Context) (nodes []Info, err error) {
	err = n.ask(ctx, "list nodes", func(ctx context.Context, v *View) error {
		nodes, err = v.Nodes(ctx)
		return err
	})
	return nodes, err
}

// Node is as of Node.
func (n *node) Node(ctx context.Context, id string) (info Info, ok bool, err error) {
	err = n.ask(ctx, "read node", func(ctx context.Context, v *View) error {
		info, ok, err = v.Node(ctx, id)
		return err
	})
	return info, ok, err
}

// ReadLeader is as of Node.
func (n *node) ReadLeader(ctx context.Context) (id string, ok bool, err error) {
	err = n.ask(ctx, "read leader", func(ctx context.Context, v *View) error {
		id, ok, err = v.ReadLeader(ctx)
		return err
	})
	return id, ok, err
}

// Get is as of Node.
func (n *node) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	value, ok, err = n.GetFrom(ctx, n.id, key)
	if errors.Is(err, ErrNoNode) {
		err = nil // the node is not seen, and nothing of it is
	}
	return value, ok, err
}

// GetFrom is as of Node.
func (n *node) GetFrom(ctx context.Context, id, key string) (value []byte, ok bool, err error) {
	err = n.ask(ctx, "get", func(ctx context.Context, v *View) error {
		value, ok, err = v.GetFrom(ctx, id, key)
		return err
	})
	return value, ok, err
}

// GetAll is as of Node.
func (n *node) GetAll(ctx context.Context, key string) (all map[string][]Value, err error) {
	err = n.ask(ctx, "get", func(ctx context.Context, v *View) error {
		all, err = v.GetAll(ctx, key)
		return err
	})
	return all, err
}

// GetAllPrefix is as of Node.
func (n *node) GetAllPrefix(ctx context.Context, prefix string) (all map[string][]Value, err error) {
	err = n.ask(ctx, "get", func(ctx context.Context, v *View) error {
		all, err = v.GetAllPrefix(ctx, prefix)
		return err
	})
	return all, err
}

// ask is a call that reads.
func (n *node) ask(ctx context.Context, op string, f func(context.Context, *View) error) error {
	r, ctx, leave, err := n.enter(ctx)
	if err != nil {
		return n.fail(op, err)
	}
	defer leave()
	if err := f(ctx, r.view); err != nil {
		return r.because(ctx, op, err)
	}
	return nil
}

// WatchNodes is as of Node.
func (n *node) WatchNodes(ctx context.Context) iter.Seq2[NodeEvent, error] {
	return watch(ctx, n, "watch nodes", func(ctx context.Context, v *View) iter.Seq2[NodeEvent, error] { return v.WatchNodes(ctx) })
}

// Watch is as of Node.
func (n *node) Watch(ctx context.Context, key string) iter.Seq2[Event, error] {
	return watch(ctx, n, "watch", func(ctx context.Context, v *View) iter.Seq2[Event, error] { return v.Watch(ctx, key) })
}

// WatchPrefix is as of Node.
func (n *node) WatchPrefix(ctx context.Context, prefix string) iter.Seq2[Event, error] {
	return watch(ctx, n, "watch", func(ctx context.Context, v *View) iter.Seq2[Event, error] { return v.WatchPrefix(ctx, prefix) })
}

// watch is a call that goes on, until its run ends.
func watch[T any](ctx context.Context, n *node, op string, over func(context.Context, *View) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		r, ctx, leave, err := n.enter(ctx)
		if err != nil {
			yield(none, n.fail(op, err))
			return
		}
		defer leave()
		for ev, err := range over(ctx, r.view) {
			if err != nil {
				yield(none, r.because(ctx, op, err))
				return
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// because is the error of a call: where its run or its context has ended, why.
func (r *run) because(ctx context.Context, op string, err error) error {
	for _, over := range []context.Context{r.ctx, ctx} {
		if over.Err() != nil {
			return r.n.fail(op, context.Cause(over))
		}
	}
	return err
}
