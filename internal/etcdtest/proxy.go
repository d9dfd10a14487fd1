package etcdtest

import (
	"net"
	"net/url"
	"sync"
	"time"
)

// Proxy stands between clients and a member. It can be cut: from then on nothing
// gets through, and no connection ends, as if a cable had been pulled. A cut may
// be of one way alone, as by a rule of a firewall.
type Proxy struct {
	// Endpoint is where clients connect to.
	Endpoint string

	target   string
	identify func([]byte) string // tells from a request whose connection it is on; may be nil
	listener net.Listener
	closed   chan struct{}
	all      sync.WaitGroup

	mu      sync.Mutex
	held    map[gate]bool
	delay   time.Duration
	changed chan struct{} // closed when either of these is
	conns   map[net.Conn]bool
}

// Way is one of the two that messages go.
type Way int

// The ways through a proxy.
const (
	Requests Way = iota // from clients
	Replies             // to them
)

// gate is what can be cut by itself: the way of a client that is known, or of all.
type gate struct {
	client string
	way    Way
}

// NewProxy starts a proxy on this host for an endpoint of a cluster. Close ends it.
func NewProxy(endpoint string) (*Proxy, error) { return newProxy("127.0.0.1", endpoint, nil) }

// NewProxyAt is NewProxy at another address of this host.
func NewProxyAt(address, endpoint string) (*Proxy, error) { return newProxy(address, endpoint, nil) }

func newProxy(address, endpoint string, identify func([]byte) string) (*Proxy, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Endpoint: u.Scheme + "://" + l.Addr().String(),
		target:   u.Host,
		identify: identify,
		listener: l,
		closed:   make(chan struct{}),
		held:     map[gate]bool{},
		changed:  make(chan struct{}),
		conns:    map[net.Conn]bool{},
	}
	p.all.Go(p.accept)
	return p, nil
}

// Cut lets nothing through any more: in either direction, or on the given ways alone.
func (p *Proxy) Cut(ways ...Way) { p.cut("", ways...) }

func (p *Proxy) cut(client string, ways ...Way) {
	if len(ways) == 0 {
		ways = []Way{Requests, Replies}
	}
	p.change(func() {
		for _, way := range ways {
			p.held[gate{client, way}] = true
		}
	})
}

// Heal lets everything through again, also what was on its way.
func (p *Proxy) Heal() { p.change(func() { clear(p.held) }) }

// Delay makes every message come so much later, each way; a zero one ends that.
func (p *Proxy) Delay(d time.Duration) { p.change(func() { p.delay = d }) }

// Break ends all connections, and what was on its way is lost. Clients may connect anew.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // ends who reads from it
	}
}

// Connected reports whether a client is.
func (p *Proxy) Connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) > 0
}

// Close ends all connections and returns when nothing of the proxy is left.
func (p *Proxy) Close() error {
	close(p.closed)
	err := p.listener.Close()
	p.Break()
	p.all.Wait()
	return err
}

func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
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
	c := &connection{}
	ended := make(chan struct{}, 2)
	for _, s := range []stream{{c, client, server, Requests}, {c, server, client, Replies}} {
		p.all.Go(func() {
			defer func() { ended <- struct{}{} }()
			p.pass(s)
		})
	}
	<-ended
}

// connection is one of a client, with its name once that is known.
type connection struct {
	mu     sync.Mutex
	client string
}

// stream is one way of a connection.
type stream struct {
	*connection
	from, to net.Conn
	way      Way
}

func (p *Proxy) pass(s stream) {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.from.Read(buf)
		if s.way == Requests && p.identify != nil {
			if client := p.identify(buf[:n]); client != "" {
				s.mu.Lock()
				s.client = client
				s.mu.Unlock()
			}
		}
		if !p.through(s) {
			return
		}
		if _, failed := s.to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}

// through waits until messages of a stream pass. It reports false if that will
// never be.
func (p *Proxy) through(s stream) bool {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	for {
		p.mu.Lock()
		held := p.held[gate{"", s.way}] || p.held[gate{client, s.way}]
		changed, delay := p.changed, p.delay
		p.mu.Unlock()
		if !held && delay == 0 {
			return true
		}
		var late <-chan time.Time // never
		if !held {
			late = time.After(delay)
		}
		select {
		case <-late:
			return true
		case <-changed:
		case <-p.closed:
			return false
		}
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
