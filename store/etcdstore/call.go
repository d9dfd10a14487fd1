package etcdstore

import (
	"context"
	"math"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// callTimeout bounds calls whose context does not.
const callTimeout = 10 * time.Second

// begin returns the context of a request, and the options it is sent with. It
// fails when the request must not be sent.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, []grpc.CallOption, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, nil, err
	}
	if s.isClosed() {
		return nil, nil, nil, errClosed
	}
	// A member that has lost the cluster says so at once, instead of after a time.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }, []grpc.CallOption{
		grpc.WaitForReady(true),
		grpc.MaxCallRecvMsgSize(math.MaxInt32),
		once(cancel),
	}, nil
}

// once keeps the client from sending a request again of which nobody knows whether
// it was executed. The client does that when a request ends as cancelled or
// too late although its context lives: by a proxy on the way, for example, that is
// told to stop. It does not when the context is over.
func once(cancel context.CancelFunc) grpc.CallOption {
	return grpc.OnFinish(func(err error) {
		if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
			cancel()
		}
	})
}

// do makes a request and returns the answer.
func do[Req, Res any](ctx context.Context, s *Store, what string,
	f func(context.Context, Req, ...grpc.CallOption) (Res, error), req Req,
) (res Res, err error) {
	bounded, unbound := s.bound(ctx)
	defer unbound()
	cctx, end, opts, err := s.begin(bounded)
	if err != nil {
		return res, err
	}
	defer end()
	if res, err = f(cctx, req, opts...); err != nil {
		return res, s.fail(ctx, err, what)
	}
	return res, nil
}

// bound gives a context a deadline if it has none.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}
