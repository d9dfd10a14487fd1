package main

import (
	"context"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
)

// tenureNodes are nodes of package cluster.
type tenureNodes struct {
	*life
	cluster string
	handles []*handle
	nodes   []*cluster.Clustered
	extra   *cluster.Clustered
}

func newTenureNodes(name string, handles []*handle) (*tenureNodes, error) {
	p := &tenureNodes{life: newLife(), cluster: name, handles: handles}
	for i, h := range handles[:len(handles)-1] {
		n, err := newNode(h, name, nodeID(i))
		if err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	return p, nil
}

// newNode makes a node with everything at its default, and routines that do nothing.
func newNode(h *handle, name, id string) (*cluster.Clustered, error) {
	return cluster.New(h.counting, name, id, cluster.Options{
		Endpoint: "10.0.0.1:80",
		Leader:   func(context.Context, tenure.Term) error { return nil },
		Follower: func(context.Context) error { return nil },
	})
}

// start has all nodes join at once.
func (p *tenureNodes) start(ctx context.Context) error {
	return each(len(p.nodes), func(i int) error { return p.nodes[i].Start(ctx) })
}

// publish has each node put so many keys, all at once.
func (p *tenureNodes) publish(ctx context.Context, keys int) error {
	return each(len(p.nodes), func(i int) error { return publish(ctx, p.nodes[i], keys) })
}

func publish(ctx context.Context, n *cluster.Clustered, keys int) error {
	return each(keys, func(k int) error { return n.Put(ctx, keyName(k), []byte(valueOf(k))) })
}

// watchAll has each node watch, and returns when each knows what is there.
func (p *tenureNodes) watchAll(ctx context.Context) error {
	p.expect(ready, 2*len(p.nodes))
	for _, n := range p.nodes {
		watchNode(p.life, n)
	}
	_, err := p.await(ctx)
	return err
}

func watchNode(l *life, n *cluster.Clustered) {
	l.watch(func(ctx context.Context) error {
		for ev, err := range n.WatchNodes(ctx) {
			if err != nil {
				return err
			}
			switch ev.Kind {
			case cluster.NodesReady:
				l.sees(ready)
			case cluster.NodeJoined:
				l.sees(joined(ev.Node.ID))
			case cluster.NodeLeft:
				l.sees(left(ev.Node.ID))
			}
		}
		return nil
	})
	l.watch(func(ctx context.Context) error {
		for ev, err := range n.Watch(ctx, keyName(0)) {
			if err != nil {
				return err
			}
			switch ev.Kind {
			case cluster.Ready:
				l.sees(ready)
			case cluster.Modified:
				l.sees(string(ev.Value))
			}
		}
		return nil
	})
}

func (*tenureNodes) String() string { return "Tenure" }

func (p *tenureNodes) join(ctx context.Context, id string) (err error) {
	if p.extra, err = newNode(p.handles[len(p.nodes)], p.cluster, id); err != nil {
		return err
	}
	return p.extra.Start(ctx)
}

func (p *tenureNodes) leave(ctx context.Context) error { return p.extra.Stop(ctx) }

func (p *tenureNodes) put(ctx context.Context, node int, value string) error {
	return p.nodes[node].Put(ctx, keyName(0), []byte(value))
}

func (p *tenureNodes) getAll(ctx context.Context, node int) (int, error) {
	all, err := p.nodes[node].GetAll(ctx, keyName(0))
	return values(all), err
}

// getEverything is getAll for all keys.
func (p *tenureNodes) getEverything(ctx context.Context, node int) (int, error) {
	all, err := p.nodes[node].GetAllPrefix(ctx, "")
	return values(all), err
}

func values(all map[string][]cluster.Value) int {
	n := 0
	for _, v := range all {
		n += len(v)
	}
	return n
}

func (p *tenureNodes) close() error {
	p.end()
	nodes := p.nodes
	if p.extra != nil {
		nodes = append(nodes, p.extra)
	}
	return each(len(nodes), func(i int) error { return nodes[i].Close() })
}
