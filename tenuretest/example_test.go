package tenuretest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// In real time, with a short TTL: the leader crashes, and the other one leads.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := tenuretest.NewArena()
	leads := make(chan string, 2)
	for _, id := range []string{"one", "two"} {
		n, err := a.Join(ctx, tenure.Options{ID: id, TTL: 300 * time.Millisecond})
		if err != nil {
			fmt.Println(err)
			return
		}
		work := func(ctx context.Context, term tenure.Term) error {
			if term.Held() && len(leads) == 0 {
				leads <- n.ID()
				n.Crash()
			}
			<-ctx.Done()
			return ctx.Err()
		}
		go func() { _ = n.Lead(ctx, "scheduler", work, tenure.LeadOptions{}) }()
	}

	first, second := <-leads, <-leads
	fmt.Println("another leads:", first != second)

	cancel()
	if err := a.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("violations:", a.Check(tenuretest.Expect{Finished: true}))
	// Output:
	// another leads: true
	// violations: <nil>
}

// What two processes have logged is checked, and explained.
func ExampleHistory() {
	h := tenuretest.NewHistory()
	start := time.Now()
	for _, held := range []struct {
		member   string
		token    tenure.Token
		from, to time.Duration
	}{
		{"a", 5, 0, 8 * time.Second},
		{"b", 9, 7 * time.Second, 12 * time.Second},
	} {
		for _, d := range []time.Duration{held.from, held.to} {
			h.Record(tenuretest.Event{
				At: start.Add(d), Kind: tenuretest.Held, Member: held.member, Election: "nightly", Token: held.token,
			})
		}
	}
	fmt.Println(h.Check(tenuretest.Expect{}))
	// Output:
	// one holder: b (token 9) held nightly at +7.000s, while a (token 5) held it from +0.000s to +8.000s
	//
	// terms:
	//   nightly, token 5: a, held +0.000s to +8.000s
	//   nightly, token 9: b, held +7.000s to +12.000s
	//
	// *       +0.000s  a  holds nightly, token 5
	// >       +7.000s  b  holds nightly, token 9
	// *       +8.000s  a  holds nightly, token 5
	// *      +12.000s  b  holds nightly, token 9
}

// A picture of a violation, for whoever has to find out.
func ExampleViolation() {
	h := tenuretest.NewHistory()
	h.Record(tenuretest.Event{Kind: tenuretest.Wrote, Member: "b", Election: "x", Token: 9, Revision: 10})
	h.Record(tenuretest.Event{Kind: tenuretest.Wrote, Member: "a", Election: "x", Token: 5, Revision: 11})

	err := h.Check(tenuretest.Expect{})
	if v := (*tenuretest.Violation)(nil); errors.As(err, &v) {
		fmt.Println(v.Rule)
		fmt.Println(v.Text)
		f, err := os.CreateTemp("", "violation-*.html")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(h.WriteHTML(f, v))
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	// Output:
	// fenced writes
	// a wrote in x with token 5, at revision 11, after b had with token 9
	// <nil>
}

// What is asked of an election in the end: that somebody leads it again within a
// bound, or that every term has ended.
func ExampleExpect() {
	h := tenuretest.NewHistory()
	start := time.Now()
	record := func(after time.Duration, kind tenuretest.Kind, member string) {
		h.Record(tenuretest.Event{At: start.Add(after), Kind: kind, Member: member, Election: "x"})
	}
	record(0, tenuretest.Wanted, "a")
	record(time.Second, tenuretest.FaultsOver, "")
	record(time.Minute, tenuretest.Note, "")
	err := h.Check(tenuretest.Expect{Progress: 20 * time.Second})
	text, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Println(text)
	// Output: progress resumes: nobody led x for 20s after all faults were over at +1.000s, and a wanted to
}

// A leader that is cut off from the store steps down by its own clock.
func ExampleNode() {
	ctx := context.Background()
	a := tenuretest.NewArena()
	defer a.Close()
	n, err := a.Join(ctx, tenure.Options{ID: "a", TTL: 400 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	term, err := n.Campaign(ctx, "x", tenure.CampaignOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("write:", n.Write(ctx, term, "key"))
	heal := n.Partition()
	<-term.Context().Done()
	heal()
	fmt.Println("lost:", errors.Is(term.Cause(), tenure.ErrLost))
	fmt.Println("partitions that have met a leader:", a.Hits()["partition"])
	// Output:
	// write: <nil>
	// lost: true
	// partitions that have met a leader: 1
}

// A program that makes its own member is given a way to the store that can go
// wrong, and says itself which term is to be watched.
func ExampleLink() {
	a := tenuretest.NewArena()
	defer a.Close()
	link := a.Link("a")
	slow := link.Delay(time.Millisecond)
	err := tenure.Lead(context.Background(), link.Store(), "x", func(ctx context.Context, term tenure.Term) error {
		link.Track("x", term)
		return nil
	})
	slow()
	fmt.Println(err, a.Check(tenuretest.Expect{}))
	// Output: <nil> <nil>
}

func ExampleObserver() {
	ctx := context.Background()
	a := tenuretest.NewArena()
	defer a.Close()
	n, err := a.Join(ctx, tenure.Options{ID: "a"})
	if err != nil {
		fmt.Println(err)
		return
	}
	seen := make(chan tenure.Event)
	eve := a.Observe("eve", "x", func(ev tenure.Event) { seen <- ev })
	fmt.Println((<-seen).Kind)
	if _, err := n.Campaign(ctx, "x", tenure.CampaignOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println((<-seen).Leader.Member)
	eve.Stop()
	// Output:
	// vacant
	// a
}

// A store that is broken in a way of its own.
func ExampleArenaOptions() {
	a := tenuretest.NewArenaWith(tenuretest.ArenaOptions{
		Wrap: func(st store.Store) store.Store { return mute{st} },
	})
	defer a.Close()
	_, err := a.Join(context.Background(), tenure.Options{ID: "a"})
	fmt.Println(err)
	// Output: join: store: unavailable
}

// mute grants no leases.
type mute struct{ store.Store }

func (mute) Grant(context.Context, time.Duration) (store.Lease, error) {
	return store.Lease{}, store.ErrUnavailable
}
