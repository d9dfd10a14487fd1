package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keepSpace looks for the alarm that etcd raises when the database of a server has
// reached its quota. From then on the cluster accepts no writes that add anything, until
// somebody has made room and taken the alarm back.
func (s *Server) keepSpace() {
	look := time.NewTicker(10 * s.conf.ElectionTimeout)
	defer look.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-look.C:
		}
		if !s.outOfSpace() {
			continue
		}
		if err := s.makeRoom(); err != nil && s.ctx.Err() == nil {
			s.conf.Logger.Warn("no room in the database", "server", s.conf.Name, "quota", s.conf.Quota, "error", err)
		}
	}
}

func (s *Server) outOfSpace() bool {
	return slices.ContainsFunc(s.raft().Alarms(), func(a *pb.AlarmMember) bool {
		return a.MemberID == uint64(s.raft().MemberID()) && a.Alarm == pb.AlarmType_NOSPACE
	})
}

// makeRoom drops the whole history, gives back what the database does not use, and takes
// the alarm back. Watches that were behind list anew.
func (s *Server) makeRoom() error {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	now, err := s.own.Get(ctx, priorities)
	if err != nil {
		return err
	}
	_, err = s.own.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	if err != nil && s.raft().KV().FirstRev() < now.Header.Revision {
		return err // and not because another server was first
	}
	before := s.raft().Backend().Size()
	if err := s.raft().Defragment(); err != nil {
		return err
	}
	after := s.raft().Backend().Size()
	if after >= s.conf.Quota {
		return fmt.Errorf("the keys themselves take %d bytes; delete some of the application's, or start the servers with a larger quota", after)
	}
	if _, err := s.own.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: uint64(s.raft().MemberID()), Alarm: pb.AlarmType_NOSPACE}); err != nil {
		return errors.Join(errors.New("take the alarm back"), err)
	}
	s.conf.Logger.Info("room made in the database", "server", s.conf.Name, "before", before, "after", after)
	return nil
}
