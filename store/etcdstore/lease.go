package etcdstore

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/tenure-go/tenure/store"
)

// Grant implements store.Store. The TTL is rounded up to whole seconds, and to
// Capabilities.MinTTL.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (store.Lease, error) {
	seconds := int64(ttl / time.Second)
	if ttl%time.Second > 0 {
		seconds++
	}
	res, err := do(ctx, s, fmt.Sprintf("grant a lease of %v", ttl), s.leases.LeaseGrant, &pb.LeaseGrantRequest{TTL: max(seconds, 1)})
	if err != nil {
		return store.Lease{}, err
	}
	return store.Lease{ID: store.LeaseID(res.GetID()), TTL: duration(res.GetTTL())}, nil
}

// duration of some seconds; the longest TTL of etcd is longer than what Go counts.
func duration(seconds int64) time.Duration {
	const longest = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(seconds, longest)) * time.Second
}

// Renew implements store.Store.
func (s *Store) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	var res *pb.LeaseKeepAliveResponse
	err := s.call(ctx, fmt.Sprintf("renew lease %x", int64(id)), func(ctx context.Context, opts []grpc.CallOption) error {
		stream, err := s.leases.LeaseKeepAlive(ctx, opts...)
		if err != nil {
			return err
		}
		_ = stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(id)}) // should it fail, Recv says why
		res, err = stream.Recv()
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case res.GetTTL() <= 0: // as etcd's leader says that there is none
		return 0, fmt.Errorf("%w: etcd: lease %x", store.ErrLeaseNotFound, int64(id))
	}
	return duration(res.GetTTL()), nil
}

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, id store.LeaseID) error {
	_, err := do(ctx, s, fmt.Sprintf("revoke lease %x", int64(id)), s.leases.LeaseRevoke, &pb.LeaseRevokeRequest{ID: int64(id)})
	return err
}
