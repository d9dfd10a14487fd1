package embedded

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// Config is what Start needs to know. Name and Dir are required.
type Config struct {
	// Name of this server: unique among the servers of its cluster, and the same at
	// every start. Letters, digits, "-", "_" and ".", at most 64.
	Name string
	// Dir is the folder of the server's data, which nothing else may use. It is made
	// if it is missing. At the first start it decides what the server becomes;
	// afterwards it knows its cluster by itself.
	Dir string

	// Peers are the servers of a new cluster, this one among them: for each name
	// the address, as "host:port", at which the others reach it. All of them are
	// started with the same list. Without Peers and Join the server is a cluster of one.
	Peers map[string]string
	// Join are the Client addresses of servers of a running cluster, one of which must
	// answer, for a new server to join it.
	Join []string
	// Replaces is the name of the server whose place one that joins takes: that one is
	// removed from the cluster, for good.
	Replaces string

	// Client is the address at which clients reach this server, as "host:port".
	// Default 127.0.0.1:2379.
	Client string
	// Peer is the address at which the other servers reach this one. Default: that in
	// Peers. One that joins, and one that is alone and to be joined by others, need it.
	Peer string
	// ListenClient and ListenPeer are the addresses to listen on. Default: Client and
	// Peer, and all interfaces where the host of those is a name.
	ListenClient, ListenPeer string

	// ClientTLS and PeerTLS, if they name files, make clients and peers speak TLS.
	ClientTLS, PeerTLS TLS
	// Insecure allows to listen beyond this host's loopback interface although not
	// everybody has to show a certificate. Whoever reaches such a server can
	// read and write everything.
	Insecure bool

	// ElectionTimeout is how long the servers do without a sign of life of their
	// leader before they elect another; the same for all of them. Default 1 s, at
	// least 100 ms, at most 50 s. The shortest TTL of a session is one and a half of
	// it, rounded up to seconds.
	ElectionTimeout time.Duration
	// Retention is for how long the history of changes is kept, from which watches go
	// on where they broke off. Default 5 min, at least 1 min.
	Retention time.Duration
	// Quota is the size of the database in bytes beyond which the servers accept
	// no more writes. Default 2 GiB.
	Quota int64
	// Priority, if positive, has etcd's leader move to this server from one of a lower
	// one; see Server.SetPriority.
	Priority int

	// Logger is told of state changes at Info, of what does not work at Warn, and of all
	// that etcd says at Debug. The default says nothing.
	Logger *slog.Logger
}

// TLS names PEM files.
type TLS struct {
	// Cert and Key are the server's. The certificate is valid for the host of its
	// address, and for both uses, as a server and as a client.
	Cert, Key string
	// CA are the authorities that must have signed what the other side shows. PeerTLS
	// requires them. ClientTLS without them serves everybody.
	CA string
}

func (t TLS) enabled() bool { return t != TLS{} }

const (
	defaultClient    = "127.0.0.1:2379"
	defaultElection  = time.Second
	defaultRetention = 5 * time.Minute
	defaultQuota     = 2 << 30

	minElection  = 100 * time.Millisecond
	maxElection  = 50 * time.Second
	minRetention = time.Minute
	minQuota     = 16 << 20
	maxName      = 64
)

// complete checks a configuration and fills in what it leaves out.
func (c Config) complete() (Config, error) {
	if err := checkName("name", c.Name); err != nil {
		return c, err
	}
	c.Client = cmp.Or(c.Client, defaultClient)
	c.ElectionTimeout = cmp.Or(c.ElectionTimeout, defaultElection)
	c.Retention = cmp.Or(c.Retention, defaultRetention)
	c.Quota = cmp.Or(c.Quota, defaultQuota)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Dir == "":
		return c, invalid("no data directory; name one that nothing else uses")
	case c.ElectionTimeout < minElection || c.ElectionTimeout > maxElection:
		return c, invalid("an election timeout of %v; it is %v to %v", c.ElectionTimeout, minElection, maxElection)
	case c.Retention < minRetention:
		return c, invalid("a retention of %v; the shortest is %v", c.Retention, minRetention)
	case c.Quota < minQuota:
		return c, invalid("a quota of %d bytes; the least is %d", c.Quota, minQuota)
	case len(c.Peers) > 0 && len(c.Join) > 0:
		return c, invalid("both the peers of a new cluster and a running one to join; give one of them")
	case c.Replaces != "" && len(c.Join) == 0:
		return c, invalid("replaces server %q, and joins no cluster; name servers of the cluster to join", c.Replaces)
	case c.Replaces == c.Name:
		return c, invalid("server %q cannot replace itself; choose a new name", c.Name)
	}
	if err := c.checkPeers(); err != nil {
		return c, err
	}
	c.Peer = cmp.Or(c.Peer, c.Peers[c.Name])
	if len(c.Join) > 0 && c.Peer == "" {
		return c, invalid("joins a cluster without an address for its peers; give the one at which they reach this server")
	}
	c.ListenClient, c.ListenPeer = cmp.Or(c.ListenClient, listenAt(c.Client)), cmp.Or(c.ListenPeer, listenAt(c.Peer))
	for _, a := range []struct {
		what, address string
		advertised    bool
	}{
		{"client address", c.Client, true}, {"client listening address", c.ListenClient, false},
		{"peer address", c.Peer, true}, {"peer listening address", c.ListenPeer, false},
	} {
		if a.address == "" { // of a server that has no peers
			continue
		}
		if err := checkAddress(a.what, a.address, a.advertised); err != nil {
			return c, err
		}
	}
	if err := c.ClientTLS.check("client", false); err != nil {
		return c, err
	}
	if err := c.PeerTLS.check("peer", true); err != nil {
		return c, err
	}
	return c, c.checkExposure()
}

// listenAt is where a server listens that is reached at an address.
func listenAt(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || host == "localhost" || net.ParseIP(host) != nil {
		return address
	}
	return net.JoinHostPort("0.0.0.0", port)
}

func (c Config) checkPeers() error {
	if len(c.Peers) == 0 {
		return nil
	}
	if _, ok := c.Peers[c.Name]; !ok {
		return invalid("the peers are %s, and this server is %q; its own name must be among them", sortedNames(c.Peers), c.Name)
	}
	seen := map[string]string{}
	for name, address := range c.Peers {
		if err := checkName("name of a peer", name); err != nil {
			return err
		}
		if err := checkAddress("address of peer "+name, address, true); err != nil {
			return err
		}
		if other, ok := seen[address]; ok {
			return invalid("peers %s and %s have the same address, %s", min(name, other), max(name, other), address)
		}
		seen[address] = name
	}
	if c.Peer != "" && c.Peer != c.Peers[c.Name] {
		return invalid("the peer address is %s, and %s among the peers; give it once", c.Peer, c.Peers[c.Name])
	}
	return nil
}

// checkExposure refuses to serve strangers by mistake.
func (c Config) checkExposure() error {
	if c.Insecure {
		return nil
	}
	if !loopback(c.ListenClient) && c.ClientTLS.CA == "" {
		return invalid("listens for clients at %s, where anybody could write; give TLS files with a CA that has signed their certificates, or allow it as insecure", c.ListenClient)
	}
	if c.ListenPeer != "" && !loopback(c.ListenPeer) && c.PeerTLS.CA == "" {
		return invalid("listens for peers at %s, where anybody could write; give TLS files for peers, or allow it as insecure", c.ListenPeer)
	}
	return nil
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkName(what, name string) error {
	ok := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r)
	}
	switch {
	case name == "":
		return invalid("no %s; choose one that no other server of the cluster has", what)
	case len(name) > maxName:
		return invalid("a %s of %d bytes; the limit is %d", what, len(name), maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !ok(r) }):
		return invalid("the %s %q; want letters, digits, \"-\", \"_\" and \".\"", what, name)
	}
	return nil
}

func checkAddress(what, address string, advertised bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return invalid("the %s %q is none; want host:port", what, address)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return invalid("the %s %q has no port; want host:port", what, address)
	}
	ip := net.ParseIP(host)
	switch {
	case advertised && (host == "" || ip != nil && ip.IsUnspecified()):
		return invalid("the %s %q is no address that others can reach; give that of this host, and this one to listen on", what, address)
	case !advertised && host != "" && host != "localhost" && ip == nil:
		return invalid("the %s %q is a name; give the address of one of this host's interfaces to listen on", what, address)
	}
	return nil
}

// check reads the files, so that what is wrong with them is said at once.
func (t TLS) check(whose string, needCA bool) error {
	switch {
	case !t.enabled():
		return nil
	case t.Cert == "" || t.Key == "":
		return invalid("%s TLS without both a certificate and its key; give both files", whose)
	case needCA && t.CA == "":
		return invalid("%s TLS without a CA; give the file of the authorities that have signed the certificates", whose)
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return invalid("%s certificate %s with key %s: %w", whose, t.Cert, t.Key, err)
	}
	now := time.Now()
	switch {
	case now.After(pair.Leaf.NotAfter):
		return invalid("%s certificate %s has expired at %v; renew it", whose, t.Cert, pair.Leaf.NotAfter)
	case now.Before(pair.Leaf.NotBefore):
		return invalid("%s certificate %s is not valid before %v; look at this host's clock", whose, t.Cert, pair.Leaf.NotBefore)
	}
	if t.CA == "" {
		return nil
	}
	roots, err := authorities(t.CA)
	if err != nil {
		return invalid("%s CA: %w", whose, err)
	}
	// Etcd shows a server's certificate to other servers, and here to the server itself.
	for use, name := range map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "a server", x509.ExtKeyUsageClientAuth: "a client"} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates(pair), KeyUsages: []x509.ExtKeyUsage{use}})
		if err != nil {
			return invalid("%s certificate %s, as that of %s, by the authorities in %s: %w", whose, t.Cert, name, t.CA, err)
		}
	}
	return nil
}

func intermediates(pair tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s; want PEM", file)
	}
	return pool, nil
}

// client is how a client of this server's cluster speaks TLS; nil for plain text.
func (t TLS) client() (*tls.Config, error) {
	if !t.enabled() {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.CA != "" {
		conf.RootCAs, err = authorities(t.CA)
		return conf, err
	}
	if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
		return nil, err
	}
	conf.RootCAs.AddCert(pair.Leaf) // this server is who shows this certificate, whoever signed it
	return conf, nil
}

func (t TLS) info() transport.TLSInfo {
	return transport.TLSInfo{CertFile: t.Cert, KeyFile: t.Key, TrustedCAFile: t.CA, ClientCertAuth: t.CA != ""}
}

func (t TLS) url(address string) *url.URL {
	u := &url.URL{Scheme: "http", Host: address}
	if t.enabled() {
		u.Scheme = "https"
	}
	return u
}

// ErrInvalid says that a configuration cannot be used.
var ErrInvalid = errors.New("embedded: invalid configuration")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
