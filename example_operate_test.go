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

// exampleMember joins with a TTL at which examples are quick. It ends with the program.
func exampleMember(st store.Store, id string) *tenure.Member {
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: id, TTL: 200 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	return m
}

// A leader hangs: its process renews its session, and does nothing else. An operator
// forces an election, of the leader that he has seen.
func ExampleView_Depose() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	a, b := exampleMember(st, "a"), exampleMember(st, "b")
	hung := make(chan struct{})
	defer a.Close()
	defer b.Close()
	defer close(hung) // which lets a be closed
	go func() {
		_ = a.Lead(ctx, "shard-7", func(context.Context, tenure.Term) error { // until a is closed
			<-hung
			return nil
		}, tenure.LeadOptions{})
	}()
	view := tenure.NewView(st, "shard-7")
	leader, err := view.Wait(ctx, 0)
	if err != nil {
		log.Fatal(err)
	}
	go func() { _, _ = b.Campaign(ctx, "shard-7", tenure.CampaignOptions{}) }() // until b is closed

	if err := view.Depose(ctx, leader.Token, tenure.Reason{By: "eve", Why: "it hangs"}); err != nil {
		log.Fatal(err)
	}
	next, err := view.Wait(ctx, leader.Token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(next.Member, "leads")
	// Output: b leads
}

// The seat goes to a named member, once the leader's function has returned. The one who
// led stays a candidate.
func ExampleView_Transfer() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	view := tenure.NewView(st, "shard-7")
	for _, id := range []string{"a", "b"} {
		m := exampleMember(st, id)
		defer m.Close()
		go func() {
			_ = m.Lead(ctx, "shard-7", func(ctx context.Context, t tenure.Term) error { // until m is closed
				<-ctx.Done()
				return nil
			}, tenure.LeadOptions{})
		}()
		if _, err := view.Wait(ctx, 0); err != nil { // a leads
			log.Fatal(err)
		}
	}
	next, err := view.Transfer(ctx, 0, "b", tenure.Reason{By: "eve"})
	for errors.Is(err, tenure.ErrNotCandidate) { // b has not enrolled yet
		next, err = view.Transfer(ctx, 0, "b", tenure.Reason{By: "eve"})
	}
	fmt.Println(next.Member, "leads", err)
	// Output: b leads <nil>
}

// Before its host is taken down, a member gives up its seats, and takes none.
func ExampleDrain() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m := exampleMember(st, "a")
	defer m.Close()
	l, err := m.Campaign(ctx, "shard-7", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := tenure.Drain(ctx, st, "a", tenure.Reason{By: "eve", Why: "a new kernel"}); err != nil {
		log.Fatal(err)
	}
	<-l.Context().Done()
	fmt.Println(l.Cause())
	fmt.Println(l.Resign(ctx)) // nobody works under it any more
	fmt.Println(tenure.Undrain(ctx, st, "a"))
	// Output:
	// tenure: member drained by eve: a new kernel
	// <nil>
	// <nil>
}

// primaries lets a member lead only beside the primary of a database.
type primaries struct{ changed chan struct{} }

func (primaries) ShouldCampaign(self tenure.Identity) tenure.Verdict {
	if self.Endpoint == "host-1" { // a real one asks who is the primary now
		return tenure.Yes
	}
	return tenure.No
}

func (p primaries) IsValidLeader(leader tenure.Identity) tenure.Verdict {
	return p.ShouldCampaign(leader)
}

func (p primaries) Changed() <-chan struct{} { return p.changed }

func ExamplePolicy() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st := memstore.New()
	defer st.Close()
	for _, host := range []string{"host-1", "host-2"} {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: "on " + host, Endpoint: host})
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		go func() {
			_, _ = m.Campaign(ctx, "sidecar", tenure.CampaignOptions{Policy: primaries{}}) // or ctx has ended
		}()
	}
	leader, err := tenure.NewView(st, "sidecar").Wait(ctx, 0)
	fmt.Println(leader.Member, err)
	// Output: on host-1 <nil>
}

// A leader whose disk hangs goes on to renew. A health check finds out, and hands the
// seat over.
func ExampleCampaignOptions_health() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m := exampleMember(st, "a")
	defer m.Close()
	sick := make(chan struct{})
	l, err := m.Campaign(ctx, "shard-7", tenure.CampaignOptions{Health: func(ctx context.Context) error {
		select {
		case <-sick:
			return errors.New("the disk hangs")
		default:
			return nil
		}
	}})
	if err != nil {
		log.Fatal(err)
	}
	close(sick)
	<-l.Context().Done()
	fmt.Println(l.Cause())
	// Output: tenure: unhealthy: the disk hangs
}

// What a leader announces goes with its term.
func ExampleLeadership_Announce() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m := exampleMember(st, "a")
	defer m.Close()
	l, err := m.Campaign(ctx, "shard-7", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := l.Announce(ctx, []byte("rows 1 to 100")); err != nil {
		log.Fatal(err)
	}
	view := tenure.NewView(st, "shard-7")
	a, ok, err := view.Announcement(ctx)
	fmt.Printf("%s: %s %v %v\n", a.Member, a.Data, ok, err)
	if err := l.Resign(ctx); err != nil {
		log.Fatal(err)
	}
	_, ok, err = view.Announcement(ctx)
	fmt.Println(ok, err)
	// Output:
	// a: rows 1 to 100 true <nil>
	// false <nil>
}

// Who led, and why no longer. Members write that down where their options say so.
func ExampleView_History() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	for _, id := range []string{"a", "b"} {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: id, History: true})
		if err != nil {
			log.Fatal(err)
		}
		err = m.Lead(ctx, "shard-7", func(context.Context, tenure.Term) error { return nil }, tenure.LeadOptions{})
		if err := errors.Join(err, m.Close()); err != nil { // with which it is written
			log.Fatal(err)
		}
	}
	terms, err := tenure.NewView(st, "shard-7").History(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range terms {
		fmt.Println(t.Member, "led,", t.To.Sub(t.From) < time.Minute, t.Cause)
	}
	// Output:
	// a led, true tenure: resigned
	// b led, true tenure: resigned
}

// For programs that are built on callbacks.
func ExampleCallbacks() {
	ctx, cancel := context.WithCancel(context.Background())
	st := memstore.New()
	defer st.Close()
	m := exampleMember(st, "a")
	defer m.Close()
	err := tenure.Callbacks{
		Elected: func(_ context.Context, t tenure.Term) error {
			fmt.Println("elected:", t.Held())
			cancel()
			return nil
		},
		Lost: func(_ tenure.Term, cause error) { fmt.Println("lost:", cause) },
		BeforeRelease: func(ctx context.Context, _ tenure.Term) error {
			fmt.Println("before release:", ctx.Err())
			return nil
		},
	}.Run(ctx, m, "shard-7", tenure.LeadOptions{})
	fmt.Println(err)
	// Output:
	// elected: true
	// lost: context canceled
	// before release: <nil>
	// <nil>
}
