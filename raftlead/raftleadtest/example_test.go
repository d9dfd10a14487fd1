package raftleadtest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead/raftleadtest"
)

// threeServers starts a cluster of "0", "1" and "2".
func threeServers() *raftleadtest.Cluster {
	c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{FSM: journals})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// A Tracker follows the servers of any raft cluster, by their Electors or Watches.
func ExampleTracker() {
	ctx := context.Background()
	c := threeServers()
	defer c.Close()
	tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{})
	defer tracker.Close()
	for _, id := range c.IDs() {
		if err := tracker.Track(id, c.Server(id).Elector()); err != nil {
			log.Fatal(err)
		}
	}

	expected, err := tracker.Expect("1", 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Elect(ctx, "1"); err != nil {
		log.Fatal(err)
	}
	leadership, err := expected.Done(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(leadership.Server(), "leads, cause:", leadership.Cause())

	if err := c.Depose(ctx); err != nil {
		log.Fatal(err)
	}
	<-leadership.Lost()
	fmt.Println("lost:", errors.Is(leadership.Cause(), tenure.ErrLost))
	fmt.Println("violations:", tracker.Err())
	// Output:
	// 1 leads, cause: <nil>
	// lost: true
	// violations: <nil>
}

// A source that tells what no raft does shows what a Tracker watches over. With Strict
// also a leadership that nobody expects is a violation.
func ExampleTracker_Err() {
	tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{Strict: true})
	defer tracker.Close()
	a, b := make(script), make(script)
	if err := errors.Join(tracker.Track("a", a), tracker.Track("b", b)); err != nil {
		log.Fatal(err)
	}
	a <- leads(5)
	close(a)
	<-tracker.Ended("a")
	b <- leads(5)
	close(b)
	<-tracker.Ended("b")
	fmt.Println(tracker.Err())
	// Output:
	// server "a": raftleadtest: unexpected leadership: it leads in term 5
	// server "b": raftleadtest: two leaders in one term, the other is "a": it leads in term 5
	// server "b": raftleadtest: unexpected leadership: it leads in term 5
}

// A source may be there before its server is, and a server that is tracked twice
// is an error, not a panic.
func ExampleTracker_Track() {
	tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{})
	defer tracker.Close()
	fmt.Println(tracker.Track("a", make(script)))
	fmt.Println(tracker.Track("a", make(script)))
	_, err := tracker.Expect("c", time.Second)
	fmt.Println(err)
	// Output:
	// <nil>
	// track "a": raftleadtest: tracked already; wait for its source to end
	// expect "c": raftleadtest: unknown server; call Track first
}

// The time counts from Expect. What was not in time may be expected again.
func ExampleFuture_Done() {
	ctx := context.Background()
	tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{Scale: 1})
	defer tracker.Close()
	a := make(script)
	if err := tracker.Track("a", a); err != nil {
		log.Fatal(err)
	}
	for _, timeout := range []time.Duration{time.Nanosecond, time.Minute} {
		expected, err := tracker.Expect("a", timeout)
		if err != nil {
			log.Fatal(err)
		}
		if timeout == time.Minute {
			a <- leads(2)
		}
		leadership, err := expected.Done(ctx)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(leadership.Server(), "leads in term", leadership.RaftTerm())
	}
	// Output:
	// server "a" was not elected within 1ns: raftleadtest: not in time
	// a leads in term 2
}

// What comes after Ignore is no violation. Close ends what is still there.
func ExampleTracker_Ignore() {
	ctx := context.Background()
	tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{Strict: true})
	a := make(script)
	if err := tracker.Track("a", a); err != nil {
		log.Fatal(err)
	}
	expected, err := tracker.Expect("a", time.Minute)
	if err != nil {
		log.Fatal(err)
	}
	tracker.Ignore()
	tracker.Ignore()
	_, err = expected.Done(ctx)
	fmt.Println(err)
	a <- leads(2)
	close(a)
	<-tracker.Ended("a")
	fmt.Println(tracker.Err(), tracker.Close(), tracker.Close())
	// Output:
	// expect "a": raftleadtest: elections are ignored
	// <nil> <nil> <nil>
}

// The test says who leads.
func ExampleCluster() {
	ctx := context.Background()
	c := threeServers()
	for _, id := range []raft.ServerID{"2", "0"} {
		if _, err := c.Elect(ctx, id); err != nil {
			log.Fatal(err)
		}
		if err := c.Leader().Raft().Apply([]byte("from-"+id), time.Second).Error(); err != nil {
			log.Fatal(err)
		}
		if id == "2" {
			fmt.Println("deposed:", c.Depose(ctx))
		}
	}
	fmt.Println("settled:", c.Settle(ctx))
	for _, id := range c.IDs() {
		fmt.Println(id, "has", c.Server(id).FSM())
	}
	fmt.Println("closed:", c.Close())
	// Output:
	// deposed: <nil>
	// settled: <nil>
	// 0 has from-2 from-0
	// 1 has from-2 from-0
	// 2 has from-2 from-0
	// closed: <nil>
}

// A leader is deposed when all others have a command, and it does not know that. Whoever
// is elected next commits the command, although its proposer was told that it is lost.
func ExampleCluster_Hold() {
	ctx := context.Background()
	c := threeServers()
	defer c.Close()
	if _, err := c.Elect(ctx, "0"); err != nil {
		log.Fatal(err)
	}
	hold, err := c.Hold(raftleadtest.Appended, 1)
	if err != nil {
		log.Fatal(err)
	}
	command := c.Leader().Raft().Apply([]byte("x"), time.Second)
	fmt.Println("appended:", hold.Wait(ctx))
	fmt.Println("deposed:", c.Depose(ctx))
	fmt.Println("proposer:", command.Error())

	if _, err := c.Elect(ctx, "1"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("settled:", c.Settle(ctx))
	fmt.Println("2 has", c.Server("2").FSM())
	// Output:
	// appended: <nil>
	// deposed: <nil>
	// proposer: leadership lost while committing log
	// settled: <nil>
	// 2 has x
}

// A server that was cut off for long gets a snapshot.
func ExampleCluster_Snapshot() {
	ctx := context.Background()
	c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{
		FSM:    journals,
		Config: func(_ raft.ServerID, conf *raft.Config) { conf.TrailingLogs = 1 },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Elect(ctx, "0"); err != nil {
		log.Fatal(err)
	}
	if err := c.Disconnect("2"); err != nil {
		log.Fatal(err)
	}
	for _, command := range []string{"a", "b", "c"} {
		if err := c.Leader().Raft().Apply([]byte(command), time.Second).Error(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("snapshot:", c.Snapshot(ctx, "0"))
	fmt.Println("connected:", c.Reconnect("2"))
	fmt.Println("settled:", c.Settle(ctx))
	fmt.Println("2 has", c.Server("2").FSM(), "after restores:", c.Server("2").Counts().Restores)
	// Output:
	// snapshot: <nil>
	// connected: <nil>
	// settled: <nil>
	// 2 has a b c after restores: 1
}
