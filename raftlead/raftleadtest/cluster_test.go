package raftleadtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
	"github.com/tenure-go/tenure/raftlead/raftleadtest"
)

// journal is an FSM that writes down the commands that it was given.
type journal struct {
	mu       sync.Mutex
	commands []string
}

func (j *journal) Apply(log *raft.Log) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.commands = append(j.commands, string(log.Data))
	return len(j.commands)
}

func (j *journal) Snapshot() (raft.FSMSnapshot, error) { return written(j.String()), nil }

func (j *journal) Restore(from io.ReadCloser) error {
	text, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.commands = strings.Fields(string(text))
	return from.Close()
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.commands, " ")
}

type written string

func (w written) Persist(sink raft.SnapshotSink) error {
	if _, err := io.WriteString(sink, string(w)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (written) Release() {}

func journals(raft.ServerID) raft.FSM { return &journal{} }

// newCluster starts a cluster that ends with the test, without a violation.
func newCluster(t *testing.T, opts raftleadtest.ClusterOptions) *raftleadtest.Cluster {
	t.Helper()
	opts.Tracker.Strict = true
	if opts.FSM == nil {
		opts.FSM = journals
	}
	c, err := raftleadtest.NewCluster(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func elect(t *testing.T, c *raftleadtest.Cluster, id raft.ServerID) *raftleadtest.Leadership {
	t.Helper()
	l, err := c.Elect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if leader := c.Leader(); leader == nil || leader.ID() != id {
		t.Fatalf("elected %s, and the leader is %v", id, leader)
	}
	for _, other := range c.IDs() {
		if _, follows := c.Server(other).Raft().LeaderWithID(); follows != id && c.Server(other).Raft().State() != raft.Shutdown {
			t.Errorf("elected %s, and %s follows %q", id, other, follows)
		}
	}
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// propose gives the leader a command.
func propose(c *raftleadtest.Cluster, command string) raft.ApplyFuture {
	return c.Leader().Raft().Apply([]byte(command), time.Minute)
}

// have checks what each server's FSM was given.
func have(t *testing.T, c *raftleadtest.Cluster, want string) {
	t.Helper()
	must(t, c.Settle(t.Context()))
	for _, id := range c.IDs() {
		if got := fmt.Sprint(c.Server(id).FSM()); got != want {
			t.Errorf("server %s has %q, want %q", id, got, want)
		}
	}
}

func TestAServerIsElectedAndDeposedAndAnotherIsElected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{})
		if leader := c.Leader(); leader != nil {
			t.Fatalf("%s leads, and nobody was elected", leader.ID())
		}
		var last uint64
		for _, id := range []raft.ServerID{"0", "1", "2", "1", "1"} {
			l := elect(t, c, id)
			if l.Server() != id || l.RaftTerm() <= last {
				t.Errorf("elected %s in term %d, want %s and one above %d", l.Server(), l.RaftTerm(), id, last)
			}
			last = l.RaftTerm()
			must(t, propose(c, "x").Error())
			must(t, c.Depose(t.Context()))
			if !closed(l.Lost()) || !errors.Is(l.Cause(), tenure.ErrLost) {
				t.Errorf("deposed, and lost is %v, of %v", closed(l.Lost()), l.Cause())
			}
		}
	})
}

func TestElectWorksInRealTime(t *testing.T) {
	t.Parallel()
	c := newCluster(t, raftleadtest.ClusterOptions{})
	elect(t, c, "2")
	must(t, propose(c, "a").Error())
	must(t, c.Depose(t.Context()))
	elect(t, c, "0")
	have(t, c, "a")
}

func TestADeposedServerIsElectedByNobodyButTheTest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{})
		elect(t, c, "0")
		must(t, c.Depose(t.Context()))
		time.Sleep(time.Minute) // virtual: for an election that must not come
		if leader := c.Leader(); leader != nil {
			t.Errorf("%s leads", leader.ID())
		}
		c.AllowElections(true)
		f, err := c.Tracker().Expect("0", time.Hour)
		must(t, err)
		g, err := c.Tracker().Expect("1", time.Hour)
		must(t, err)
		h, err := c.Tracker().Expect("2", time.Hour)
		must(t, err)
		led := make(chan struct{}, 3)
		for _, f := range []*raftleadtest.Future{f, g, h} {
			go func() {
				if _, err := f.Done(t.Context()); err == nil {
					led <- struct{}{}
				}
			}()
		}
		<-led
		c.Tracker().Ignore()
	})
}

// A command is stopped at a stage, the leader is deposed, and another or the same one
// is elected.
func TestDeposedAfterACommandWas(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		stage raftleadtest.Stage
		next  raft.ServerID
		says  error  // to who proposed it
		have  string // in the end
	}{
		{raftleadtest.Enqueued, "1", raft.ErrLeadershipLost, "a c"},
		{raftleadtest.Enqueued, "0", raft.ErrLeadershipLost, "a b c"},
		{raftleadtest.Appended, "1", raft.ErrLeadershipLost, "a b c"},
		{raftleadtest.Appended, "0", raft.ErrLeadershipLost, "a b c"},
		{raftleadtest.Committed, "1", nil, "a b c"},
		{raftleadtest.Committed, "0", nil, "a b c"},
	} {
		t.Run(fmt.Sprintf("%v then elect %s", x.stage, x.next), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, raftleadtest.ClusterOptions{})
				elect(t, c, "0")
				hold, err := c.Hold(x.stage, 2)
				must(t, err)
				must(t, propose(c, "a").Error())
				b := propose(c, "b")
				must(t, hold.Wait(t.Context()))

				index := c.Server("0").Raft().LastIndex()
				others, commit := index, index-1
				switch x.stage {
				case raftleadtest.Enqueued:
					others = index - 1
				case raftleadtest.Committed:
					commit = index
				}
				time.Sleep(time.Second) // virtual: it stays there
				for _, id := range []raft.ServerID{"1", "2"} {
					if got := c.Server(id).Raft().LastIndex(); got != others {
						t.Errorf("%v: the log of %s ends at %d, want %d", x.stage, id, got, others)
					}
				}
				if got := c.Server("0").Raft().CommitIndex(); got != commit {
					t.Errorf("%v: committed is %d, want %d", x.stage, got, commit)
				}
				if got := fmt.Sprint(c.Server("0").FSM()); got != "a" {
					t.Errorf("%v: the FSM has %q", x.stage, got)
				}

				must(t, c.Depose(t.Context()))
				if err := b.Error(); !errors.Is(err, x.says) {
					t.Errorf("the command ended with %v, want %v", err, x.says)
				}
				elect(t, c, x.next)
				must(t, propose(c, "c").Error())
				have(t, c, x.have)
			})
		})
	}
}

func TestACommandThatIsReleasedGoesOn(t *testing.T) {
	t.Parallel()
	for _, stage := range []raftleadtest.Stage{raftleadtest.Enqueued, raftleadtest.Appended, raftleadtest.Committed} {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, raftleadtest.ClusterOptions{})
				l := elect(t, c, "0")
				hold, err := c.Hold(stage, 1)
				must(t, err)
				a, b := propose(c, "a"), propose(c, "b")
				must(t, hold.Wait(t.Context()))
				if _, err := c.Hold(stage, 1); !errors.Is(err, tenure.ErrInvalid) {
					t.Errorf("a second hold: %v", err)
				}
				time.Sleep(time.Minute) // virtual: the leader stays in office meanwhile
				hold.Release()
				hold.Release()
				must(t, errors.Join(a.Error(), b.Error(), hold.Wait(t.Context())))
				have(t, c, "a b")
				if closed(l.Lost()) {
					t.Errorf("the leadership was lost: %v", l.Cause())
				}
			})
		})
	}
}

func TestAHoldThatIsOverBeforeItsCommandCameSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{})
		if _, err := c.Hold(raftleadtest.Enqueued, 1); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("without a leader: %v", err)
		}
		elect(t, c, "0")
		for _, n := range []int{0, -1} {
			if _, err := c.Hold(raftleadtest.Enqueued, n); !errors.Is(err, tenure.ErrInvalid) {
				t.Errorf("command %d: %v", n, err)
			}
		}
		if _, err := c.Hold(0, 1); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("no stage: %v", err)
		}
		hold, err := c.Hold(raftleadtest.Enqueued, 1)
		must(t, err)
		if err := hold.Wait(t.Context()); !errors.Is(err, raftleadtest.ErrTimeout) {
			t.Errorf("no command: %v", err)
		}
		must(t, c.Depose(t.Context()))
		if err := hold.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "over") {
			t.Errorf("deposed: %v", err)
		}
		if err := c.Depose(t.Context()); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("deposed with nobody leading: %v", err)
		}
	})
}

// What is kept would keep raft's goroutines, too.
func TestTheShutdownOfAServerEndsItsHold(t *testing.T) {
	t.Parallel()
	for _, stage := range []raftleadtest.Stage{raftleadtest.Enqueued, raftleadtest.Appended, raftleadtest.Committed} {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, raftleadtest.ClusterOptions{})
				elect(t, c, "0")
				hold, err := c.Hold(stage, 1)
				must(t, err)
				propose(c, "a")
				must(t, hold.Wait(t.Context()))
				time.Sleep(100 * time.Millisecond) // virtual, for what is on its way to "1"
				must(t, c.Shutdown(t.Context(), "0"))
				next := raft.ServerID("1")
				if c.Server("2").Raft().LastIndex() > c.Server("1").Raft().LastIndex() {
					next = "2" // the quorum that has the command
				}
				elect(t, c, next)
				must(t, c.Start("0"))
				must(t, propose(c, "b").Error())
				want := "a b"
				if stage == raftleadtest.Enqueued {
					want = "b"
				}
				have(t, c, want)
			})
		})
	}
}

func TestAServerThatWasDisconnectedIsRestoredFromASnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{
			Config: func(_ raft.ServerID, conf *raft.Config) { conf.TrailingLogs = 1 },
		})
		l := elect(t, c, "0")
		must(t, propose(c, "a").Error())
		have(t, c, "a")
		must(t, c.Disconnect("2"))
		for _, command := range []string{"b", "c", "d", "e"} {
			must(t, propose(c, command).Error())
		}
		must(t, c.Settle(t.Context())) // of those that can be reached
		if got := fmt.Sprint(c.Server("2").FSM()); got != "a" {
			t.Errorf("cut off, and has %q", got)
		}
		must(t, c.Snapshot(t.Context(), "0"))
		must(t, propose(c, "f").Error())
		must(t, c.Reconnect("2"))
		have(t, c, "a b c d e f")
		if got, want := c.Server("2").Counts(), (raftleadtest.Counts{Commands: 2, Restores: 1}); got != want {
			t.Errorf("the server that was cut off counts %+v, want %+v", got, want)
		}
		if got, want := c.Server("0").Counts(), (raftleadtest.Counts{Commands: 6, Snapshots: 1}); got != want {
			t.Errorf("the leader counts %+v, want %+v", got, want)
		}
		if closed(l.Lost()) {
			t.Errorf("the leadership was lost: %v", l.Cause())
		}
	})
}

func TestAServerStartsAgainOverWhatItHadStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{})
		l := elect(t, c, "0")
		must(t, propose(c, "a").Error())
		have(t, c, "a") // or another might lack it, and not be elected
		old := c.Server("0").Raft()
		must(t, c.Shutdown(t.Context(), "0"))
		if old.State() != raft.Shutdown || !closed(l.Lost()) {
			t.Errorf("shut down: %v, lost: %v", old.State(), closed(l.Lost()))
		}
		if err := c.Shutdown(t.Context(), "0"); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("shut down twice: %v", err)
		}
		if _, err := c.Elect(t.Context(), "0"); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("elected while down: %v", err)
		}
		elect(t, c, "1")
		must(t, propose(c, "b").Error())
		if err := c.Start("1"); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("started twice: %v", err)
		}
		must(t, c.Start("0"))
		have(t, c, "a b")
		must(t, c.Depose(t.Context()))
		elect(t, c, "0")
		must(t, propose(c, "c").Error())
		have(t, c, "a b c")

		must(t, c.Snapshot(t.Context(), "0"))
		must(t, c.Shutdown(t.Context(), "0"))
		elect(t, c, "1")
		must(t, c.Start("0"))
		have(t, c, "a b c")
		if got, want := c.Server("0").Counts(), (raftleadtest.Counts{Restores: 1}); got != want {
			t.Errorf("started over a snapshot, and counts %+v, want %+v", got, want)
		}
	})
}

func TestElectSaysWhatIsInItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{Timeout: time.Minute})
		l := elect(t, c, "0")
		if again := elect(t, c, "0"); again != l {
			t.Error("elected again although it leads")
		}
		_, err := c.Elect(t.Context(), "1")
		if !errors.Is(err, tenure.ErrInvalid) || !strings.Contains(err.Error(), `"0" leads`) {
			t.Errorf("another leads: %v", err)
		}
		_, err = c.Elect(t.Context(), "7")
		if !errors.Is(err, raftleadtest.ErrUnknown) {
			t.Errorf("no such server: %v", err)
		}
		must(t, c.Depose(t.Context()))
		must(t, errors.Join(c.Disconnect("1")))
		if _, err = c.Elect(t.Context(), "1"); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("disconnected: %v", err)
		}
		must(t, c.Reconnect("1"))

		// Nobody follows a server that has less than they.
		elect(t, c, "0")
		must(t, c.Disconnect("1"))
		must(t, propose(c, "a").Error())
		must(t, c.Settle(t.Context()))
		must(t, c.Depose(t.Context()))
		must(t, c.Reconnect("1"))
		began := time.Now()
		_, err = c.Elect(t.Context(), "1")
		if !errors.Is(err, raftleadtest.ErrTimeout) || time.Since(began) > time.Minute {
			t.Errorf("of a server that lacks entries, after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = c.Elect(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a second to go: %v", err)
		}
		elect(t, c, "2")
	})
}

// Without pre-votes the terms of those that may not be elected rise without end, and
// depose who has been elected: Elect tries again.
func TestElectOutlastsTermsThatHaveRisenElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{
			Config: func(_ raft.ServerID, conf *raft.Config) { conf.PreVoteDisabled = true },
		})
		for _, id := range []raft.ServerID{"0", "1", "2"} {
			time.Sleep(time.Minute) // virtual: for terms to rise
			elect(t, c, id)
			must(t, c.Depose(t.Context()))
		}
	})
}

func TestLeadRunsOnEachServerForAsLongAsItIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, fmt.Sprintf(format, args...))
		}
		c := newCluster(t, raftleadtest.ClusterOptions{
			Lead: func(ctx context.Context, id raft.ServerID, t tenure.Term) error {
				note("%s works", id)
				<-ctx.Done()
				note("%s stops", id)
				return nil
			},
		})
		for _, id := range []raft.ServerID{"0", "1"} {
			elect(t, c, id)
			synctest.Wait()
			must(t, c.Depose(t.Context()))
		}
		elect(t, c, "0")
		synctest.Wait()
		must(t, c.Shutdown(t.Context(), "0"))
		must(t, c.Start("0"))
		elect(t, c, "0")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{"0 works", "0 stops", "1 works", "1 stops", "0 works", "0 stops", "0 works"}
		if !slices.Equal(log, want) {
			t.Errorf("got %q, want %q", log, want)
		}
	})
}

func TestLeadIsCalledAgainAfterItHasReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := make(chan raft.ServerID)
		c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{
			Lead: func(ctx context.Context, id raft.ServerID, _ tenure.Term) error {
				select {
				case calls <- id:
				case <-ctx.Done():
				}
				return errors.New("it goes wrong") // so the leadership is passed on
			},
		})
		must(t, err)
		defer func() { must(t, c.Close()) }()
		elect(t, c, "0")
		called := map[raft.ServerID]int{}
		for range 4 { // on three servers
			called[<-calls]++
		}
		if called["0"] == 0 || len(called) < 2 {
			t.Errorf("called %v", called)
		}
	})
}

// A command that nobody knew to be committed is there when the next leader's work begins.
func TestATermBeginsWithAllThatEarlierLeadersHaveCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *raftleadtest.Cluster
		began := make(chan string, 2)
		c = newCluster(t, raftleadtest.ClusterOptions{
			Lead: func(ctx context.Context, id raft.ServerID, t tenure.Term) error {
				began <- fmt.Sprintf("%s with %q", id, c.Server(id).FSM())
				<-ctx.Done()
				return nil
			},
		})
		elect(t, c, "0")
		if got, want := <-began, `0 with ""`; got != want {
			t.Errorf("began %s, want %s", got, want)
		}
		hold, err := c.Hold(raftleadtest.Appended, 1)
		must(t, err)
		propose(c, "a")
		must(t, hold.Wait(t.Context()))
		must(t, c.Depose(t.Context()))
		elect(t, c, "1")
		if got, want := <-began, `1 with "a"`; got != want {
			t.Errorf("began %s, want %s", got, want)
		}
	})
}

// The Electors of a Cluster are those of package raftlead: leaderships can be passed on, and a
// Strict Tracker is told before.
func TestALeadershipIsPassedOnInACluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, raftleadtest.ClusterOptions{Elector: raftlead.Options{Lease: 100 * time.Millisecond}})
		elect(t, c, "0")
		l, err := c.Server("0").Elector().Campaign(t.Context())
		must(t, err)
		next, err := c.Tracker().Expect("2", time.Minute)
		must(t, err)
		must(t, l.TransferTo(t.Context(), "2"))
		if _, err := next.Done(t.Context()); err != nil {
			t.Error(err)
		}
		if leader := c.Leader(); leader == nil || leader.ID() != "2" {
			t.Errorf("%v leads", leader)
		}
	})
}

// batches is a journal that is given batches, and writes down configurations in them.
type batches struct {
	journal
	kinds []raft.LogType
}

func (b *batches) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	for i, log := range logs {
		b.kinds = append(b.kinds, log.Type)
		if log.Type == raft.LogCommand {
			results[i] = b.Apply(log)
		}
	}
	return results
}

// configured is a journal that stores configurations.
type configured struct {
	journal
	members int
}

func (c *configured) StoreConfiguration(_ uint64, conf raft.Configuration) {
	c.members = len(conf.Servers)
}

func TestAnFSMIsGivenWhatItsKindIsGiven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := map[raft.ServerID]raft.FSM{"0": &batches{}, "1": &configured{}, "2": &journal{}}
		c := newCluster(t, raftleadtest.ClusterOptions{FSM: func(id raft.ServerID) raft.FSM { return given[id] }})
		elect(t, c, "0")
		must(t, propose(c, "a").Error())
		have(t, c, "a")
		synctest.Wait()
		if got, want := given["0"].(*batches).kinds, []raft.LogType{raft.LogConfiguration, raft.LogCommand}; !slices.Equal(got, want) {
			t.Errorf("batches of %v, want %v", got, want)
		}
		if got := given["1"].(*configured).members; got != 3 {
			t.Errorf("a configuration of %d servers, want 3", got)
		}
		for _, id := range c.IDs() {
			if got := c.Server(id).Counts(); got.Commands != 1 {
				t.Errorf("server %s counts %+v", id, got)
			}
		}
	})
}

func TestCloseNamesWhatGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{
			Lead: func(context.Context, raft.ServerID, tenure.Term) error { <-stop; return nil },
		})
		must(t, err)
		elect(t, c, "1")
		synctest.Wait()
		err = c.Close()
		if !errors.Is(err, raftleadtest.ErrTimeout) || !strings.Contains(err.Error(), `"1"`) || !strings.Contains(err.Error(), "Lead") {
			t.Errorf("closed: %v", err)
		}
		if again := c.Close(); again != err { //nolint:errorlint // the very same
			t.Errorf("closed again: %v", again)
		}
		if err := c.Start("0"); !errors.Is(err, raftleadtest.ErrClosed) {
			t.Errorf("started after Close: %v", err)
		}
		close(stop)
	})
}

func TestCloseTellsOfViolations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{Tracker: raftleadtest.TrackerOptions{Strict: true}})
		must(t, err)
		c.AllowElections(true)
		for c.Leader() == nil {
			time.Sleep(time.Second) // virtual: nothing is told of it
		}
		synctest.Wait()
		if err := c.Close(); !errors.Is(err, raftleadtest.ErrUnexpected) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestAClusterRefusesOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for what, opts := range map[string]raftleadtest.ClusterOptions{
		"servers": {Servers: -1},
		"timeout": {Timeout: -1},
		"scale":   {Scale: -1},
		"elector": {Elector: raftlead.Options{Lease: time.Hour}},
		"tracker": {Tracker: raftleadtest.TrackerOptions{Scale: -1}},
	} {
		if _, err := raftleadtest.NewCluster(opts); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
