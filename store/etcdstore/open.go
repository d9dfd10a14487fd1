package etcdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tenure-go/tenure/store"
)

// Store is a part of an etcd cluster. It implements store.Store.
type Store struct {
	client  *clientv3.Client
	owned   bool // the client was made here
	prefix  string
	minTTL  time.Duration
	timeout time.Duration // of calls whose context has none
	quiet   time.Duration // half of what a watch may be silent for
	kv      pb.KVClient
	leases  pb.LeaseClient
	watches pb.WatchClient

	// What runs on behalf of the store ends with this context, as all calls do.
	ctx     context.Context
	close   context.CancelCauseFunc
	closing sync.Once
}

var _ store.Store = (*Store)(nil)

const (
	// quiet is after how long a watch asks for a sign of life, and how long it
	// then waits for one.
	quiet = 5 * time.Second

	// How soon a connection to a server that says nothing any more is given up.
	keepAliveTime    = 10 * time.Second // gRPC takes no less
	keepAliveTimeout = 3 * time.Second
)

// Open opens the store in an etcd cluster, on connections of its own. At least one
// endpoint must answer before ctx ends or Config.DialTimeout has passed, and the
// cluster have a leader. Wrong credentials are store.ErrDenied; servers
// that are too old, store.ErrUnsupported; no answer, store.ErrUnavailable.
func Open(ctx context.Context, conf Config) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conf, err := conf.complete()
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, conf.DialTimeout)
	defer cancel()
	s, err := open(dialing, conf)
	switch {
	case err == nil:
		return s, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	// Servers say so only now and then: some of them hang up first.
	if cert := expiredCertificate(conf.TLS); cert != nil {
		err = fmt.Errorf("%w; the client certificate %s has expired at %v: renew it", err, cert.Subject, cert.NotAfter)
	}
	return nil, err
}

// expiredCertificate returns a certificate that is shown to servers and has expired.
func expiredCertificate(conf *tls.Config) *x509.Certificate {
	if conf == nil {
		return nil
	}
	for _, c := range conf.Certificates {
		leaf := c.Leaf
		if leaf == nil && len(c.Certificate) > 0 {
			leaf, _ = x509.ParseCertificate(c.Certificate[0])
		}
		if leaf != nil && time.Now().After(leaf.NotAfter) {
			return leaf
		}
	}
	return nil
}

func open(ctx context.Context, conf Config) (*Store, error) {
	// First without logging in, which would hide why nobody can be reached.
	client, err := dial(ctx, conf, false)
	if err != nil {
		return nil, err
	}
	if conf.Username != "" {
		_, err := survey(ctx, client)
		if err = errors.Join(err, client.Close()); err != nil && !errors.Is(err, store.ErrDenied) {
			return nil, err
		}
		if client, err = dial(ctx, conf, true); err != nil {
			return nil, err
		}
	}
	s, err := connect(ctx, client, conf.Prefix)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	s.owned = true
	return s, nil
}

// dial makes a client. It waits for nothing but a login.
func dial(ctx context.Context, conf Config, login bool) (*clientv3.Client, error) {
	cc := clientv3.Config{
		Endpoints:            conf.Endpoints,
		TLS:                  conf.TLS,
		DialTimeout:          conf.DialTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		Logger:               zap.NewNop(), // errors are returned
	}
	if login {
		cc.Username, cc.Password = conf.Username, conf.Password
	}
	// The client outlives ctx, which bounds the login alone.
	life, end := context.WithCancel(context.Background())
	cc.Context = life
	stop := context.AfterFunc(ctx, end)
	client, err := clientv3.New(cc)
	if !stop() && err == nil {
		err = errors.Join(ctx.Err(), client.Close())
	}
	if err != nil {
		end()
		return nil, failed(err, "log in")
	}
	context.AfterFunc(client.Ctx(), end)
	return client, nil
}

// New opens the store in the cluster of a client, under the prefix; see
// Config.Prefix. Elections share the client's connections: see the package's
// documentation. A namespace around the client's KV has no effect.
//
// Close leaves the client open, and the caller must not close it before. Errors
// are those of Open.
func New(ctx context.Context, client *clientv3.Client, prefix string) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	prefix, err := checkPrefix(prefix)
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, defaultDialTimeout)
	defer cancel()
	s, err := connect(dialing, client, prefix)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s, err
}

// connect makes a store of a client once its servers are found fit.
func connect(ctx context.Context, client *clientv3.Client, prefix string) (*Store, error) {
	versions, err := survey(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := fit(versions); err != nil {
		return nil, err
	}
	// The client's wrappers are passed by: they repeat requests, share streams
	// between watches, and buffer without bound.
	conn := client.ActiveConnection()
	s := &Store{
		client: client, prefix: prefix, timeout: callTimeout, quiet: quiet,
		kv: pb.NewKVClient(conn), leases: pb.NewLeaseClient(conn), watches: pb.NewWatchClient(conn),
	}
	s.ctx, s.close = context.WithCancelCause(context.Background())
	// The shortest lease, which ends by itself, tells how short that is.
	shortest, err := s.Grant(ctx, time.Second)
	if err != nil {
		s.close(err)
		if errors.Is(err, context.DeadlineExceeded) {
			err = unavailable("no lease was granted in time; the cluster may have no leader")
		}
		return nil, err
	}
	s.minTTL = shortest.TTL
	return s, nil
}

// Capabilities implements store.Store.
func (s *Store) Capabilities() store.Capabilities {
	return store.Capabilities{
		Name:         "etcd",
		MultiKey:     true,
		ForeignLease: true,
		EveryChange:  true,
		MaxOps:       maxOps,
		MaxValue:     1 << 20,
		MinTTL:       s.minTTL,
		PowerLoss:    "nothing that was acknowledged, while a majority of etcd's members keep their disks",
	}
}

// Close implements store.Store. The client that was given to New stays open.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.close(store.ErrClosed)
		if s.owned {
			err = s.client.Close()
		}
	})
	return err
}
