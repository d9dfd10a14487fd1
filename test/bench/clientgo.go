package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// clientGo measures the fail-over of client-go's package with the durations that it
// recommends, over a lock in memory that costs nothing: what is left is what the
// package itself waits for.
func clientGo(ctx context.Context, n int) (*sample, error) {
	const (
		lease = 15 * time.Second
		renew = 10 * time.Second
		retry = 2 * time.Second
	)
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	s := &sample{what: fmt.Sprintf("client-go %v/%v/%v, lock in memory", lease, renew, retry)}
	// All at once: they have nothing in common, and do nothing most of the time.
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range n {
		all.Go(func() {
			took, err := func() (time.Duration, error) {
				obj := &object{}
				elected := make(chan time.Time, 2)
				contend := func(ctx context.Context, id string) error {
					e, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
						Lock: &memoryLock{obj, id}, LeaseDuration: lease, RenewDeadline: renew, RetryPeriod: retry,
						Callbacks: leaderelection.LeaderCallbacks{
							OnStartedLeading: func(context.Context) { elected <- time.Now() },
							OnStoppedLeading: func() {},
						},
					})
					if err == nil {
						go e.Run(ctx)
					}
					return err
				}
				first, crash := context.WithCancel(ctx)
				defer crash()
				if err := contend(first, "a"); err != nil {
					return 0, err
				}
				<-elected
				life, end := context.WithCancel(ctx)
				defer end()
				if err := contend(life, "b"); err != nil {
					return 0, err
				}
				drain(ctx, 2*retry) // so that it has been renewed, and b has seen it
				crashed := time.Now()
				crash() // without ReleaseOnCancel the lock stays as it is
				select {
				case at := <-elected:
					return at.Sub(crashed), nil
				case <-time.After(patience):
					return 0, fmt.Errorf("nobody leads after %v", patience)
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			s.add(took)
		})
	}
	all.Wait()
	return s, failed
}

// object is the record that a lock keeps, with a version.
type object struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
}

// memoryLock is one candidate's view of an object.
type memoryLock struct {
	o  *object
	id string
}

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

func (l *memoryLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	if l.o.record == nil {
		return nil, nil, apierrors.NewNotFound(leases, "x")
	}
	r := *l.o.record
	return &r, fmt.Append(nil, l.o.version), nil
}

func (l *memoryLock) Create(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.put(r)
}

func (l *memoryLock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.put(r)
}

func (l *memoryLock) put(r resourcelock.LeaderElectionRecord) error {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	l.o.record = &r
	l.o.version++
	return nil
}

func (l *memoryLock) RecordEvent(string)                  {}
func (l *memoryLock) Identity() string                    { return l.id }
func (l *memoryLock) Describe() string                    { return "memory" }
func (l *memoryLock) RecordEventf(runtime.Object, ...any) {}
