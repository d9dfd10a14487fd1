package main

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
)

// handSize is how many jobs a node is dealt at most: enough to be busy until the leader
// deals again.
const handSize = 8

// hand is what a leader deals a node: a value of the leader's own state, under the key
// handOf(node).
type hand struct {
	Term tenure.Token // of the leader
	Jobs []job
}

func handOf(node string) string { return "hand/" + node }

// deal is what the leader does on each tick.
func (n *node) deal(ctx context.Context, t tenure.Term) error {
	if t.Token() != n.term {
		n.term, n.published = t.Token(), map[string][]byte{}
		n.say("leads, term %d", n.term)
	}
	all, err := n.jobs.list(ctx) // first the jobs,
	if err != nil {
		return err
	}
	nodes, err := n.cluster.Nodes(ctx) // then who is there: doc.go says why
	if err != nil {
		return err
	}
	for id, jobs := range hands(all, nodes) {
		value, err := json.Marshal(hand{Term: n.term, Jobs: jobs})
		if err != nil {
			return err
		}
		if bytes.Equal(value, n.published[id]) {
			continue // an idle scheduler writes nothing
		}
		if err := n.cluster.Put(ctx, handOf(id), value); err != nil {
			return err
		}
		n.published[id] = value
	}
	return nil
}

// hands deals the jobs that are not done to the nodes.
func hands(all []job, nodes []cluster.Info) map[string][]job {
	hands, there := map[string][]job{}, map[string]bool{}
	for _, n := range nodes {
		hands[n.ID], there[n.Incarnation] = nil, true
	}
	if len(nodes) == 0 {
		return hands // this one has just been cut off
	}
	for i, j := range all {
		to := nodes[i%len(nodes)].ID
		if there[j.Worker.Incarnation] {
			// It does it now; or it does not know that it has taken it, because
			// the store's answer was lost. Then it takes it again.
			to = j.Worker.Node
		}
		if !j.Done && len(hands[to]) < handSize {
			hands[to] = append(hands[to], j)
		}
	}
	return hands
}
