package sqlitestore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/operatetest"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

func TestOperatingOnElections(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	err := operatetest.Run(t.Context(), func() store.Store {
		s, err := Open(context.WithoutCancel(t.Context()), string(f), Options{})
		if err != nil {
			t.Error(err)
			panic(err) // there is no arena without a store
		}
		return s
	}, 2*time.Second)
	if err != nil {
		t.Error(err)
	}
}

const hungTTL = 2 * time.Second

// childLead leads an election with a function that never returns. It prints when, by
// the clock of the host, it held its term. Deaf: its watches tell it nothing.
func childLead(ctx context.Context, s *Store, lines <-chan string) error {
	id := <-lines
	st := faultstore.New(s)
	if id == "deaf" {
		st.Inject(faultstore.Fault{Kind: faultstore.Stall})
	}
	m, err := tenure.Join(ctx, st, tenure.Options{ID: id, TTL: hungTTL})
	if err != nil {
		return err
	}
	fmt.Println("joined")
	return m.Lead(ctx, "x", func(_ context.Context, term tenure.Term) error {
		fmt.Println("elected", term.Token())
		for term.Held() {
			fmt.Println("held", int64(s.clock.now()))
			time.Sleep(time.Millisecond) // the pace of looking
		}
		fmt.Println("lost", term.Cause())
		select {} // whatever becomes of its term
	}, tenure.LeadOptions{})
}

// childDepose deposes the leader of an election. It says so between its read and its
// write, and waits there for a moment.
func childDepose(ctx context.Context, s *Store, _ <-chan string) error {
	st := faultstore.New(s)
	st.Inject(faultstore.Fault{
		Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: 50 * time.Millisecond,
		OnHit: func(faultstore.Call) { fmt.Println("has read") },
	})
	err := tenure.NewView(st, "x").Depose(ctx, 0, tenure.Reason{By: "a test"})
	fmt.Println("deposed", int64(s.clock.now()), err)
	return err
}

// expect returns what follows a word in the next line that begins with it.
func (p *process) expect(word string) string {
	p.t.Helper()
	for p.out.Scan() {
		if rest, ok := strings.CutPrefix(p.out.Text(), word); ok {
			return strings.TrimSpace(rest)
		}
	}
	p.t.Fatalf("a process ended before it was %q", word)
	return ""
}

// late is how late a process may be on a host that does other things as well.
const late = 3 * time.Second

// moment is the time in the line that the process has said last.
func (p *process) moment() time.Duration {
	p.t.Helper()
	fields := strings.Fields(p.out.Text())
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(n)
}

// holds reads all that a leader says, and sends when it held its term last.
func (p *process) holds() <-chan time.Duration {
	last := make(chan time.Duration, 1)
	go func() {
		held := time.Duration(0)
		for p.out.Scan() && strings.HasPrefix(p.out.Text(), "held") {
			if n, err := strconv.ParseInt(strings.Fields(p.out.Text())[1], 10, 64); err == nil {
				held = time.Duration(n)
			}
		}
		last <- held
	}()
	return last
}
