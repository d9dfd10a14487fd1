package interop

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// noCluster is the address of nothing: no manager here reads or writes objects.
var noCluster = &rest.Config{Host: "127.0.0.1:1"}

func newManager(t *testing.T, change func(*manager.Options)) manager.Manager {
	t.Helper()
	o := manager.Options{
		Logger:                  logr.Discard(),
		Metrics:                 server.Options{BindAddress: "0"}, // a port can be had once
		GracefulShutdownTimeout: new(time.Duration(-1)),           // the function of Lead is not to return before its work
		Controller:              config.Controller{SkipNameValidation: new(true)},
	}
	if change != nil {
		change(&o)
	}
	m, err := manager.New(noCluster, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// journal is what has happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) write(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// process is one replica: a manager that always runs, and one for each of its terms.
type process struct {
	*testing.T
	*journal
	id      string
	st      store.Store
	standby chan struct{} // what needs no leadership runs
	working chan struct{} // the work of a term has begun
}

func begin(ctx context.Context, t *testing.T, j *journal, st store.Store, id string) *process {
	t.Helper()
	p := &process{T: t, journal: j, id: id, st: st, standby: make(chan struct{}), working: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return p
}

// standing is a runnable that runs without leadership.
type standing struct{ manager.RunnableFunc }

func (standing) NeedLeaderElection() bool { return false }

func (p *process) run(ctx context.Context) error {
	m, err := tenure.Join(ctx, p.st, tenure.Options{ID: p.id})
	if err != nil {
		return err
	}
	defer m.Close()
	always := newManager(p.T, nil)
	err = always.Add(standing{func(ctx context.Context) error {
		close(p.standby)
		<-ctx.Done()
		return nil
	}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- always.Start(ctx) }()
	err = m.Lead(ctx, "operator", p.lead, tenure.LeadOptions{})
	return errors.Join(err, <-ended)
}

// lead is one term.
func (p *process) lead(ctx context.Context, term tenure.Term) error {
	m := newManager(p.T, nil)
	reconciled, err := control(m)
	if err != nil {
		return err
	}
	err = m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-m.Elected()
		<-reconciled
		p.work(ctx, term)
		return nil
	}))
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

// work needs a moment to stop.
func (p *process) work(ctx context.Context, term tenure.Term) {
	p.write("%s works, held: %v", p.id, term.Held())
	p.working <- struct{}{}
	<-ctx.Done()
	if term.Held() {
		p.Error("it was stopped in its term")
	}
	if errors.Is(term.Cause(), tenure.ErrLost) {
		p.write("%s has lost its term", p.id)
		return
	}
	time.Sleep(50 * time.Millisecond) // whoever leads too early leads now
	leader, _, err := tenure.NewView(p.st, "operator").Read(context.WithoutCancel(ctx))
	p.write("%s returns, and the seat is of %s: %v", p.id, leader.Member, err)
}

// control adds a controller, under the same name in every term, and says when it
// has reconciled.
func control(m manager.Manager) (reconciled chan struct{}, err error) {
	reconciled = make(chan struct{})
	c, err := controller.New("jobs", m, controller.Options{
		Reconciler: reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) {
			close(reconciled)
			return reconcile.Result{}, nil
		}),
	})
	if err != nil {
		return nil, err
	}
	return reconciled, c.Watch(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: "job"}})
		return nil
	}))
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(j.lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestManagerRunsInATermAndIsMadeAnewForTheNext(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	t.Cleanup(func() { _ = st.Close() })
	var j journal
	a := begin(t.Context(), t, &j, st, "a")
	<-a.working
	b := begin(t.Context(), t, &j, st, "b")
	<-a.standby
	<-b.standby // although it does not lead

	moveTo := func(p *process) {
		t.Helper()
		for {
			_, err := tenure.NewView(st, "operator").Transfer(t.Context(), 0, p.id, tenure.Reason{By: "test"})
			if err == nil {
				break
			}
			if !errors.Is(err, tenure.ErrNotCandidate) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // until it stands in line: a view does not tell of candidates
		}
		<-p.working
	}
	moveTo(b)
	moveTo(a)
	moveTo(b)
	j.expect(t,
		"a works, held: true",
		"a returns, and the seat is of a: <nil>",
		"b works, held: true",
		"b returns, and the seat is of b: <nil>",
		"a works, held: true",
		"a returns, and the seat is of a: <nil>",
		"b works, held: true",
	)
}

func TestManagerStopsWhenItsTermIsLost(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	t.Cleanup(func() { _ = st.Close() })
	var j journal
	a := begin(t.Context(), t, &j, st, "a")
	<-a.working
	l, err := st.List(t.Context(), store.Keys("members/a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Revoke(t.Context(), l.Entries[0].Lease); err != nil {
		t.Fatal(err)
	}
	<-a.working
	j.expect(t, "a works, held: true", "a has lost its term", "a works, held: true")
}

// What needs no leadership is to stand in another manager: here it is in the way
// of the rest.
func TestManagerStopsWhatNeedsNoLeadershipFirst(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	m := newManager(t, nil)
	var told atomic.Bool
	slow := standing{func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // for the leader's work to be told, too
		if told.Load() {
			t.Error("the leader's work was told to stop before this has ended")
		}
		return nil
	}}
	leading := manager.RunnableFunc(func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		told.Store(true)
		return nil
	})
	if err := errors.Join(m.Add(slow), m.Add(leading), m.Start(ctx)); err != nil || !told.Load() {
		t.Error(told.Load(), err)
	}
}

func TestManagerStartsOnce(t *testing.T) {
	t.Parallel()
	m := newManager(t, nil)
	for _, want := range []string{"", "manager already started"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-m.Elected()
			cancel()
		}()
		if err := m.Start(ctx); (want == "") != (err == nil) || err != nil && err.Error() != want {
			t.Errorf("Start returned %v, want %q", err, want)
		}
	}
}

func TestManagerWantsNewNamesOfControllersEachTerm(t *testing.T) {
	t.Parallel()
	name := rand.Text() // they are remembered for the life of the process
	add := func(skip bool) error {
		m := newManager(t, func(o *manager.Options) { o.Controller.SkipNameValidation = new(skip) })
		_, err := controller.New(name, m, controller.Options{
			Reconciler: reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) {
				return reconcile.Result{}, nil
			}),
		})
		return err
	}
	if err := add(false); err != nil {
		t.Error(err)
	}
	if err := add(false); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second controller of the name: %v", err)
	}
	if err := add(true); err != nil {
		t.Errorf("with SkipNameValidation: %v", err)
	}
}

// Without the negative GracefulShutdownTimeout Start returns while work goes on,
// and the seat is passed on under it.
func TestManagerReturnsBeforeWorkThatOverruns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	m := newManager(t, func(o *manager.Options) { o.GracefulShutdownTimeout = new(20 * time.Millisecond) })
	release, returned := make(chan struct{}), make(chan struct{})
	err := m.Add(manager.RunnableFunc(func(context.Context) error {
		cancel()
		<-release
		close(returned)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start returned %v", err)
	}
	select {
	case <-returned:
		t.Error("it waited")
	default:
	}
	close(release)
	<-returned
}

// With the election of controller-runtime, a loss ends Start at once, and not the
// work: the process is to end.
func TestManagerThatLostItsLeaseDoesNotWait(t *testing.T) {
	t.Parallel()
	l := &lock{lease: &lease{}, id: "a"}
	m := newManager(t, func(o *manager.Options) {
		o.LeaderElection = true
		o.LeaderElectionID = "operator"
		o.LeaderElectionResourceLockInterface = l
		o.LeaseDuration = new(1500 * time.Millisecond)
		o.RenewDeadline = new(300 * time.Millisecond)
		o.RetryPeriod = new(100 * time.Millisecond)
		o.GracefulShutdownTimeout = new(time.Duration(-1))
	})
	release, returned := make(chan struct{}), make(chan struct{})
	err := m.Add(manager.RunnableFunc(func(context.Context) error {
		l.set(0, true)
		<-release
		close(returned)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	err = m.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "leader election lost") {
		t.Errorf("Start returned %v", err)
	}
	select {
	case <-returned:
		t.Error("it waited")
	default:
	}
	close(release)
	<-returned
}
