package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tenure-go/tenure/store"
)

// answers are the errors of the server that have a name in the contract. Each
// says that the request had no effect. All others leave that unknown, or are not
// worth the difference.
var answers = []struct{ etcd, store error }{
	{rpctypes.ErrLeaseNotFound, store.ErrLeaseNotFound},
	{rpctypes.ErrCompacted, store.ErrCompacted},
	{rpctypes.ErrRequestTooLarge, store.ErrTooLarge},
	{rpctypes.ErrTooManyOps, store.ErrTooLarge},
	{rpctypes.ErrLeaseTTLTooLarge, store.ErrInvalid},
	{rpctypes.ErrEmptyKey, store.ErrInvalid},
	{rpctypes.ErrDuplicateKey, store.ErrInvalid},
	{rpctypes.ErrPermissionDenied, store.ErrDenied},
	{rpctypes.ErrAuthFailed, store.ErrDenied},
	{rpctypes.ErrInvalidAuthToken, store.ErrDenied},
	{rpctypes.ErrUserEmpty, store.ErrDenied},
	{rpctypes.ErrUserNotFound, store.ErrDenied},
}

// remedies say what to do about errors that do not say so themselves.
var remedies = []struct {
	etcd error
	text string
}{
	{rpctypes.ErrPermissionDenied, "grant the user read and write on the keys under the prefix: "},
	{rpctypes.ErrUserEmpty, "the cluster wants a user name and password, or a client certificate: "},
	{rpctypes.ErrNoSpace, "compact and defragment etcd, then disarm its alarm: "},
}

// failed joins an error of the client's to the contract's sentinel.
func failed(err error, what string) error {
	if ended(err) {
		return unavailable("%s: no answer: %s", what, reason(err)) // it is not the caller's context that has ended
	}
	known := rpctypes.Error(err)
	sentinel, remedy := store.ErrUnavailable, ""
	for _, a := range answers {
		if errors.Is(known, a.etcd) {
			sentinel = a.store
		}
	}
	for _, r := range remedies {
		if errors.Is(known, r.etcd) {
			remedy = r.text
		}
	}
	// gRPC's own limits, of a message before it is sent and as it comes in. Those
	// of the server's count: both mean that it has not seen the request.
	if s, ok := status.FromError(err); ok && s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max") {
		sentinel = store.ErrTooLarge
	}
	return fmt.Errorf("%w: etcd: %s: %s%w", sentinel, what, remedy, err)
}

// reason is the text of an error without what gRPC puts before it.
func reason(err error) string { return rpctypes.ErrorDesc(err) }

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: etcd: %s", store.ErrUnavailable, fmt.Sprintf(format, args...))
}

// fail says what an error of a call means to its caller.
func (s *Store) fail(caller context.Context, err error, what string) error {
	switch code := status.Code(err); {
	case !ended(err) && code != codes.Unknown && code != codes.Unavailable:
		return failed(err, what) // an answer
	case caller.Err() != nil:
		return caller.Err()
	case s.isClosed():
		return errClosed
	}
	return failed(err, what)
}

// ended reports whether a request ended by its context, on this side or another.
func ended(err error) bool {
	code := status.Code(err)
	return code == codes.Canceled || code == codes.DeadlineExceeded ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

var errClosed = fmt.Errorf("%w: etcd", store.ErrClosed)

// isClosed reports whether the store, or the client below it, was closed here.
func (s *Store) isClosed() bool { return s.ctx.Err() != nil || s.client.Ctx().Err() != nil }
