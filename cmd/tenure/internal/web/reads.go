package web

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errBusy is a read that was not begun.
var errBusy = errors.New("too many requests at once; ask again")

// reads bound what clients can have read from the store: so many at once, and for so long.
// Singleflight would have bounded those for one page, and there are as many as names.
type reads struct {
	slots   chan struct{}
	timeout time.Duration
}

func newReads(atOnce int, timeout time.Duration) *reads {
	return &reads{make(chan struct{}, atOnce), timeout}
}

// do reads when there is a place for it.
func (r *reads) do(ctx context.Context, read func(context.Context) (any, error)) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, errBusy
	}
	v, err := read(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the store has not answered within %v: %w", r.timeout, err)
	}
	return v, err
}
