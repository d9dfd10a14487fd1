package raftlead_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// What docs/coming-from.md says of raft's own channels and observers, shown on raft.

// The loop of those who embed raft: begin when elected, end when it is lost, and never begin
// anew before the last has ended, also when the leadership comes back meanwhile.
func Example_monitorLeadership() {
	servers, stop := start("a", "b")
	defer stop()
	a, b := servers[0], servers[1]
	a.elect()
	begun, slow := make(chan struct{}, 2), make(chan struct{})

	var monitor sync.WaitGroup
	monitor.Go(func() {
		terms := 0
		check(a.elector.Lead(context.Background(), func(ctx context.Context, t tenure.Term) error {
			terms++
			fmt.Println("establish", terms)
			begun <- struct{}{}
			if terms == 2 {
				return nil
			}
			<-ctx.Done()
			<-slow
			fmt.Println("revoke", terms, "-", t.Cause())
			return nil
		}))
	})
	<-begun
	b.elect()
	a.follows(b)
	a.elect()
	close(slow)
	monitor.Wait()
	// Output:
	// establish 1
	// revoke 1 - tenure: leadership lost: raft has stepped down
	// establish 2
}

func TestNotifyChBlocksRaftAndAWatchDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr, net := raft.NewInmemTransport("")
		notify := make(chan bool)
		conf := config("a")
		conf.NotifyCh = notify
		store, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		check(raft.BootstrapCluster(conf, store, store, snapshots, net, raft.Configuration{Servers: []raft.Server{{ID: "a", Address: addr}}}))
		r, err := raft.NewRaft(conf, fsm{}, store, store, snapshots, net)
		check(err)
		time.Sleep(time.Minute) // virtual: raft is elected, and waits
		if err := r.Barrier(time.Minute).Error(); !errors.Is(err, raft.ErrEnqueueTimeout) {
			t.Errorf("a barrier before anybody has read: %v", err)
		}
		<-notify
		if err := r.Barrier(time.Minute).Error(); err != nil {
			t.Errorf("and after: %v", err)
		}
		check(r.Shutdown().Error())
	})
}

func TestAnObserverHasNoPresentStateAndDropsWhatItHasNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, stop := start("a", "b")
		defer stop()
		a, b := servers[0], servers[1]
		a.elect()
		seen := make(chan raft.Observation, 1)
		o := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
			_, ok := o.Data.(raft.LeaderObservation)
			return ok
		})
		a.raft.RegisterObserver(o)
		defer a.raft.DeregisterObserver(o)
		time.Sleep(time.Minute) // virtual
		if len(seen) != 0 {
			t.Error("an observer is told who leads")
		}
		b.elect()
		a.follows(b)
		synctest.Wait()
		if first := (<-seen).Data.(raft.LeaderObservation); first.LeaderID != "" || o.GetNumDropped() == 0 {
			t.Errorf("the first of two is %q, dropped %d, want that nobody leads, and the other", first.LeaderID, o.GetNumDropped())
		}

		full := make(chan raft.Observation)
		blocking := raft.NewObserver(full, true, nil)
		b.raft.RegisterObserver(blocking)
		shutdown := make(chan struct{})
		go func() {
			check(b.raft.Shutdown().Error())
			close(shutdown)
		}()
		time.Sleep(time.Minute) // virtual
		select {
		case <-shutdown:
			t.Error("a blocking observer does not block")
		case <-full:
			for ended := false; !ended; {
				select {
				case <-full:
				case <-shutdown:
					ended = true
				}
			}
		}
	})
}

func TestStateAndLeaderChangeOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, stop := start("a", "b")
		defer stop()
		a, b := servers[0], servers[1]
		var mu sync.Mutex
		var seen []string
		o := raft.NewObserver(nil, false, func(o *raft.Observation) bool {
			mu.Lock()
			defer mu.Unlock()
			_, leader := a.raft.LeaderWithID()
			switch data := o.Data.(type) {
			case raft.RaftState:
				seen = append(seen, fmt.Sprintf("state %v, leader %q", data, leader))
			case raft.LeaderObservation:
				seen = append(seen, fmt.Sprintf("leader %q, state %v", leader, a.raft.State()))
			}
			return false
		})
		a.raft.RegisterObserver(o)
		defer a.raft.DeregisterObserver(o)
		a.elect()
		b.elect()
		a.follows(b)
		synctest.Wait() // raft tells its observers one after the other, and this one perhaps last
		mu.Lock()
		defer mu.Unlock()
		want := []string{
			`state Candidate, leader ""`,
			`state Leader, leader ""`,
			`leader "a", state Leader`,
			`leader "", state Leader`,
			`state Follower, leader ""`,
			`leader "b", state Follower`,
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestARaftThatIsShutDownMaySayThatItLeads(t *testing.T) {
	t.Parallel()
	addr, net := raft.NewInmemTransport("")
	reached, goOn := make(chan struct{}), make(chan struct{})
	conf := config("a")
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	conf.Logger = hclog.New(&hclog.LoggerOptions{Output: at{"election won", sync.OnceFunc(func() {
		close(reached)
		<-goOn
	})}})
	store, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	check(raft.BootstrapCluster(conf, store, store, snapshots, net, raft.Configuration{Servers: []raft.Server{{ID: "a", Address: addr}}}))
	r, err := raft.NewRaft(conf, fsm{}, store, store, snapshots, net)
	check(err)
	<-reached
	ended := r.Shutdown()
	close(goOn)
	check(ended.Error())
	if s := r.State(); s != raft.Leader {
		t.Errorf("after its shutdown the state of raft is %v: this has been mended, and docs/coming-from.md is to say so", s)
	}
}

// at calls a function when a line is logged.
type at struct {
	line string
	call func()
}

func (a at) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(a.line)) {
		a.call()
	}
	return len(p), nil
}

func TestVerifyLeaderCountsServersWithoutAVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, stop := start("a", "b", "c", "nonvoter")
		defer stop()
		a := servers[0]
		a.elect()
		check(a.raft.DemoteVoter("nonvoter", 0, 0).Error())
		term, err := a.elector.Campaign(t.Context())
		check(err)
		cut(a, servers[1:3]...)
		if err := a.raft.VerifyLeader().Error(); err != nil {
			t.Errorf("raft's: %v: this has been mended, and docs/coming-from.md is to say so", err)
		}
		if err := term.Verify(t.Context()); !errors.Is(err, tenure.ErrLost) {
			t.Errorf("Verify: %v, want %v", err, tenure.ErrLost)
		}
	})
}

func TestVerifyLeaderTakesAnswersToWhatWasSentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, stop := start("a", "b")
		defer stop()
		a, b := servers[0], servers[1]
		a.elect()
		term, err := a.elector.Campaign(t.Context())
		check(err)
		held := make(chan struct{})
		a.late.Store(&held)
		time.Sleep(time.Second) // virtual: b has answered a heartbeat, and a does not know it yet
		cut(a, b)
		verified, ours := a.raft.VerifyLeader(), make(chan error, 1)
		go func() { ours <- term.Verify(t.Context()) }()
		synctest.Wait()
		a.late.Store(nil)
		close(held)
		if err := verified.Error(); err != nil {
			t.Errorf("raft's: %v: this has been mended, and docs/coming-from.md is to say so", err)
		}
		if err := <-ours; !errors.Is(err, tenure.ErrLost) {
			t.Errorf("Verify: %v, want %v", err, tenure.ErrLost)
		}
	})
}

func TestRaftTermsRiseWithoutAnElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers, stop := start("a", "b", "c")
		defer stop()
		a := servers[0]
		cut(a, servers[1:]...)
		before := a.raft.CurrentTerm()
		check(a.transfer())
		synctest.Wait()
		if after, leader := a.raft.CurrentTerm(), a.elector.Now().Leader; after == before || leader != "" {
			t.Errorf("term %d, then %d, leader %q", before, after, leader)
		}
	})
}

// raftNames are those of the page. That they exist is for the compiler to say.
var raftNames = map[string]any{
	"Raft.LeaderCh":                   (*raft.Raft).LeaderCh,
	"Config.NotifyCh":                 raft.Config{}.NotifyCh,
	"Raft.RegisterObserver":           (*raft.Raft).RegisterObserver,
	"Raft.DeregisterObserver":         (*raft.Raft).DeregisterObserver,
	"NewObserver":                     raft.NewObserver,
	"Observer":                        raft.Observer{},
	"FilterFn":                        raft.FilterFn(nil),
	"Observer.GetNumObserved":         (*raft.Observer).GetNumObserved,
	"Observer.GetNumDropped":          (*raft.Observer).GetNumDropped,
	"Observation":                     raft.Observation{},
	"LeaderObservation":               raft.LeaderObservation{},
	"RaftState":                       raft.RaftState(0),
	"RequestVoteRequest":              raft.RequestVoteRequest{},
	"PeerObservation":                 raft.PeerObservation{},
	"FailedHeartbeatObservation":      raft.FailedHeartbeatObservation{},
	"ResumedHeartbeatObservation":     raft.ResumedHeartbeatObservation{},
	"Raft.State":                      (*raft.Raft).State,
	"Raft.Leader":                     (*raft.Raft).Leader,
	"Raft.LeaderWithID":               (*raft.Raft).LeaderWithID,
	"Raft.CurrentTerm":                (*raft.Raft).CurrentTerm,
	"Raft.VerifyLeader":               (*raft.Raft).VerifyLeader,
	"Raft.Barrier":                    (*raft.Raft).Barrier,
	"Raft.Apply":                      (*raft.Raft).Apply,
	"Raft.LeadershipTransfer":         (*raft.Raft).LeadershipTransfer,
	"Raft.LeadershipTransferToServer": (*raft.Raft).LeadershipTransferToServer,
	"Raft.LastContact":                (*raft.Raft).LastContact,
	"Raft.Shutdown":                   (*raft.Raft).Shutdown,
	"Config.LeaderLeaseTimeout":       raft.Config{}.LeaderLeaseTimeout,
	"ErrNotLeader":                    raft.ErrNotLeader,
	"ErrLeadershipLost":               raft.ErrLeadershipLost,
	"ErrLeadershipTransferInProgress": raft.ErrLeadershipTransferInProgress,
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

func TestPageHasTheNamesOfRaft(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, within := map[string]bool{}, false
	for line := range strings.Lines(string(page)) {
		switch {
		case strings.HasPrefix(line, "| hashicorp/raft |"):
			within = true
		case !strings.HasPrefix(line, "|"):
			within = false
		case within:
			first, _, _ := strings.Cut(line[1:], "|")
			for _, m := range codeSpan.FindAllStringSubmatch(first, -1) {
				rows[m[1]] = true
			}
		}
	}
	if want, got := slices.Sorted(maps.Keys(raftNames)), slices.Sorted(maps.Keys(rows)); !slices.Equal(want, got) {
		t.Errorf("the page has rows for\n%q, want\n%q", got, want)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`github.com/hashicorp/raft (\S+)`).FindSubmatch(mod)
	if version == nil || !bytes.Contains(page, append([]byte("`github.com/hashicorp/raft`, as of "), version[1]...)) {
		t.Errorf("the page does not name raft's version %q", version)
	}
}
