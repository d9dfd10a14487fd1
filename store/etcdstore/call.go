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
	// The server is not told of the deadline: it would see it pass a moment before
	// the caller, and its answer could be taken for one of another kind.
	//
	// A member that has lost the cluster says so at once, instead of after a time.
	sent, cancel := context.WithCancel(clientv3.WithRequireLeader(context.WithoutCancel(ctx)))
	stopCaller := context.AfterFunc(ctx, cancel)
	stopStore := context.AfterFunc(s.ctx, cancel)
	end := func() { stopCaller(); stopStore(); cancel() }
	return sent, end, []grpc.CallOption{
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
	err = s.call(ctx, what, func(ctx context.Context, opts []grpc.CallOption) error {
		res, err = f(ctx, req, opts...)
		return err
	})
	return res, err
}

// call makes a request within the time that its context gives it, or else that of
// the store.
func (s *Store) call(ctx context.Context, what string, f func(context.Context, []grpc.CallOption) error) error {
	bounded := ctx
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	sent, end, opts, err := s.begin(bounded)
	if err != nil {
		return err
	}
	defer end()
	err = f(sent, opts)
	switch {
	case err == nil:
		return nil
	case ended(err) && bounded.Err() != nil && ctx.Err() == nil && !s.isClosed():
		return unavailable("%s: no answer within %v", what, s.timeout)
	}
	return s.fail(ctx, err, what)
}
