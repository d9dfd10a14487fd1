package tenure_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// transfer asks for a transfer in the background.
func (w *world) transfer(st store.Store, token tenure.Token, to string) *transferring {
	tr := &transferring{done: make(chan struct{})}
	go func() {
		defer close(tr.done)
		tr.leader, tr.err = tenure.NewView(st, "x").Transfer(w.t.Context(), token, to, because)
	}()
	synctest.Wait()
	return tr
}

type transferring struct {
	done   chan struct{}
	leader tenure.Leader
	err    error
}

func TestTransferGoesToTheNamedMemberOnceTheLeaderHasDrained(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		d, release := a.hung("x")
		term := d.term()
		first, named := b.queue("x", 0), c.queue("x", 0)
		tr := w.transfer(w.st, 0, "c")
		if cause := term.Cause(); !errors.Is(cause, tenure.ErrTransferred) || !errors.Is(cause, tenure.ErrYielded) ||
			!strings.Contains(cause.Error(), "to c by eve: it hangs") {
			t.Errorf("cause %v", cause)
		}
		w.pass(3 * ttl) // its function takes its time
		named.waits()
		close(release)
		named.leads()
		<-tr.done
		if tr.err != nil || tr.leader.Member != "c" || tr.leader.Token != named.l.Token() {
			t.Errorf("Transfer: %+v, %v", tr.leader, tr.err)
		}
		first.waits()
		w.must(named.l.Resign(t.Context()))
		w.must(first.leads().Resign(t.Context()))
		d.term() // who gave the seat up has stayed a candidate
	})
}

// The watch of the line is behind the read that has seen the member in line.
func TestATransferGoesToAMemberThatTheWatchHasNotShownYet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.join("a"), w.join("b"), w.join("c")
		l := a.campaign("x")
		first := b.queue("x", 0)
		w.pass(3 * ttl) // a follows the line by now, and knows of b
		a.st.Inject(faultstore.Fault{Kind: faultstore.Stall, Match: func(c faultstore.Call) bool {
			return strings.HasPrefix(c.Prefix, "candidates/")
		}})
		named := c.queue("x", 0)
		w.must(l.TransferTo(t.Context(), "c"))
		w.must(named.leads().Resign(t.Context()))
		w.must(first.leads().Resign(t.Context()))
	})
}

func TestALeaderTransfersItsSeatItself(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := w.join("a").campaign("x")
		w.join("b").queue("x", 0)
		named := w.join("c").queue("x", 0)
		w.must(l.TransferTo(t.Context(), "c"))
		named.leads()
		if err := l.TransferTo(t.Context(), "b"); !errors.Is(err, tenure.ErrTransferred) {
			t.Errorf("of a term that has ended: %v", err)
		}
	})
}

func TestAMemberThatStandsBackMayBeNamedAndIsForgiven(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		a.flap("y", 8)
		if n := a.Flaps("y"); n != 8 {
			t.Fatalf("%d flaps", n)
		}
		waiting := w.join("b").queue("y", 0)
		term := waiting.leads()
		all, err := w.view("y").Candidates(t.Context())
		w.must(err)
		if all[1].Member != "a" || all[1].State != "aside" {
			t.Fatalf("candidates %+v", all)
		}
		w.must(term.TransferTo(t.Context(), "a"))
		if who := w.leader("y"); who != "a" {
			t.Errorf("%q leads", who)
		}
		synctest.Wait()
		if n := a.Flaps("y"); n != 0 {
			t.Errorf("%d flaps after a transfer", n)
		}
	})
}

// The transfer of tikv/pd is a marker beside the seat, which candidates read before
// they campaign. Nine things were found wrong with it (tikv/pd#11122, #11123, #10952,
// #10970, #10875). Here the leader seats the successor in one commit, and what asks it
// to is bound to its term.
func TestTransferHasNoneOfTheGapsOfPD(t *testing.T) {
	type scene struct {
		*world
		a, b, c *node
		l       *tenure.Leadership
		first   *queued // b, who is first in line
		named   *queued // c
	}
	for name, play := range map[string]func(*testing.T, *scene){
		"an order from before the leader changed moves nobody": func(t *testing.T, s *scene) {
			tr := s.transfer(s.slow(), 0, "c")
			s.must(s.l.Resign(t.Context())) // while the order is on its way
			next := s.first.leads()
			<-tr.done
			s.pass(ttl)
			if !errors.Is(tr.err, tenure.ErrChanged) || !next.Held() {
				t.Errorf("Transfer: %v; the next leader: %v", tr.err, next.Cause())
			}
		},
		"nobody who knew of no order gets in between": func(t *testing.T, s *scene) {
			// b takes a free seat at once, and there is never a free one.
			s.must(s.l.TransferTo(t.Context(), "c"))
			s.named.leads()
			s.first.waits()
		},
		"the newer of two orders is not lost": func(t *testing.T, s *scene) {
			first := s.transfer(s.st, 0, "b")
			s.must(s.l.Resign(t.Context())) // its user stops, as it is told
			<-first.done
			second := s.transfer(s.st, first.leader.Token, "c")
			s.must(s.first.l.Resign(t.Context()))
			<-second.done
			if first.leader.Member != "b" || second.err != nil || second.leader.Member != "c" {
				t.Errorf("%+v, then %+v (%v)", first, second.leader, second.err)
			}
		},
		"who cannot read the order does not take it for none": func(t *testing.T, s *scene) {
			s.a.st.Inject(faultstore.Fault{Kind: faultstore.Stall})
			heal := s.a.st.Inject(faultstore.Fault{Kind: faultstore.Partition, Ops: faultstore.OpList})
			s.transfer(s.st, 0, "c")
			s.pass(round)
			s.first.waits()
			s.named.waits()
			heal()
			s.pass(ttl) // a round shows it, and the user stops
			s.must(s.l.Resign(t.Context()))
			s.named.leads()
		},
		"an order whose write failed leaves nothing behind": func(t *testing.T, s *scene) {
			st := faultstore.New(s.st.Open())
			defer st.Close()
			st.Inject(faultstore.Fault{Kind: faultstore.Fail, Ops: faultstore.OpCommit})
			tr := s.transfer(st, 0, "c")
			<-tr.done
			if tr.err == nil || s.keys("control/") != nil {
				t.Errorf("Transfer: %v; left: %q", tr.err, s.keys("control/"))
			}
		},
		"a name that is part of another is another": func(t *testing.T, s *scene) {
			longer := s.join("cc").queue("x", 5)
			tr := s.transfer(s.st, 0, "c")
			s.must(s.l.Resign(t.Context()))
			<-tr.done
			s.named.leads()
			longer.waits()
		},
		"a transfer to the leader itself does nothing": func(t *testing.T, s *scene) {
			before := s.revision()
			tr := s.transfer(s.st, 0, "a")
			<-tr.done
			s.must(tr.err)
			s.must(s.l.TransferTo(t.Context(), "a"))
			if after := s.revision(); !s.l.Held() || after != before {
				t.Errorf("held %v, revision %d after %d", s.l.Held(), after, before)
			}
		},
		"an order for an older term of the same member is void": func(t *testing.T, s *scene) {
			old := s.l.Token()
			s.must(s.l.Resign(t.Context()))
			s.must(s.first.leads().Resign(t.Context()))
			s.must(s.named.leads().Resign(t.Context()))
			again := s.a.campaign("x")
			s.b.queue("x", 0)
			tr := s.transfer(s.st, old, "b")
			<-tr.done
			s.pass(ttl)
			if !errors.Is(tr.err, tenure.ErrChanged) || !again.Held() {
				t.Errorf("Transfer: %v; the leader: %v", tr.err, again.Cause())
			}
		},
		"when the named member has died the next in line leads": func(t *testing.T, s *scene) {
			tr := s.transfer(s.st, 0, "c")
			s.c.crash()
			s.pass(ttl + round) // while the leader drains
			s.must(s.l.Resign(t.Context()))
			<-tr.done
			s.first.leads()
			if !errors.Is(tr.err, tenure.ErrWentElsewhere) || tr.leader.Member != "b" {
				t.Errorf("Transfer: %+v, %v", tr.leader, tr.err)
			}
			if left := s.keys("control/"); left != nil {
				t.Errorf("left behind: %q", left)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				s := &scene{world: w, a: w.join("a"), b: w.join("b"), c: w.join("c")}
				s.l = s.a.campaign("x")
				s.first, s.named = s.b.queue("x", 0), s.c.queue("x", 0)
				play(t, s)
			})
		})
	}
}

// slow is a way to the store on which writes take their time.
func (w *world) slow() store.Store {
	st := faultstore.New(w.st.Open())
	w.t.Cleanup(func() { w.must(st.Close()) })
	st.Inject(faultstore.Fault{Kind: faultstore.Delay, Ops: faultstore.OpCommit, Delay: time.Second})
	return st
}

func TestTransferToWhoCannotLeadIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.view("x")
		refused := func(to string, want error) {
			t.Helper()
			if _, err := v.Transfer(t.Context(), 0, to, because); !errors.Is(err, want) {
				t.Errorf("to %q: %v, want %v", to, err, want)
			}
		}
		refused("b", tenure.ErrNoLeader)
		l := w.join("a").campaign("x")
		refused("", tenure.ErrInvalid)
		refused("b", tenure.ErrNotCandidate)
		b := w.join("b")
		b.queue("x", 0)
		w.must(tenure.Drain(t.Context(), w.st, "b", because))
		w.pass(round)
		refused("b", tenure.ErrNotCandidate)
		if err := l.TransferTo(t.Context(), "b"); !errors.Is(err, tenure.ErrNotCandidate) || !l.Held() {
			t.Errorf("TransferTo: %v; held: %v", err, l.Held())
		}
	})
}

// flap leads an election with a function that fails n times, and stays a candidate.
func (n *node) flap(election string, times int) {
	n.w.t.Helper()
	failures := 0
	n.lead(election, tenure.LeadOptions{Retry: true}, func(ctx context.Context, _ tenure.Term) error {
		if failures++; failures <= times {
			return errWork
		}
		<-ctx.Done()
		return nil
	})
	for n.Flaps(election) < times {
		n.w.pass(time.Second)
	}
}
