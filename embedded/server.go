package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"github.com/tenure-go/tenure/store/etcdstore"
)

// The errors of this package, beside ErrInvalid.
var (
	// ErrInUse: the data directory or an address is in use.
	ErrInUse = errors.New("embedded: in use")
	// ErrOtherCluster: the data directory, or a peer, belongs to another cluster, or
	// was told of other peers.
	ErrOtherCluster = errors.New("embedded: another cluster's")
	// ErrDamaged: the data cannot be read.
	ErrDamaged = errors.New("embedded: data are damaged")
	// ErrRemoved: the server was removed from its cluster, for good.
	ErrRemoved = errors.New("embedded: removed from the cluster")
	// ErrStopped: the server does not run any more.
	ErrStopped = errors.New("embedded: server stopped")
	// ErrNoServer: the cluster has no server of that name.
	ErrNoServer = errors.New("embedded: no such server")
)

// Server is a running server. Its methods may be called from many goroutines.
type Server struct {
	conf  Config
	dir   *dir
	etcd  *embed.Etcd
	fatal *fatality

	// What runs on behalf of the server ends with this context, which is cancelled
	// with the reason that Err returns.
	ctx   context.Context
	end   context.CancelCauseFunc
	loops sync.WaitGroup

	own    *clientv3.Client // to this server's etcd, without a network
	beside *beside

	closing sync.Once
	closed  error
}

// Start starts a server and waits until it serves: until it knows etcd's leader and is
// a full member of its cluster. The first of several servers so waits for others, as
// long as ctx lets it. What it waits for is logged.
//
// Errors: ErrInvalid, ErrInUse, ErrOtherCluster, ErrDamaged, ErrRemoved, ErrNoServer for
// a Replaces that is none, the error of ctx, and those of the file system. After an
// error nothing runs any more, except where etcd has failed in a way in which it cannot
// be stopped; then the process should end.
func Start(ctx context.Context, conf Config) (*Server, error) {
	conf, err := conf.complete()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := openDir(conf.Dir, conf.Name)
	if err != nil {
		return nil, err
	}
	s := &Server{conf: conf, dir: d, fatal: newFatality()}
	s.beside = newBeside(s)
	s.ctx, s.end = context.WithCancelCause(context.Background())
	if err := s.start(ctx); err != nil {
		s.end(err)
		_ = s.Close() // the error that counts is the first
		return nil, err
	}
	conf.Logger.Info("serving", "server", conf.Name, "clients", s.Endpoint())
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	initial, state := s.initialCluster(), embed.ClusterStateFlagNew
	if s.dir.fresh && len(s.conf.Join) > 0 {
		var err error
		if initial, err = s.join(ctx); err != nil {
			return err
		}
		state = embed.ClusterStateFlagExisting
	}
	if err := s.checkKnown(); err != nil {
		return err
	}
	if err := s.launch(s.etcdConfig(initial, state)); err != nil {
		return err
	}
	s.own = v3client.New(s.raft())
	s.loops.Go(s.watchEtcd)
	if err := s.await(ctx); err != nil {
		return err
	}
	if err := s.promote(ctx); err != nil {
		return err
	}
	s.beside.settle()
	s.loops.Go(s.beside.run)
	s.loops.Go(s.keepSpace)
	return nil
}

// initialCluster is what etcd is told of a new cluster's members.
func (s *Server) initialCluster() string {
	if len(s.conf.Peers) == 0 {
		return s.conf.Name + "=" + s.peerURL().String()
	}
	var all []string
	for name, address := range s.conf.Peers {
		all = append(all, name+"="+s.conf.PeerTLS.url(address).String())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// peerURL is where the peers reach this server. One that has none tells etcd of an
// address at which nobody listens.
func (s *Server) peerURL() *url.URL {
	if s.conf.Peer == "" {
		return &url.URL{Scheme: "http", Host: "localhost:2380"}
	}
	return s.conf.PeerTLS.url(s.conf.Peer)
}

// etcdConfig is the configuration of etcd. See the package's documentation for the
// reasons of what it sets.
func (s *Server) etcdConfig(initial, state string) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir = s.conf.Name, s.conf.Dir
	c.InitialCluster, c.ClusterState, c.InitialClusterToken = initial, state, "tenure"
	c.ListenClientUrls = []url.URL{*s.conf.ClientTLS.url(s.conf.ListenClient)}
	c.AdvertiseClientUrls = []url.URL{*s.conf.ClientTLS.url(s.conf.Client)}
	c.ListenPeerUrls = nil
	if s.conf.ListenPeer != "" {
		c.ListenPeerUrls = []url.URL{*s.conf.PeerTLS.url(s.conf.ListenPeer)}
	}
	c.AdvertisePeerUrls = []url.URL{*s.peerURL()}
	c.ClientTLSInfo, c.PeerTLSInfo = s.conf.ClientTLS.info(), s.conf.PeerTLS.info()
	c.ElectionMs = uint(s.conf.ElectionTimeout.Milliseconds())
	c.TickMs = c.ElectionMs / 10
	c.QuotaBackendBytes = s.conf.Quota
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, s.conf.Retention.String()
	c.EnableGRPCGateway = false // a second way in that nobody asked for
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newLogger(s.conf.Logger, s.fatal))
	return c
}

// launch starts etcd. Where that fails, etcd may end a goroutine or panic, and others
// of its own may wait for that one for ever.
func (s *Server) launch(conf *embed.Config) error {
	type outcome struct {
		etcd *embed.Etcd
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.fatal.set(fmt.Errorf("etcd: %v", p))
			}
		}()
		etcd, err := embed.StartEtcd(conf)
		done <- outcome{etcd, err}
	}()
	var err error
	select {
	case o := <-done:
		s.etcd, err = o.etcd, o.err
	case <-s.fatal.ch:
		return s.dir.damaged(s.fatal.err)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: %w; end the other program, or choose another address", ErrInUse, err)
	case s.dir.fresh && strings.Contains(err.Error(), "already been bootstrapped"): // etcd has no name for it
		return fmt.Errorf("%w: %w: there is a cluster that knows server %q at %s, with other data than %s has: start it with those, or have this one join under a new name and address, in place of it",
			ErrOtherCluster, err, s.conf.Name, s.conf.Peer, s.conf.Dir)
	case slices.ContainsFunc(damages, func(damage error) bool { return errors.Is(err, damage) }):
		return s.dir.damaged(err)
	default:
		return fmt.Errorf("etcd: %w", err)
	}
}

// damages are etcd's errors about files that it cannot read.
var damages = []error{
	wal.ErrCRCMismatch, wal.ErrFileNotFound, wal.ErrMetadataConflict, wal.ErrSliceOutOfRange, wal.ErrDecoderNotFound,
	wal.ErrSnapshotMismatch, wal.ErrSnapshotNotFound, snap.ErrCRCMismatch, snap.ErrNoSnapshot, io.ErrUnexpectedEOF,
}

// watchEtcd notices the end of etcd.
func (s *Server) watchEtcd() {
	select {
	case <-s.ctx.Done():
	case <-s.fatal.ch:
		s.end(s.failure())
	case err := <-s.etcd.Err():
		s.end(fmt.Errorf("%w: %w", ErrStopped, err))
	case <-s.raft().StopNotify():
		s.end(s.failure())
	}
}

// failure says why etcd has ended without being told to.
func (s *Server) failure() error {
	select {
	case <-s.fatal.ch:
		err := fmt.Errorf("%w: %w", ErrStopped, s.fatal.err)
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w: make room on the disk of %s, and start it again", err, s.conf.Dir)
		}
		return err
	default:
	}
	if s.raft().IsIDRemoved(uint64(s.raft().MemberID())) {
		return fmt.Errorf("%w: server %q: remove its data directory %s", ErrRemoved, s.conf.Name, s.conf.Dir)
	}
	return fmt.Errorf("%w: etcd has ended", ErrStopped)
}

// await waits until etcd serves.
func (s *Server) await(ctx context.Context) error {
	look := time.NewTicker(s.conf.ElectionTimeout)
	defer look.Stop()
	told := ""
	for first := true; ; first = false {
		waits, err := s.checkPeers(ctx)
		if err != nil {
			return err
		}
		if waits != told && !first {
			s.conf.Logger.Info("not serving yet", "server", s.conf.Name, "waits", waits)
			told = waits
		}
		select {
		case <-s.raft().ReadyNotify():
			return nil
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-ctx.Done():
			return fmt.Errorf("server %q does not serve yet: %s: %w", s.conf.Name, waits, ctx.Err())
		case <-look.C:
		}
	}
}

// Name is the server's name.
func (s *Server) Name() string { return s.conf.Name }

// Endpoint is the URL at which clients reach this server.
func (s *Server) Endpoint() string {
	return s.conf.ClientTLS.url(s.conf.Client).String()
}

// Store opens the store under a prefix of keys (see etcdstore.Config), on connections
// to this server and to no other. What it answers so proves that this server works;
// a member over it loses its terms when this server does, and does not lead on by the
// grace of the others. It is the caller's to close, before the server.
func (s *Server) Store(ctx context.Context, prefix string) (*etcdstore.Store, error) {
	conf, err := s.conf.ClientTLS.client()
	if err != nil {
		return nil, err
	}
	return etcdstore.Open(ctx, etcdstore.Config{Endpoints: []string{s.Endpoint()}, Prefix: prefix, TLS: conf})
}

// Done is closed when the server has stopped, or cannot go on; Err says why.
func (s *Server) Done() <-chan struct{} { return s.ctx.Done() }

// Err is nil while the server runs, and then ErrStopped or ErrRemoved, joined with the
// reason.
func (s *Server) Err() error { return context.Cause(s.ctx) }

// Close stops the server. If it is etcd's leader, another server takes that over
// first, for at most two election timeouts. It returns within those and 10 s. A second
// call waits for the first and returns the same.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.end(ErrStopped)
		s.loops.Wait()
		if s.etcd != nil {
			s.closed = s.stopEtcd()
		}
		s.closed = errors.Join(s.closed, s.dir.close())
	})
	return s.closed
}

// stopBound is within what etcd stops, unless it has failed.
const stopBound = 10 * time.Second

func (s *Server) stopEtcd() error {
	s.passOn()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.own.Close()   // it has nothing that could fail
		s.raft().HardStop() // etcd.Close alone would try for long to pass on what nobody takes
		s.etcd.Close()
	}()
	bound := time.NewTimer(stopBound)
	defer bound.Stop()
	select {
	case <-done:
		return nil
	case <-bound.C:
		return fmt.Errorf("%w: etcd does not end within %v; end the process", ErrStopped, stopBound)
	}
}

// passOn has another server lead etcd, so that nobody has to wait for an election.
func (s *Server) passOn() {
	if s.raft().Leader() != s.raft().MemberID() || len(s.Members()) == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.conf.ElectionTimeout)
	defer cancel()
	if err := s.moveAway(ctx); err != nil {
		s.conf.Logger.Info("etcd's leader is not passed on", "server", s.conf.Name, "error", err)
	}
}

func (s *Server) raft() *etcdserver.EtcdServer { return s.etcd.Server }
