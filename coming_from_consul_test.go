package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from Consul.

// A check of health that fails for longer than its grace ends the terms, and each
// function is waited for. The session goes on.
func Example_unhealthy() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	var disk atomic.Pointer[error]
	m, err := tenure.Join(ctx, st, tenure.Options{
		ID:  "a",
		TTL: 1200 * time.Millisecond, // it is asked every third of that
		Health: func(context.Context) error {
			if err := disk.Load(); err != nil {
				return *err
			}
			return nil
		},
		HealthGrace: time.Nanosecond, // once is enough
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	terms := 0
	err = m.Lead(ctx, "jobs", func(ctx context.Context, t tenure.Term) error {
		if terms++; terms == 2 {
			fmt.Println("leading again:", t.Held())
			return nil
		}
		full := errors.New("the disk is full")
		disk.Store(&full)
		<-ctx.Done()
		fmt.Println(t.Cause())
		fmt.Println("the session is alive:", m.Healthy())
		disk.Store(nil)
		return nil
	}, tenure.LeadOptions{})
	fmt.Println(err)
	// Output:
	// tenure: unhealthy: the disk is full
	// the session is alive: <nil>
	// leading again: true
	// <nil>
}

// A renewal that fails is tried again for as long as the trust in the one before
// lasts.
func Example_renewalFails() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	faults := faultstore.New(st.Open())
	defer faults.Close()
	rounds := make(chan error, 100)
	m, err := tenure.Join(ctx, faults, tenure.Options{
		ID:    "a",
		TTL:   2 * time.Second,
		Trace: &tenure.Trace{Round: func(i tenure.RoundInfo) { rounds <- i.Err }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	term, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	faults.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpRenew, Count: 1})
	for err == nil {
		err = <-rounds
	}
	fmt.Println("not renewed:", errors.Is(err, store.ErrUnavailable), "held:", term.Held())
	fmt.Println("renewed:", <-rounds == nil, "held:", term.Held())
	// Output:
	// not renewed: true held: true
	// renewed: true held: true
}

// A leader can be removed by anybody, also one that hangs and whose session is
// still renewed. The next one is elected when the old one can lead no longer.
func Example_deposed() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	term, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(tenure.NewView(st, "jobs").Depose(ctx, term.Token(), tenure.Reason{By: "alice", Why: "it hangs"}))
	<-term.Context().Done()
	fmt.Println(term.Cause(), errors.Is(term.Cause(), tenure.ErrLost))
	// Output:
	// <nil>
	// tenure: deposed by alice: it hangs true
}

// Work that does not stop in time keeps the seat, and is reported.
func Example_overrun() {
	st := memstore.New()
	defer st.Close()
	stuck := make(chan struct{})
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: "a", Trace: &tenure.Trace{
		Overrun: func(t tenure.TermInfo, after time.Duration) {
			leader, _, err := tenure.NewView(st, t.Election).Read(context.Background())
			fmt.Println("still at work after", after, "and the seat is of", leader.Member, err)
			close(stuck)
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	ctx, stop := context.WithCancel(context.Background())
	err = m.Lead(ctx, "jobs", func(ctx context.Context, _ tenure.Term) error {
		stop()
		<-stuck // not the end of its context
		return nil
	}, tenure.LeadOptions{DrainTimeout: 20 * time.Millisecond})
	fmt.Println(err)
	// Output:
	// still at work after 20ms and the seat is of a <nil>
	// <nil>
}

// The versions of github.com/hashicorp/consul, and of its module api.
const (
	consulVersion    = "v1.21.0"
	consulAPIVersion = "v1.34.5"
)

var consulLockNames = []string{
	"PREFIX CMD", "-child-exit-code", "-monitor-retry", "-n", "-name", "-shell", "-pass-stdin", "-timeout",
	"-try", "-verbose", "CONSUL_LOCK_HELD",
}

// Of so large a package these are the names of lock.go, semaphore.go and session.go.
var consulAPINames = []string{
	"Client.LockKey", "Client.LockOpts", "Lock", "Lock.Lock", "Lock.Unlock", "Lock.Destroy", "LockOptions",
	"LockOptions.Key", "LockOptions.Value", "LockOptions.Session", "LockOptions.SessionOpts",
	"LockOptions.SessionName", "LockOptions.SessionTTL", "LockOptions.MonitorRetries",
	"LockOptions.MonitorRetryTime", "DefaultMonitorRetryTime", "LockOptions.LockTryOnce",
	"LockOptions.LockWaitTime", "DefaultLockWaitTime", "LockOptions.LockDelay", "DefaultLockRetryTime",
	"LockOptions.Namespace", "DefaultLockSessionName", "DefaultLockSessionTTL", "LockFlagValue",
	"ErrLockConflict", "ErrLockHeld", "ErrLockNotHeld", "ErrLockInUse", "Session", "Client.Session",
	"Session.Create", "Session.CreateNoChecks", "Session.Renew", "Session.RenewPeriodic", "Session.Destroy",
	"Session.Info", "Session.Node", "Session.List", "ErrSessionExpired", "SessionEntry", "SessionEntry.Name",
	"SessionEntry.TTL", "SessionEntry.ID", "SessionEntry.LockDelay", "SessionEntry.Behavior",
	"SessionBehaviorRelease", "SessionBehaviorDelete", "SessionEntry.Checks", "SessionEntry.NodeChecks",
	"SessionEntry.ServiceChecks", "ServiceCheck", "ServiceCheck.ID", "ServiceCheck.Namespace",
	"SessionEntry.Node", "SessionEntry.Namespace", "SessionEntry.CreateIndex", "Semaphore",
	"Client.SemaphorePrefix", "Client.SemaphoreOpts", "Semaphore.Acquire", "Semaphore.Release",
	"Semaphore.Destroy", "SemaphoreOptions", "SemaphoreOptions.Prefix", "SemaphoreOptions.Limit",
	"SemaphoreOptions.Value", "SemaphoreOptions.Session", "SemaphoreOptions.SessionName",
	"SemaphoreOptions.SessionTTL", "SemaphoreOptions.MonitorRetries", "SemaphoreOptions.MonitorRetryTime",
	"SemaphoreOptions.SemaphoreWaitTime", "SemaphoreOptions.SemaphoreTryOnce", "SemaphoreOptions.Namespace",
	"DefaultSemaphoreSessionName", "DefaultSemaphoreSessionTTL", "DefaultSemaphoreWaitTime",
	"DefaultSemaphoreKey", "SemaphoreFlagValue", "ErrSemaphoreHeld", "ErrSemaphoreNotHeld", "ErrSemaphoreInUse",
	"ErrSemaphoreConflict",
}
