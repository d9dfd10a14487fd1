package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from HoraeMeta's member
// package.

// What LeaderWatcher.Watch does: campaign, lead, and campaign again, with callbacks,
// until the context ends.
func Example_watchWithCallbacks() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "meta-0", Endpoint: "10.0.0.1:8831", TTL: 10 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	terms := 0
	err = tenure.Callbacks{
		Elected: func(ctx context.Context, t tenure.Term) error { // AfterElected
			if terms++; terms == 1 {
				return errors.New("the cluster's manager does not start")
			}
			fmt.Println("leading, held:", t.Held(), ctx.Err())
			stop()
			return nil
		},
		BeforeRelease: func(ctx context.Context, t tenure.Term) error { // BeforeTransfer
			fmt.Println("before transfer:", ctx.Err(), "lost:", errors.Is(t.Cause(), tenure.ErrLost))
			return nil
		},
	}.Run(ctx, m, "meta", tenure.LeadOptions{})
	fmt.Println(err, "after", terms, "terms")
	// Output:
	// before transfer: <nil> lost: false
	// leading, held: true <nil>
	// before transfer: <nil> lost: false
	// <nil> after 2 terms
}

// Who leads, from memory, where to find him, and whether it is this process: whether
// it is its session that has the seat.
func Example_leaderAddress() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "meta-0", Endpoint: "10.0.0.1:8831"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	session, err := m.Session(ctx)
	if err != nil {
		log.Fatal(err)
	}

	view := tenure.NewView(st, "meta")
	changes := make(chan tenure.EventKind)
	go func() {
		for ev, err := range view.Observe(ctx) { // keeps what view.Leader says up to date
			if err != nil {
				return
			}
			changes <- ev.Kind
		}
	}()
	show := func() {
		fmt.Print(<-changes, ": ")
		leader, ok := view.Leader()
		fmt.Printf("%v %q, local: %v\n", ok, leader.Endpoint, ok && leader.Session == session.ID())
	}
	show()
	term, err := m.Campaign(ctx, "meta", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	show()
	_ = term.Resign(ctx)
	show()
	// Output:
	// vacant: false "", local: false
	// elected: true "10.0.0.1:8831", local: true
	// vacant: false "", local: false
}

// To wait for the next leader, whoever it is: after the one that one knows of.
func Example_waitForAnotherLeader() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	var terms []*tenure.Leadership
	for _, id := range []string{"meta-0", "meta-1"} {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: id})
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		if len(terms) > 0 {
			go func() { _ = terms[0].Resign(ctx) }()
		}
		term, err := m.Campaign(ctx, "meta", tenure.CampaignOptions{})
		if err != nil {
			log.Fatal(err)
		}
		terms = append(terms, term)
	}

	leader, err := tenure.NewView(st, "meta").Wait(ctx, terms[0].Token())
	fmt.Println(leader.Member, err)
	// Output: meta-1 <nil>
}

// Only the leader that was seen is deposed: not the one who has been elected since.
func Example_resetOfTheLeaderSeen() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "meta-0"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	view := tenure.NewView(st, "meta")
	campaign := func() (*tenure.Leadership, tenure.Leader) {
		term, err := m.Campaign(ctx, "meta", tenure.CampaignOptions{})
		if err != nil {
			log.Fatal(err)
		}
		leader, _, err := view.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		return term, leader
	}

	first, seen := campaign()
	_ = first.Resign(ctx)
	second, _ := campaign()
	err = view.Depose(ctx, seen.Token, tenure.Reason{By: "meta-1", Why: "not where etcd's leader is"})
	fmt.Println(errors.Is(err, tenure.ErrChanged), second.Held())
	// Output: true true
}

// Errors say what failed, and errors.Is finds what the store has said.
func Example_errorsOfARead() {
	ctx := context.Background()
	st := memstore.New()
	view := tenure.NewView(st, "meta")
	_, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put("leaders/meta", []byte("rubbish"), store.NoLease)}})
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = view.Read(ctx)
	fmt.Println("invalid leader value:", errors.Is(err, tenure.ErrCorrupt))
	_ = st.Close()
	_, _, err = view.Read(ctx)
	fmt.Println("get leader:", err)
	// Output:
	// invalid leader value: true
	// get leader: read "meta": store: closed
}

// horaeMetaVersion is the commit of apache/incubator-horaedb-meta: its member package
// was never in a release of its own.
const horaeMetaVersion = "3c6b5ab"

var horaeMetaNames = []string{
	"ErrResetLeader", "ErrGetLeader", "ErrTxnPutLeader", "ErrMultipleLeader", "ErrInvalidLeaderValue",
	"ErrMarshalMember", "ErrGrantLease", "ErrRevokeLease", "ErrCloseLease", "GetLeaderAddrResp",
	"GetLeaderAddrResp.LeaderEndpoint", "GetLeaderAddrResp.IsLocal", "LeaderWatcher", "NewLeaderWatcher",
	"LeaderWatcher.Watch", "LeadershipChecker", "LeadershipChecker.ShouldCampaign",
	"LeadershipChecker.IsValidLeader", "LeadershipEventCallbacks", "LeadershipEventCallbacks.AfterElected",
	"LeadershipEventCallbacks.BeforeTransfer", "Member", "Member.ID", "Member.Name", "Member.Endpoint",
	"Member.CampaignAndKeepLeader", "Member.GetLeaderAddr", "Member.Marshal", "Member.ResetLeader",
	"Member.WaitForLeaderChange", "WatchContext", "WatchContext.ShouldStop", "WatchContext.EtcdLeaderID",
}
