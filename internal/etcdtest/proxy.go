package etcdtest

import (
	"net"
	"net/url"
	"sync"
)

// Proxy stands between a client and a member. It can be cut: from then on nothing
// gets through in either direction, and no connection ends, as if a cable had been
// pulled.
type Proxy struct {
	// Endpoint is where clients connect to.
	Endpoint string

	target   string
	listener net.Listener
	closed   chan struct{}
	all      sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while it is not cut
	conns map[net.Conn]bool
}

// NewProxy starts a proxy on this host for an endpoint of a cluster. Close ends it.
func NewProxy(endpoint string) (*Proxy, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Endpoint: u.Scheme + "://" + l.Addr().String(),
		target:   u.Host,
		listener: l,
		closed:   make(chan struct{}),
		open:     make(chan struct{}),
		conns:    map[net.Conn]bool{},
	}
	close(p.open)
	p.all.Go(p.accept)
	return p, nil
}

// Cut lets nothing through any more. It must not be cut already.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// Heal lets everything through again, also what was on its way. It must be cut.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
}

// Close ends all connections and returns when nothing of the proxy is left.
func (p *Proxy) Close() error {
	close(p.closed)
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close() // ends who reads from it
	}
	p.mu.Unlock()
	p.all.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.all.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.keep(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return // the member is down, and so is the proxy
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		p.all.Go(func() {
			defer func() { ended <- struct{}{} }()
			p.pass(way[0], way[1])
		})
	}
	<-ended
}

func (p *Proxy) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.through() {
			return
		}
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// through waits until messages pass. It reports false if that will never be.
func (p *Proxy) through() bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return true
	case <-p.closed:
		return false
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return false
	default:
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = c.Close() // a second time, perhaps
	delete(p.conns, c)
}
