//go:build unix

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/tenuretest"
)

const second = int64(time.Second)

// an account of w1, which has held steady with token 5 from the first second to the
// ninth, and of etcd, which had given it the seat.
func anAccount() *account {
	a := newAccount()
	a.seat(tenuretest.Event{Kind: tenuretest.SeatTaken, Member: "w1", Election: steady, Token: 5, Revision: 5})
	w1(a, second, tenuretest.Elected.String())
	w1(a, second, tenuretest.WorkBegan.String())
	for at := second; at <= 9*second; at += second {
		w1(a, at, tenuretest.Held.String())
	}
	return a
}

func w1(a *account, at int64, what string) {
	a.tell("w1", report{At: at, What: what, Election: steady, Token: 5, N: 1})
}

// Of the answers of Held only the first and the last are kept, and a history that ends
// before the last ends with one.
func TestAnswersOfHeldAreKeptAsTwo(t *testing.T) {
	t.Parallel()
	a := anAccount()
	for upTo, want := range map[int64]int64{20 * second: 9, 5 * second: 5} {
		var held []int64
		for _, e := range a.history(upTo, steady).Events() {
			if e.Kind == tenuretest.Held {
				held = append(held, e.At.UnixNano()/second)
			}
		}
		if len(held) != 2 || held[0] != 1 || held[1] != want {
			t.Errorf("up to %d: %v, want 1 and %d", upTo, held, want)
		}
	}
	w1(a, 10*second, tenuretest.NotHeld.String())
	w1(a, 11*second, tenuretest.Held.String())
	violates(t, a, tenuretest.OneHolder, "although the term was not held any more")
}

// What a worker that was killed has begun is over, so that a campaign can end well.
func TestTermsOfTheDeadHaveEnded(t *testing.T) {
	t.Parallel()
	a := anAccount()
	if err := a.check(20*second, tenuretest.Expect{Finished: true}); err == nil {
		t.Error("a term that has not ended was not found")
	}
	a.died("w1", orderly)
	if err := a.check(clock(), tenuretest.Expect{Finished: true}); err != nil {
		t.Error(err)
	}
	if n := a.count("terms lost"); n != 1 {
		t.Errorf("%d terms lost", n)
	}
}

// The end of a lease frees a seat against its holder's will, its own transaction does not.
func TestASeatThatItsHolderFreedWaitsForTheFunction(t *testing.T) {
	t.Parallel()
	for _, byTx := range []bool{false, true} {
		a := anAccount()
		if byTx {
			a.tell("w1", report{What: freed, Revision: 7})
		}
		a.seat(tenuretest.Event{Kind: tenuretest.SeatFreed, Member: "w1", Election: steady, Token: 5, Revision: 7})
		a.seat(tenuretest.Event{Kind: tenuretest.SeatTaken, Member: "w2", Election: steady, Token: 8, Revision: 8})
		a.tell("w1", report{At: 10 * second, What: tenuretest.Ended.String(), Election: steady, Token: 5, Err: "resigned"})
		a.tell("w2", report{At: 11 * second, What: tenuretest.WorkBegan.String(), Election: steady, Token: 8})
		if byTx {
			violates(t, a, tenuretest.DrainFirst, "has not returned")
		} else if err := a.check(20*second, tenuretest.Expect{}); err != nil {
			t.Error(err)
		}
	}
}

// What no rule of the checker is about.
func TestOtherProblemsAreTold(t *testing.T) {
	t.Parallel()
	for want, happens := range map[string]func(*account){
		"write 1 of steady, token 5, was refused, and it took effect": func(a *account) {
			w1(a, 2*second, refused)
			a.wrote(record{"w1", steady, 5, 1}, 6)
		},
		"the campaign has ended (steady): of its own": func(a *account) {
			a.tell("w1", report{What: problem, Text: "the campaign has ended", Election: steady, Err: "of its own"})
		},
		"after somebody had taken its seat away": func(a *account) {
			a.took(term{steady, "w1", 5})
			w1(a, clock()+9*second, tenuretest.Held.String())
		},
	} {
		a := anAccount()
		happens(a)
		if err := a.check(clock()+20*second, tenuretest.Expect{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func violates(t *testing.T, a *account, rule tenuretest.Rule, text string) {
	t.Helper()
	var v *tenuretest.Violation
	if err := a.check(20*second, tenuretest.Expect{}); !errors.As(err, &v) || v.Rule != rule || !strings.Contains(v.Text, text) {
		t.Errorf("got %v, want %s: %s", err, rule, text)
	}
}

// A cause keeps its meaning on its way from one process to another.
func TestALossIsTold(t *testing.T) {
	t.Parallel()
	e, _ := report{What: tenuretest.Ended.String()}.because(tenure.ErrSessionExpired).event("w1")
	if !errors.Is(e.Err, tenure.ErrLost) || e.Err.Error() != tenure.ErrSessionExpired.Error() {
		t.Errorf("got %v", e.Err)
	}
	if e, _ = (report{What: tenuretest.Ended.String()}).because(tenure.ErrResigned).event("w1"); errors.Is(e.Err, tenure.ErrLost) {
		t.Errorf("got %v", e.Err)
	}
}
