package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from Kubernetes. What is
// said there of client-go and controller-runtime is shown on them in test/interop.

// The callbacks of a program that is built on callbacks. Elected returns at once;
// Lost is told only of a term that Elected was told of.
func Example_callbacksOfATerm() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	other, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()

	first, err := other.Campaign(ctx, "jobs", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	leaders := make(chan string)
	c := tenure.Callbacks{
		Elected: func(context.Context, tenure.Term) error {
			fmt.Println("a is elected")
			stop()
			return nil
		},
		Lost:          func(_ tenure.Term, cause error) { fmt.Println("a is told of its end:", cause) },
		BeforeRelease: func(context.Context, tenure.Term) error { fmt.Println("a still has the seat"); return nil },
		LeaderChanged: func(ev tenure.Event) {
			if ev.Leader.Member == "b" {
				leaders <- ev.Leader.Member
			}
		},
	}
	ran := make(chan error)
	go func() { ran <- c.Run(ctx, m, "jobs", tenure.LeadOptions{}) }()
	fmt.Println(<-leaders, "leads")
	bothInLine(ctx, tenure.NewView(st, "jobs"))
	_ = first.Resign(ctx)
	fmt.Println(<-ran)

	given, up := context.WithCancel(context.Background())
	up()
	fmt.Println(c.Run(given, m, "other", tenure.LeadOptions{}), "without a word")
	// Output:
	// b leads
	// a is elected
	// a is told of its end: context canceled
	// a still has the seat
	// <nil>
	// <nil> without a word
}

// A process that is to end with its first term, however that ends: the context of
// Lead goes with the function.
func Example_oneTerm() {
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: "a", TTL: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	ctx, stop := context.WithCancel(context.Background())
	err = m.Lead(ctx, "jobs", func(ctx context.Context, t tenure.Term) error {
		defer stop()
		revokeSession(context.Background(), st, "a")
		<-ctx.Done()
		return fmt.Errorf("this process ends: lost: %v", errors.Is(t.Cause(), tenure.ErrLost))
	}, tenure.LeadOptions{})
	fmt.Println(err)
	// Output: this process ends: lost: true
}

// The context of BeforeRelease is alive, and nobody else can be elected before it
// returns.
func Example_beforeRelease() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	err = m.Lead(ctx, "jobs", func(context.Context, tenure.Term) error {
		fmt.Println("work is done")
		return nil
	}, tenure.LeadOptions{BeforeRelease: func(ctx context.Context, t tenure.Term) error {
		leader, _, err := tenure.NewView(st, "jobs").Read(ctx)
		fmt.Println("seat of:", leader.Member, "held:", t.Held(), err)
		return nil
	}})
	fmt.Println(err)
	// Output:
	// work is done
	// seat of: a held: false <nil>
	// <nil>
}

// lateRenewals is a store whose renewals take effect at once, and are answered late.
type lateRenewals struct {
	store.Store
	by time.Duration
}

func (s lateRenewals) Renew(ctx context.Context, id store.LeaseID) (time.Duration, error) {
	ttl, err := s.Store.Renew(ctx, id)
	time.Sleep(s.by) // the reply is on its way
	return ttl, err
}

// A deadline counts from the moment at which the renewal was sent. How long its
// answer took shortens what is left.
func Example_slowRenewal() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	const ttl, late = 600 * time.Millisecond, 100 * time.Millisecond
	type sight struct {
		info tenure.RoundInfo
		left time.Duration
	}
	rounds := make(chan sight, 100)
	m, err := tenure.Join(ctx, lateRenewals{st, late}, tenure.Options{
		TTL:   ttl,
		Trace: &tenure.Trace{Round: func(i tenure.RoundInfo) { rounds <- sight{i, time.Until(i.Until)} }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	r := <-rounds
	fmt.Println("answered late:", r.info.Took >= late)
	fmt.Println("and left is less than the TTL by as much:", r.left <= ttl-r.info.Took)
	// Output:
	// answered late: true
	// and left is less than the TTL by as much: true
}

// A probe reads local state only. It says that the session is alive, whether this
// member leads or not.
func Example_healthProbe() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}

	healthz := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := m.Healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	ask := func() {
		w := httptest.NewRecorder()
		healthz.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
	}
	ask()
	if err := m.Close(); err != nil {
		log.Fatal(err)
	}
	ask()
	// Output:
	// 200
	// 503 tenure: member closed
}

// A candidate of a higher priority gets the seat from a leader that lets it.
func Example_preemption() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := tenure.Join(ctx, st, tenure.Options{ID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	begun := make(chan struct{})
	over, stop := context.WithCancel(ctx)
	var leads sync.WaitGroup
	leads.Go(func() {
		_ = a.Lead(over, "jobs", func(ctx context.Context, t tenure.Term) error {
			close(begun)
			<-ctx.Done()
			fmt.Println("a drains:", errors.Is(t.Cause(), tenure.ErrPreempted))
			return nil
		}, tenure.LeadOptions{Priority: 1, PreemptAfter: time.Millisecond})
	})
	<-begun
	_ = b.Lead(ctx, "jobs", func(context.Context, tenure.Term) error {
		fmt.Println("b leads")
		stop()
		return nil
	}, tenure.LeadOptions{Priority: 2})
	leads.Wait()
	// Output:
	// a drains: true
	// b leads
}

// The seat goes to the member that is named. The leader drains first, and waits in
// line again.
func Example_transferToAMember() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	view := tenure.NewView(st, "jobs")
	over, stop := context.WithCancel(ctx)
	var leads sync.WaitGroup
	begun := make(chan string, 1)
	for _, id := range []string{"a", "b"} {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: id})
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		leads.Go(func() {
			_ = m.Lead(over, "jobs", func(ctx context.Context, t tenure.Term) error {
				begun <- id
				<-ctx.Done()
				if id == "a" {
					fmt.Println(t.Cause())
				}
				return nil
			}, tenure.LeadOptions{})
		})
		if id == "a" {
			<-begun
		}
	}
	bothInLine(ctx, view)

	leader, err := view.Transfer(ctx, 0, "b", tenure.Reason{By: "alice", Why: "the node is drained"})
	fmt.Println(leader.Member, "leads", err)
	stop()
	leads.Wait()
	// Output:
	// tenure: transferred to b by alice: the node is drained
	// b leads <nil>
}

// fit is a policy that says of this member alone whether it may lead.
type fit struct {
	yes     atomic.Bool
	changed chan struct{}
}

func (f *fit) ShouldCampaign(tenure.Identity) tenure.Verdict {
	if f.yes.Load() {
		return tenure.Yes
	}
	return tenure.No
}

func (f *fit) IsValidLeader(tenure.Identity) tenure.Verdict { return tenure.Yes }
func (f *fit) Changed() <-chan struct{}                     { return f.changed }

// A policy says who may lead, by whatever the program knows: versions, replicas,
// zones.
func Example_eligibility() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	policy := &fit{changed: make(chan struct{})}
	policy.yes.Store(true)
	terms := 0
	err = m.Lead(ctx, "jobs", func(ctx context.Context, t tenure.Term) error {
		if terms++; terms == 2 {
			fmt.Println("leading again:", t.Held())
			return nil
		}
		policy.yes.Store(false)
		policy.changed <- struct{}{}
		<-ctx.Done()
		fmt.Println(t.Cause())
		policy.yes.Store(true)
		policy.changed <- struct{}{}
		return nil
	}, tenure.LeadOptions{Policy: policy})
	fmt.Println(err)
	// Output:
	// tenure: not eligible
	// leading again: true
	// <nil>
}

// What a leader announces goes with its term.
func Example_announcementOfATerm() {
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

	if err := term.Announce(ctx, []byte("zone=north")); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		a, ok, err := tenure.NewView(st, "jobs").Announcement(ctx)
		fmt.Printf("%v %v %q %v\n", ok, err, a.Data, a.Token == term.Token())
		_ = term.Resign(ctx)
	}
	// Output:
	// true <nil> "zone=north" true
	// false <nil> "" false
}

// The versions of k8s.io/client-go and of sigs.k8s.io/controller-runtime.
const (
	clientGoVersion          = "v0.37.2"
	controllerRuntimeVersion = "v0.25.2"
)

var leaderElectionNames = []string{
	"LeaderElectionConfig", "NewLeaderElector", "LeaderElectionConfig.Lock", "LeaderElectionConfig.LeaseDuration",
	"LeaderElectionConfig.RenewDeadline", "LeaderElectionConfig.RetryPeriod", "LeaderElectionConfig.Callbacks",
	"LeaderElectionConfig.WatchDog", "LeaderElectionConfig.ReleaseOnCancel", "LeaderElectionConfig.Name",
	"LeaderElectionConfig.Coordinated", "LeaseCandidate", "LeaseCandidate.Run", "NewCandidate", "CacheSyncWaiter",
	"CacheSyncWaiter.WaitForCacheSync", "JitterFactor", "LeaderCallbacks", "LeaderCallbacks.OnStartedLeading",
	"LeaderCallbacks.OnStoppedLeading", "LeaderCallbacks.OnNewLeader", "LeaderElector", "LeaderElector.Run",
	"RunOrDie", "LeaderElector.GetLeader", "LeaderElector.IsLeader", "LeaderElector.Check", "HealthzAdaptor",
	"NewLeaderHealthzAdaptor", "HealthzAdaptor.Check", "HealthzAdaptor.Name", "HealthzAdaptor.SetLeaderElection",
	"MetricsProvider", "MetricsProvider.NewLeaderMetric", "SetProvider", "LeaderMetric", "LeaderMetric.On",
	"LeaderMetric.Off", "LeaderMetric.SlowpathExercised",
}

var resourceLockNames = []string{
	"Interface", "Interface.Get", "Interface.Create", "Interface.Update", "Interface.Describe", "New",
	"NewWithLabels", "NewFromKubeconfig", "LeasesResourceLock", "LeaseLock", "LeaseLock.LeaseMeta",
	"LeaseLock.Client", "LeaseLock.LockConfig", "ResourceLockConfig", "LeaseLock.Labels",
	"ResourceLockConfig.Identity", "Interface.Identity", "EventRecorder", "EventRecorder.Eventf",
	"ResourceLockConfig.EventRecorder", "Interface.RecordEvent", "LeaderElectionRecord",
	"LeaderElectionRecord.HolderIdentity", "LeaderElectionRecord.LeaseDurationSeconds",
	"LeaderElectionRecord.AcquireTime", "LeaderElectionRecord.RenewTime",
	"LeaderElectionRecord.LeaderTransitions", "LeaderElectionRecord.PreferredHolder",
	"LeaderElectionRecord.Strategy", "LeaderElectionRecordAnnotationKey", "LeaseSpecToLeaderElectionRecord",
	"LeaderElectionRecordToLeaseSpec", "MultiLock", "MultiLock.Primary", "MultiLock.Secondary", "UnknownLeader",
	"ConcatRawRecord",
}

// Of so large a package these are what has to do with elections.
var controllerRuntimeNames = []string{
	"Options.LeaderElection", "Options.LeaderElectionID", "Options.LeaderElectionNamespace",
	"Options.LeaderElectionConfig", "Options.LeaderElectionResourceLock",
	"Options.LeaderElectionResourceLockInterface", "Options.LeaseDuration", "Options.RenewDeadline",
	"Options.RetryPeriod", "Options.LeaderElectionReleaseOnCancel", "Options.LeaderElectionLabels",
	"Options.GracefulShutdownTimeout", "Manager.Start", "Manager.Elected",
	"LeaderElectionRunnable.NeedLeaderElection", "controller.Options.NeedLeaderElection",
	"controller.Options.EnableWarmup",
}
