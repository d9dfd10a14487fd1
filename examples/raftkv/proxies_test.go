package main

import (
	"context"
	"net"
	"os/exec"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
)

// proxies are a network for those who may not make one: between each two servers there is a
// proxy for the connections of one to the other, which keeps to itself what is lost. As with
// packets that a network loses, nobody is told: what is sent meanwhile arrives when the network
// is whole again, or never, if the connection was given up.
type proxies struct {
	ctx context.Context
	ids []raft.ServerID
	all sync.WaitGroup

	mu   sync.Mutex
	ways map[way]chan struct{} // closed while nothing is lost
}

type way struct{ from, to raft.ServerID }

func newProxies(t *testing.T, f *fleet) network {
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.ctx))
	p := &proxies{ctx: ctx, ids: f.ids, ways: map[way]chan struct{}{}}
	t.Cleanup(func() {
		cancel()
		p.all.Wait()
	})
	reached := map[raft.ServerID]peers{}
	for _, from := range f.ids {
		reached[from] = peers{}
		for _, to := range f.ids {
			if from == to {
				continue
			}
			p.ways[way{from, to}] = make(chan struct{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			context.AfterFunc(ctx, func() { _ = l.Close() })
			p.all.Go(func() { p.serve(l, from, to, string(f.peers[to].raft)) })
			reached[from][to] = peer{raft: raft.ServerAddress(l.Addr().String())}
		}
	}
	if err := p.heal(); err != nil {
		t.Fatal(err)
	}
	start := f.command
	f.command = func(id raft.ServerID, args ...string) *exec.Cmd {
		cmd := start(id, args...)
		cmd.Env = append(cmd.Env, reachEnv+"="+reached[id].String())
		return cmd
	}
	return p
}

func (p *proxies) serve(l net.Listener, from, to raft.ServerID, address string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() {
			defer client.Close()
			defer context.AfterFunc(p.ctx, func() { _ = client.Close() })()
			p.wait(way{from, to})
			p.wait(way{to, from})
			var dialer net.Dialer
			server, err := dialer.DialContext(p.ctx, "tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			defer context.AfterFunc(p.ctx, func() { _ = server.Close() })()
			var both sync.WaitGroup
			both.Go(func() { p.carry(server, client, way{from, to}) })
			both.Go(func() { p.carry(client, server, way{to, from}) })
			both.Wait()
		})
	}
}

// carry carries what is sent one way; its end is lost, too, while the way is cut.
func (p *proxies) carry(to, from net.Conn, w way) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.wait(w)
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// wait waits until the way is open.
func (p *proxies) wait(w way) {
	p.mu.Lock()
	open := p.ways[w]
	p.mu.Unlock()
	select {
	case <-open:
	case <-p.ctx.Done():
	}
}

func (p *proxies) cut(id raft.ServerID, sent, received bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w, open := range p.ways {
		if (w.from == id && sent || w.to == id && received) && isClosed(open) {
			p.ways[w] = make(chan struct{})
		}
	}
	return nil
}

func (p *proxies) heal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, open := range p.ways {
		if !isClosed(open) {
			close(open)
		}
	}
	return nil
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
