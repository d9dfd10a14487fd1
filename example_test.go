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

// The commonest use: do something in one process at a time. A real program opens
// a store that others see too.
func Example_lead() {
	st := memstore.New()
	defer st.Close()

	err := tenure.Lead(context.Background(), st, "nightly", func(ctx context.Context, t tenure.Term) error {
		fmt.Println("leading:", t.Held(), ctx.Err())
		return nil // the seat goes to the next candidate
	})
	fmt.Println("done:", err)
	// Output:
	// leading: true <nil>
	// done: <nil>
}

func ExampleMember_Campaign() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	term, err := m.Campaign(ctx, "shard-7", tenure.CampaignOptions{Priority: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(term.Member(), "leads", term.Election(), term.Held())
	if err := term.Resign(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(term.Held(), term.Cause())
	// Output:
	// a leads shard-7 true
	// false tenure: resigned
}

// When a function's term ends, its context does, and says why.
func ExampleMember_Lead() {
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	ctx, stop := context.WithCancelCause(context.Background())
	err = m.Lead(ctx, "shard-7", func(ctx context.Context, _ tenure.Term) error {
		stop(errors.New("told to stop"))
		<-ctx.Done()
		return context.Cause(ctx)
	}, tenure.LeadOptions{DrainTimeout: 5 * time.Second})
	fmt.Println(err)
	// Output: told to stop
}

// A seat that goes round: whoever has done his share queues again.
func ExampleMember_Lead_requeue() {
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(context.Background(), st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	shares := 0
	var last tenure.Token
	err = m.Lead(context.Background(), "batch", func(_ context.Context, term tenure.Term) error {
		if shares++; shares == 3 {
			return errors.New("nothing left to do")
		}
		fmt.Println("share", shares, "by a new term:", term.Token() > last)
		last = term.Token()
		return nil // to the next in line, or to itself
	}, tenure.LeadOptions{Requeue: true})
	fmt.Println(err)
	// Output:
	// share 1 by a new term: true
	// share 2 by a new term: true
	// nothing left to do
}

// A write through a term takes effect only while the term is current.
func ExampleLeadership_Commit() {
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

	tx := store.Tx{Then: []store.Op{store.Put("position", []byte("42"), store.NoLease)}}
	res, err := term.Commit(ctx, tx)
	fmt.Println(res.Committed, err)

	l, err := tenure.Data(st).List(ctx, store.Keys("position"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", l.Entries[0].Value)

	_ = term.Resign(ctx)
	_, err = term.Commit(ctx, tx)
	fmt.Println(err)
	// Output:
	// true <nil>
	// 42
	// commit "jobs": tenure: resigned
}

// A guard goes into a transaction of your own against the same store.
func ExampleLeadership_Guard() {
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

	guard := term.Guard()
	for range 2 {
		res, err := st.Commit(ctx, store.Tx{
			If:   []store.Cond{guard.Cond()},
			Then: []store.Op{store.Put("anywhere", []byte("else"), store.NoLease)},
		})
		fmt.Println(guard.Key, res.Committed, err)
		_ = term.Resign(ctx)
	}
	// Output:
	// leaders/jobs true <nil>
	// leaders/jobs false <nil>
}

func ExampleView_Observe() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", Endpoint: "10.0.0.1:80"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	var term *tenure.Leadership
	for ev, err := range tenure.NewView(st, "jobs").Observe(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case ev.Kind == tenure.Elected:
			fmt.Println(ev.Leader.Member, "leads at", ev.Leader.Endpoint)
			_ = term.Resign(ctx)
		case term == nil:
			fmt.Println("nobody leads yet")
			if term, err = m.Campaign(ctx, "jobs", tenure.CampaignOptions{}); err != nil {
				log.Fatal(err)
			}
		default:
			fmt.Println("nobody leads any more")
			return
		}
	}
	// Output:
	// nobody leads yet
	// a leads at 10.0.0.1:80
	// nobody leads any more
}

func ExampleView_Status() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{Priority: 3}); err != nil {
		log.Fatal(err)
	}

	s, err := tenure.NewView(st, "jobs").Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Election, "is led by", s.Leader.Member)
	for _, c := range s.Candidates {
		fmt.Println(c.Member, c.State, c.Priority)
	}
	// Output:
	// jobs is led by a
	// a leading 3
}

func ExampleSurvey() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, name := range []string{"shard/1", "shard/2"} {
		if _, err := m.Campaign(ctx, name, tenure.CampaignOptions{}); err != nil {
			log.Fatal(err)
		}
	}

	all, err := tenure.Survey(ctx, st)
	for _, s := range all {
		fmt.Println(s.Election, s.Leader.Member)
	}
	fmt.Println(err)
	// Output:
	// shard/1 a
	// shard/2 a
	// <nil>
}

// A Trace is told of everything that happens to a member, apart from it all.
func ExampleTrace() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", Trace: &tenure.Trace{
		Elected: func(t tenure.TermInfo) { fmt.Println(t.Member, "leads", t.Election) },
		Ended:   func(t tenure.TermInfo, cause error) { fmt.Println(t.Election, "ended:", cause) },
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Campaign(ctx, "jobs", tenure.CampaignOptions{}); err != nil {
		log.Fatal(err)
	}
	if err := m.Close(); err != nil { // it returns when all has been told
		log.Fatal(err)
	}
	// Output:
	// a leads jobs
	// jobs ended: tenure: member closed
}
