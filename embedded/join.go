package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	etcderrors "go.etcd.io/etcd/server/v3/etcdserver/errors"
	"go.uber.org/zap"
)

const (
	// joinTimeout bounds what a joining server asks of its cluster. Etcd lets nobody
	// come or go for 5 s after one of its servers was unreachable.
	joinTimeout = 30 * time.Second
	joinRetry   = 100 * time.Millisecond
)

// join makes this server a member of the running cluster: first one that only listens,
// so that it takes no part in elections before it has the data (see promote). It returns
// what etcd is told of the cluster's members. One that was interrupted is picked up
// where it was.
func (s *Server) join(ctx context.Context) (initial string, err error) {
	tlsConf, err := s.conf.ClientTLS.client()
	if err != nil {
		return "", err
	}
	var endpoints []string
	for _, address := range s.conf.Join {
		endpoints = append(endpoints, s.conf.ClientTLS.url(address).String())
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: tlsConf, DialTimeout: joinTimeout, Logger: zap.NewNop()})
	if err != nil {
		return "", fmt.Errorf("join %s: %w", strings.Join(s.conf.Join, ","), err)
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	members, err := s.enter(ctx, client.Cluster)
	if err := errors.Join(err, client.Close()); err != nil {
		return "", fmt.Errorf("join %s: %w", strings.Join(s.conf.Join, ","), err)
	}
	own := s.peerURL().String()
	var all []string
	for _, m := range members {
		name := m.Name
		if slices.Contains(m.PeerURLs, own) {
			name = s.conf.Name
		}
		for _, u := range m.PeerURLs {
			all = append(all, name+"="+u)
		}
	}
	return strings.Join(all, ","), nil
}

func (s *Server) enter(ctx context.Context, cluster clientv3.Cluster) ([]*pb.Member, error) {
	now, err := cluster.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	own := s.peerURL().String()
	for _, m := range now.Members {
		switch mine := slices.Contains(m.PeerURLs, own); {
		case mine && m.Name == "": // added by a start that got no further
			return now.Members, nil
		case mine:
			return nil, fmt.Errorf("%w: server %q has the peer address %s already; start it with its data, or replace it by one of another address", ErrInUse, m.Name, s.conf.Peer)
		case m.Name == s.conf.Name:
			return nil, fmt.Errorf("%w: there is a server %q already, at %s; choose another name, and replace that one if it is gone", ErrInUse, m.Name, strings.Join(m.PeerURLs, ","))
		}
	}
	if s.conf.Replaces != "" {
		i := slices.IndexFunc(now.Members, func(m *pb.Member) bool { return m.Name == s.conf.Replaces })
		if i < 0 {
			return nil, fmt.Errorf("%w: %q, which is to be replaced; there are %s; if it was removed already, leave that out", ErrNoServer, s.conf.Replaces, names(now.Members))
		}
		err := s.insist(ctx, func() error {
			_, err := cluster.MemberRemove(ctx, now.Members[i].ID)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("remove server %q: %w", s.conf.Replaces, err)
		}
		s.conf.Logger.Info("removed from the cluster", "server", s.conf.Replaces)
	}
	var added *clientv3.MemberAddResponse
	err = s.insist(ctx, func() (err error) {
		added, err = cluster.MemberAddAsLearner(ctx, []string{own})
		return err
	})
	if err != nil {
		return nil, err
	}
	return added.Members, nil
}

// insist asks again for as long as the cluster is not fit to change its members.
func (s *Server) insist(ctx context.Context, ask func() error) error {
	retry := time.NewTicker(joinRetry)
	defer retry.Stop()
	for told := false; ; told = true {
		err := ask()
		if !errors.Is(err, rpctypes.ErrUnhealthy) && !errors.Is(err, rpctypes.ErrTooManyLearners) { // another joins
			return err
		}
		if !told {
			s.conf.Logger.Info("waiting to join", "server", s.conf.Name, "error", err)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func names(members []*pb.Member) string {
	var all []string
	for _, m := range members {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// promote makes a server that only listens a full member as soon as it has the data.
func (s *Server) promote(ctx context.Context) error {
	retry := time.NewTicker(s.conf.ElectionTimeout / 10)
	defer retry.Stop()
	for s.raft().IsLearner() {
		_, err := s.raft().PromoteMember(ctx, uint64(s.raft().MemberID()))
		switch {
		case err == nil, errors.Is(err, etcderrors.ErrLearnerNotReady), errors.Is(err, rpctypes.ErrMemberLearnerNotReady):
		case ctx.Err() != nil:
			return fmt.Errorf("server %q has not got the cluster's data yet: %w", s.conf.Name, ctx.Err())
		default:
			s.conf.Logger.Info("not a full member yet", "server", s.conf.Name, "error", err)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("server %q has not got the cluster's data yet: %w", s.conf.Name, ctx.Err())
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	return nil
}
