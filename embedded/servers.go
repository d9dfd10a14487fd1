package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	etcderrors "go.etcd.io/etcd/server/v3/etcdserver/errors"
	"go.uber.org/zap"
)

// Member is a server of the cluster.
type Member struct {
	Name   string // "" until it has been started
	Client string // URL at which clients reach it
	Peer   string // URL at which the others reach it
	Leader bool   // as this server knows
	Voter  bool   // false for one that has only begun to join
}

// Members are the servers of the cluster as this one knows them, by name.
func (s *Server) Members() []Member {
	lead := s.raft().Leader()
	var all []Member
	for _, m := range s.raft().Cluster().Members() {
		one := Member{Name: m.Name, Leader: m.ID == lead, Voter: !m.IsLearner}
		if len(m.ClientURLs) > 0 {
			one.Client = m.ClientURLs[0]
		}
		if len(m.PeerURLs) > 0 {
			one.Peer = m.PeerURLs[0]
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Leader is the name of the server that is etcd's leader, as this server knows; ""
// while it knows of none, and when it has stopped. It may be behind: a server whose disk
// hangs still believes what it knew before.
func (s *Server) Leader() string {
	if s.ctx.Err() != nil {
		return ""
	}
	if m := s.raft().Cluster().Member(s.raft().Leader()); m != nil {
		return m.Name
	}
	return ""
}

// MoveLeader makes another server etcd's leader, and returns when it is.
//
// Errors: ErrNoServer; the error of ctx; etcd's, when that server does not answer or is
// behind, and when this one is not the leader: only etcd's leader can pass that on.
func (s *Server) MoveLeader(ctx context.Context, to string) error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	m := s.voter(to)
	if m == nil {
		return fmt.Errorf("%w: %q; there are %s", ErrNoServer, to, s.names())
	}
	ctx, cancel := context.WithTimeout(ctx, s.raft().RequestTimeout())
	defer cancel()
	return s.moveTo(ctx, m)
}

func (s *Server) moveTo(ctx context.Context, m *membership.Member) error {
	lead := s.raft().Leader()
	if lead == m.ID {
		return nil
	}
	err := etcderrors.ErrNotLeader
	if lead == s.raft().MemberID() {
		err = s.raft().MoveLeader(ctx, uint64(lead), uint64(m.ID))
	}
	if err != nil {
		return fmt.Errorf("move etcd's leader to %q: %w", m.Name, err)
	}
	return nil
}

// takeLeader makes this server etcd's leader, for which it asks the present one.
func (s *Server) takeLeader(ctx context.Context) error {
	// Who cannot read does not want to lead.
	if err := s.raft().LinearizableReadNotify(ctx); err != nil {
		return err
	}
	lead := s.raft().Cluster().Member(s.raft().Leader())
	if lead == nil || lead.ID == s.raft().MemberID() {
		return nil
	}
	tlsConf, err := s.conf.ClientTLS.client()
	if err != nil {
		return err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: lead.ClientURLs, TLS: tlsConf, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	_, err = client.MoveLeader(ctx, uint64(s.raft().MemberID()))
	return errors.Join(err, client.Close())
}

// moveAway makes any other server etcd's leader, for which ctx is divided among them.
func (s *Server) moveAway(ctx context.Context) error {
	var others []*membership.Member
	for _, m := range s.raft().Cluster().Members() {
		if m.ID != s.raft().MemberID() && !m.IsLearner {
			others = append(others, m)
		}
	}
	err := ErrNoServer
	for i, m := range others {
		if err = s.tryMove(ctx, m, len(others)-i); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) tryMove(ctx context.Context, m *membership.Member, tries int) error {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(tries))
	defer cancel()
	return s.moveTo(ctx, m)
}

func (s *Server) voter(name string) *membership.Member {
	for _, m := range s.raft().Cluster().Members() {
		if m.Name == name && !m.IsLearner {
			return m
		}
	}
	return nil
}

func (s *Server) names() string {
	var all []string
	for _, m := range s.Members() {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}
