package etcdstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tenure-go/tenure/store"
)

// fake is an etcd that says what no etcd at hand would.
type fake struct {
	pb.UnimplementedKVServer
	pb.UnimplementedLeaseServer
	pb.UnimplementedMaintenanceServer
	version string
	answer  func(*pb.TxnRequest) (*pb.TxnResponse, error)

	mu       sync.Mutex
	txns     []*pb.TxnRequest
	deadline bool // the last one had one
}

// serve returns the endpoint of the fake.
func (f *fake) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, f)
	pb.RegisterLeaseServer(server, f)
	pb.RegisterMaintenanceServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func (f *fake) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Version: f.version}, nil
}

func (f *fake) LeaseGrant(_ context.Context, req *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	return &pb.LeaseGrantResponse{ID: 7, TTL: req.TTL}, nil
}

func (f *fake) Txn(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, f.deadline = ctx.Deadline()
	f.txns = append(f.txns, req)
	return f.answer(req)
}

// sent returns the transactions that came, and forgets them.
func (f *fake) sent() []*pb.TxnRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	txns := f.txns
	f.txns = nil
	return txns
}

func TestOldServersAreRefused(t *testing.T) {
	t.Parallel()
	for version, fine := range map[string]bool{
		"3.4.30": false, "3.5.0": false, "3.5.12": false, "2.3.8": false, "": false, "new": false,
		"3.5.13": true, "3.5.13-rc.0": true, "3.5.30": true, "3.6.0": true, "3.10.0": true, "4.0.0+x": true,
	} {
		f, newer := &fake{version: version}, &fake{version: "3.7.3"}
		conf := Config{Endpoints: []string{newer.serve(t), f.serve(t)}, DialTimeout: patience}
		s, err := Open(t.Context(), conf)
		if fine != (err == nil) {
			t.Errorf("%s: %v", version, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		for _, says := range []string{conf.Endpoints[1], version, "3.5.13", "15247", "upgrade"} {
			if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: got %v, which does not say %q", version, err, says)
			}
		}
		if strings.Contains(err.Error(), conf.Endpoints[0]) {
			t.Errorf("%s: got %v, which blames the newer one", version, err)
		}
	}
}

// etcd's client sends a transaction again that something on the way has called
// off. It may have taken effect: a second one would be refused by the effect of
// the first, and "not committed" would be wrong.
func TestACommitIsSentOnce(t *testing.T) {
	t.Parallel()
	f := &fake{version: "3.7.3"}
	endpoint := f.serve(t)
	conf := Config{Endpoints: []string{endpoint}, DialTimeout: patience}
	own, client := opened(t, conf), newClient(t, conf)
	shared, err := New(t.Context(), client, "")
	if err != nil {
		t.Fatal(err)
	}
	tx := store.Tx{If: []store.Cond{store.Absent("a")}, Then: []store.Op{store.Put("a", nil, store.NoLease)}}
	for _, code := range []codes.Code{codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Unknown, codes.Internal, codes.Aborted} {
		f.answer = func(*pb.TxnRequest) (*pb.TxnResponse, error) { return nil, status.Error(code, "the proxy stops") }
		for name, s := range map[string]*Store{"Open": own, "New": shared} {
			_, err := s.Commit(t.Context(), tx)
			if n := len(f.sent()); n != 1 || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "the proxy stops") {
				t.Errorf("%s, %v: %d requests, %v", name, code, n, err)
			}
		}
	}
	// That the client does so is why this test is here.
	f.answer = func(*pb.TxnRequest) (*pb.TxnResponse, error) {
		return nil, status.Error(codes.Canceled, "the proxy stops")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = client.Txn(ctx).Then(clientv3.OpPut("a", "")).Commit()
	if n := len(f.sent()); n < 2 {
		t.Errorf("the client alone: %d requests, %v", n, err)
	}
}

// A server that knows the deadline ends the request a moment before its caller
// does, as something that the server chose to do.
func TestDeadlinesAreTheCallersAlone(t *testing.T) {
	t.Parallel()
	f := &fake{version: "3.7.3"}
	f.answer = func(*pb.TxnRequest) (*pb.TxnResponse, error) { return &pb.TxnResponse{}, nil }
	s := opened(t, Config{Endpoints: []string{f.serve(t)}, DialTimeout: patience})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if _, err := s.Commit(ctx, store.Tx{}); err != nil {
			t.Fatal(err)
		}
		if f.deadline {
			t.Error("the server was told of a deadline")
		}
	}
}

// What etcd refuses for a reason that is no fault of the request's may be tried
// again; what it cannot take must not.
func TestAnswersHaveTheirNames(t *testing.T) {
	t.Parallel()
	f := &fake{version: "3.7.3"}
	s := opened(t, Config{Endpoints: []string{f.serve(t)}, DialTimeout: patience})
	for text, tt := range map[string]struct {
		code codes.Code
		want error
	}{
		"etcdserver: requested lease not found":               {codes.NotFound, store.ErrLeaseNotFound},
		"etcdserver: request is too large":                    {codes.InvalidArgument, store.ErrTooLarge},
		"etcdserver: too many operations in txn request":      {codes.InvalidArgument, store.ErrTooLarge},
		"etcdserver: duplicate key given in txn request":      {codes.InvalidArgument, store.ErrInvalid},
		"etcdserver: permission denied":                       {codes.PermissionDenied, store.ErrDenied},
		"etcdserver: user name is empty":                      {codes.InvalidArgument, store.ErrDenied},
		"etcdserver: no leader":                               {codes.Unavailable, store.ErrUnavailable},
		"etcdserver: leader changed":                          {codes.Unavailable, store.ErrUnavailable},
		"etcdserver: request timed out":                       {codes.Unavailable, store.ErrUnavailable},
		"etcdserver: mvcc: database space exceeded":           {codes.ResourceExhausted, store.ErrUnavailable},
		"etcdserver: too many requests":                       {codes.ResourceExhausted, store.ErrUnavailable},
		"requested lease not found, says somebody on the way": {codes.NotFound, store.ErrUnavailable},
	} {
		f.answer = func(*pb.TxnRequest) (*pb.TxnResponse, error) { return nil, status.Error(tt.code, text) }
		_, err := s.Commit(t.Context(), store.Tx{})
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %v", text, err, tt.want)
		}
	}
}

// etcd answers a transaction without reads and writes from any member's own
// state, however old.
func TestChecksAreLinearizable(t *testing.T) {
	t.Parallel()
	f := &fake{version: "3.7.3"}
	f.answer = func(*pb.TxnRequest) (*pb.TxnResponse, error) { return &pb.TxnResponse{Succeeded: true}, nil }
	s := opened(t, Config{Endpoints: []string{f.serve(t)}, DialTimeout: patience})
	_, errList := s.List(t.Context(), store.Query{})
	_, errCheck := s.Commit(t.Context(), store.Tx{If: []store.Cond{store.Absent("a")}})
	if err := errors.Join(errList, errCheck); err != nil {
		t.Fatal(err)
	}
	for _, req := range f.sent() {
		if len(req.Success) != 1 || req.Success[0].GetRequestRange() == nil || req.Success[0].GetRequestRange().Serializable {
			t.Errorf("sent %v", req)
		}
	}
}
