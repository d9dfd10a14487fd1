package etcdtest

import (
	"bytes"
	"context"
	"regexp"
)

// Peers of a cluster with Options.Partitions reach each other through a proxy before
// each member. A member opens connections on which it is sent messages as well as
// such on which it sends them, so what is cut is chosen by who has opened a connection,
// as etcd's peers tell in a header of theirs.

// Isolate cuts a member off from its peers: it loses what it sends to them, what it is sent
// by them, or both. Its clients still reach it. Rejoin ends that.
func (c *Cluster) Isolate(m *Member, sent, received bool) {
	for _, other := range c.Members {
		if other == m {
			m.peers.isolate("", received, sent)
		} else {
			other.peers.isolate(m.id, sent, received)
		}
	}
}

// isolate cuts the connections of a client, or of all.
func (p *Proxy) isolate(client string, requests, replies bool) {
	if requests {
		p.cut(client, Requests)
	}
	if replies {
		p.cut(client, Replies)
	}
}

// Rejoin lets all members reach each other again.
func (c *Cluster) Rejoin() {
	for _, m := range c.Members {
		m.peers.Heal()
	}
}

// server finds who sends a request of etcd's peers.
var server = regexp.MustCompile(`\r\nX-Server-From: ([0-9a-f]+)\r\n`)

func sender(request []byte) string {
	if found := server.FindSubmatch(request); found != nil {
		return string(found[1])
	}
	return ""
}

// serverID finds who a member is in its metrics.
var serverID = regexp.MustCompile(`(?m)^etcd_server_id\{server_id="([0-9a-f]+)"\} 1$`)

// learnID asks a member for its ID among its peers.
func (m *Member) learnID(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		_, body, err := m.get(ctx, "/metrics")
		if found := serverID.FindSubmatch(body); err == nil && found != nil {
			m.id = string(bytes.TrimLeft(found[1], "0"))
		}
		return m.id != "", nil
	})
}
