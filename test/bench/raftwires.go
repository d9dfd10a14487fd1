package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// raftWire is a transport that can be cut off from all others.
type raftWire interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
	cut()
}

func newWires(transport string) ([]raftWire, error) {
	if transport == "memory" {
		return memoryWires(), nil
	}
	var wires []raftWire
	for range raftServers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			for _, w := range wires {
				err = errors.Join(err, w.Close())
			}
			return nil, err
		}
		layer := &tcpLayer{Listener: l, open: map[net.Conn]bool{}}
		wires = append(wires, tcpWire{raft.NewNetworkTransport(layer, raftServers, time.Second, io.Discard), layer})
	}
	return wires, nil
}

type memoryWire struct {
	*raft.InmemTransport
	all *[]raftWire
}

func memoryWires() []raftWire {
	var all []raftWire
	for range raftServers {
		_, t := raft.NewInmemTransport("")
		all = append(all, memoryWire{t, &all})
	}
	for _, a := range all {
		for _, b := range all {
			if a != b {
				a.(memoryWire).Connect(b.LocalAddr(), b.(memoryWire).InmemTransport)
			}
		}
	}
	return all
}

func (w memoryWire) cut() {
	w.DisconnectAll()
	for _, other := range *w.all {
		other.(memoryWire).Disconnect(w.LocalAddr())
	}
}

type tcpWire struct {
	*raft.NetworkTransport
	layer *tcpLayer
}

func (w tcpWire) cut() { w.layer.cut() }

// tcpLayer is TCP on the loopback, until it is cut.
type tcpLayer struct {
	net.Listener
	mu   sync.Mutex
	off  bool
	open map[net.Conn]bool
}

var errCut = errors.New("cut off")

func (l *tcpLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", string(addr), timeout)
	if err != nil {
		return nil, err
	}
	return l.keep(c)
}

func (l *tcpLayer) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if kept, err := l.keep(c); err == nil {
			return kept, nil
		}
	}
}

func (l *tcpLayer) keep(c net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return nil, errors.Join(errCut, c.Close())
	}
	l.open[c] = true
	return c, nil
}

func (l *tcpLayer) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for c := range l.open {
		_ = c.Close() // also of those that raft has closed
	}
}

// countedWire counts what is sent.
type countedWire struct {
	raftWire
	sent *atomic.Int64
}

func (w countedWire) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	w.sent.Add(1)
	return w.raftWire.AppendEntries(id, to, req, resp)
}

func (w countedWire) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	w.sent.Add(1)
	return w.raftWire.RequestVote(id, to, req, resp)
}

func (w countedWire) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	w.sent.Add(1)
	return w.raftWire.RequestPreVote(id, to, req, resp)
}

func (w countedWire) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	w.sent.Add(1)
	return w.raftWire.TimeoutNow(id, to, req, resp)
}

func (w countedWire) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := w.raftWire.AppendEntriesPipeline(id, to)
	if err != nil {
		return nil, err
	}
	return countedPipeline{p, w.sent}, nil
}

type countedPipeline struct {
	raft.AppendPipeline
	sent *atomic.Int64
}

func (p countedPipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	p.sent.Add(1)
	return p.AppendPipeline.AppendEntries(req, resp)
}
