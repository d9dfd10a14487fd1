package etcdtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what cluster Start makes. The zero value is one node that speaks
// plain text to anybody.
type Options struct {
	// Members of the cluster. The default is 1.
	Members int
	// TLS: clients must speak TLS, to certificates that Cluster.Certs trusts.
	TLS bool
	// ClientCerts: they must also show the certificate of Cluster.Certs.
	ClientCerts bool
	// Password of the user root. If set, nobody else may do anything.
	Password string
	// TokenTTL is how long a login lasts, in whole seconds. The default is etcd's.
	TokenTTL time.Duration
	// Quota of a member's database in bytes. The default is etcd's.
	Quota int
	// SettableClocks: Member.SetClock works.
	SettableClocks bool
	// StallableDisks: Member.StallDisk works, on Linux.
	StallableDisks bool
	// Partitions: Cluster.Isolate works. Not with Hosts.
	Partitions bool
	// Hosts are where the members run. The default is this host.
	Hosts []Host
	// ElectionTimeout is etcd's own. The default of 500 ms makes the shortest TTL
	// of a lease 1 s; etcd's default of 1 s makes it 2 s.
	ElectionTimeout time.Duration
}

// Host is where one member runs: in a network namespace, for example.
type Host struct {
	Address string   // IPv4
	Command []string // what runs there the command that follows, in the process that it is
}

// Cluster is a number of etcd processes on this host.
type Cluster struct {
	Members []*Member
	Certs   *Certs // nil without TLS
	opts    Options
	dir     string
}

// patience is for what takes a second on an idle machine.
const patience = 60 * time.Second

// attempts to find ports that are still free when etcd wants them.
const attempts = 3

// Start starts a cluster and waits until all of its members serve. Close ends it.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	opts.Members = max(opts.Members, 1)
	if opts.SettableClocks || opts.StallableDisks {
		binary += faulty
	}
	if opts.ElectionTimeout == 0 {
		opts.ElectionTimeout = 500 * time.Millisecond
	}
	for try := 1; ; try++ {
		c, err := start(ctx, binary, opts)
		if err == nil {
			return c, nil
		}
		err = errors.Join(err, c.Close())
		if try == attempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

func start(ctx context.Context, binary string, opts Options) (c *Cluster, err error) {
	c = &Cluster{opts: opts}
	if c.dir, err = os.MkdirTemp("", "etcdtest-"); err != nil {
		return c, err
	}
	if opts.TLS || opts.ClientCerts {
		if c.Certs, err = NewCerts(c.dir); err != nil {
			return c, err
		}
	}
	ports, err := FreePorts(3 * opts.Members)
	if err != nil {
		return c, err
	}
	var peers []string
	for i := range opts.Members {
		host := Host{Address: "127.0.0.1"}
		if opts.Hosts != nil {
			host = opts.Hosts[i]
		}
		m := &Member{
			Name:     fmt.Sprintf("e%d", i+1),
			Endpoint: fmt.Sprintf("%s://%s:%d", c.scheme(), host.Address, ports[3*i]),
			peer:     fmt.Sprintf("http://%s:%d", host.Address, ports[3*i+1]),
			metrics:  fmt.Sprintf("http://%s:%d", host.Address, ports[3*i+2]),
			command:  append(slices.Clone(host.Command), binary),
		}
		m.advertised = m.peer
		if opts.Partitions {
			if m.peers, err = newProxy("127.0.0.1", m.peer, sender); err != nil {
				return c, err
			}
			m.advertised = m.peers.Endpoint
		}
		m.log = filepath.Join(c.dir, m.Name+".log")
		m.clock = filepath.Join(c.dir, m.Name+".clock")
		m.stall = filepath.Join(c.dir, m.Name+".stall")
		c.Members = append(c.Members, m)
		peers = append(peers, m.Name+"="+m.advertised)
	}
	for _, m := range c.Members {
		m.command = append(m.command, c.args(m, strings.Join(peers, ","))...)
		if err := m.Start(); err != nil {
			return c, err
		}
	}
	if err := c.Await(ctx, c.Members...); err != nil {
		return c, err
	}
	for _, m := range c.Members {
		if err := m.learnID(ctx); err != nil {
			return c, err
		}
	}
	if opts.Password != "" {
		return c, c.enableAuth(ctx)
	}
	return c, nil
}

func (c *Cluster) scheme() string {
	if c.Certs != nil {
		return "https"
	}
	return "http"
}

func (c *Cluster) args(m *Member, peers string) []string {
	args := []string{
		"--name=" + m.Name,
		"--data-dir=" + filepath.Join(c.dir, m.Name),
		"--listen-client-urls=" + m.Endpoint, "--advertise-client-urls=" + m.Endpoint,
		"--listen-peer-urls=" + m.peer, "--initial-advertise-peer-urls=" + m.advertised,
		"--listen-metrics-urls=" + m.metrics,
		"--initial-cluster=" + peers,
		fmt.Sprintf("--election-timeout=%d", c.opts.ElectionTimeout.Milliseconds()),
		fmt.Sprintf("--heartbeat-interval=%d", c.opts.ElectionTimeout.Milliseconds()/10),
		"--log-level=error",
	}
	if !c.opts.StallableDisks {
		args = append(args, "--unsafe-no-fsync") // no test cuts the power
	}
	if c.Certs != nil {
		args = append(args, "--cert-file="+c.Certs.Server, "--key-file="+c.Certs.ServerKey)
	}
	if c.opts.ClientCerts {
		args = append(args, "--client-cert-auth", "--trusted-ca-file="+c.Certs.CA)
	}
	if c.opts.Password != "" {
		args = append(args, "--bcrypt-cost=4") // no test guesses it
	}
	if c.opts.Quota > 0 {
		args = append(args, fmt.Sprintf("--quota-backend-bytes=%d", c.opts.Quota))
	}
	if c.opts.TokenTTL > 0 {
		args = append(args, fmt.Sprintf("--auth-token-ttl=%d", c.opts.TokenTTL/time.Second))
	}
	return args
}

// Endpoints are the URLs of all members.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.Members {
		all = append(all, m.Endpoint)
	}
	return all
}

// TLS is what a client needs to be served, nil if the cluster speaks plain text.
func (c *Cluster) TLS() (*tls.Config, error) {
	if c.Certs == nil {
		return nil, nil
	}
	return c.Certs.TLS(c.opts.ClientCerts)
}

// Await waits until each of the members serves.
func (c *Cluster) Await(ctx context.Context, members ...*Member) error {
	for _, m := range members {
		err := poll(ctx, func() (bool, error) {
			if m.died() {
				return false, fmt.Errorf("etcd %s has ended: %s", m.Name, m.tail())
			}
			return m.healthy(ctx), nil
		})
		if err != nil {
			return fmt.Errorf("etcd %s does not serve: %w", m.Name, err)
		}
	}
	return nil
}

// Leader returns the member that is etcd's leader, among those that are not in
// except; it waits until there is one.
func (c *Cluster) Leader(ctx context.Context, except ...*Member) (leader *Member, err error) {
	err = poll(ctx, func() (bool, error) {
		for _, m := range c.Members {
			if !slices.Contains(except, m) && m.leads(ctx) {
				leader = m
				return true, nil
			}
		}
		return false, nil
	})
	return leader, err
}

func poll(ctx context.Context, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Close kills all members and removes their files.
func (c *Cluster) Close() error {
	var all sync.WaitGroup
	for _, m := range c.Members {
		all.Go(m.Kill)
	}
	all.Wait()
	var errs []error
	for _, m := range c.Members {
		if m.peers != nil {
			errs = append(errs, m.peers.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// enableAuth makes root the only user.
func (c *Cluster) enableAuth(ctx context.Context) error {
	for _, step := range []struct {
		path string
		body map[string]string
	}{
		{"/v3/auth/user/add", map[string]string{"name": "root", "password": c.opts.Password}},
		{"/v3/auth/role/add", map[string]string{"name": "root"}},
		{"/v3/auth/user/grant", map[string]string{"user": "root", "role": "root"}},
		{"/v3/auth/enable", map[string]string{}},
	} {
		if err := c.post(ctx, step.path, step.body); err != nil {
			return err
		}
	}
	return nil
}

// post calls etcd through its HTTP gateway.
func (c *Cluster) post(ctx context.Context, path string, body map[string]string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	conf, err := c.TLS()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Members[0].Endpoint+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: %s: %s", path, res.Status, bytes.TrimSpace(answer))
	}
	return nil
}
