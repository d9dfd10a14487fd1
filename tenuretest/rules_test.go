package tenuretest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is an event so many milliseconds after the epoch.
func at(ms int, kind tenuretest.Kind, member string, token tenure.Token) tenuretest.Event {
	return tenuretest.Event{
		At: epoch.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Member: member, Election: "x", Token: token,
	}
}

// ended is the end of a term with a cause.
func ended(ms int, member string, token tenure.Token, cause error) tenuretest.Event {
	e := at(ms, tenuretest.Ended, member, token)
	e.Err = cause
	return e
}

// in is an event at a revision.
func in(ms int, kind tenuretest.Kind, member string, token tenure.Token, rev store.Revision) tenuretest.Event {
	e := at(ms, kind, member, token)
	e.Revision = rev
	return e
}

// sees is an observer's sight of a leader.
func sees(ms int, observer, leader string, token tenure.Token) tenuretest.Event {
	e := in(ms, tenuretest.ObservedLeader, observer, token, token)
	e.Text = leader
	return e
}

// fault is the beginning or the end of a fault.
func fault(ms int, kind tenuretest.Kind, member, what string) tenuretest.Event {
	return tenuretest.Event{At: epoch.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Member: member, Text: what}
}

func list(events ...tenuretest.Event) []tenuretest.Event { return events }

func history(events []tenuretest.Event) *tenuretest.History {
	h := tenuretest.NewHistory()
	for _, e := range events {
		h.Record(e)
	}
	return h
}

// The seat of x: a's from 5 on, b's from 7, nobody's from 9, c's from 11.
var seats = list(
	in(0, tenuretest.SeatTaken, "a", 5, 5),
	in(100, tenuretest.SeatTaken, "b", 7, 7),
	in(200, tenuretest.SeatFreed, "b", 7, 9),
	in(300, tenuretest.SeatTaken, "c", 11, 11),
)

func after(events []tenuretest.Event, more ...tenuretest.Event) []tenuretest.Event {
	return slices.Concat(events, more)
}

// For each rule, histories that break it and nothing else, and histories that
// nearly do.
func TestRules(t *testing.T) {
	t.Parallel()
	const (
		want, unwant    = tenuretest.Wanted, tenuretest.Unwanted
		elected         = tenuretest.Elected
		held, notHeld   = tenuretest.Held, tenuretest.NotHeld
		began, returned = tenuretest.WorkBegan, tenuretest.WorkReturned
		wrote, told     = tenuretest.Wrote, tenuretest.Confirmed
		taken, freed    = tenuretest.SeatTaken, tenuretest.SeatFreed
		none, gap       = tenuretest.ObservedNone, tenuretest.ObservedGap
		over            = tenuretest.FaultsOver
	)
	resigned, expired := tenure.ErrResigned, tenure.ErrSessionExpired
	finished := tenuretest.Expect{Finished: true}
	progress := tenuretest.Expect{Progress: 100 * time.Millisecond}
	interfered := tenuretest.Expect{Interfered: true}
	leaseEnded := in(150, freed, "a", 5, 6)
	leaseEnded.Err = tenure.ErrSessionExpired

	tests := map[string]struct {
		events []tenuretest.Event
		expect tenuretest.Expect
		rule   tenuretest.Rule // "": it keeps them all
		at     int             // of the violation, in ms
		text   string          // part of it
	}{
		"nothing": {},

		"held one after the other": {events: list(at(0, held, "a", 5), at(10, held, "a", 5), at(10, held, "b", 7), at(20, held, "b", 7))},
		"held at once": {
			events: list(at(0, held, "a", 5), at(8, held, "b", 7), at(10, held, "a", 5)),
			rule:   tenuretest.OneHolder, at: 8, text: "b (token 7) held x at +0.008s, while a (token 5) held it from +0.000s to +0.010s",
		},
		"held at once, after interference": {
			events: list(at(0, held, "a", 5), at(8, held, "b", 7), at(10, held, "a", 5)), expect: interfered,
		},
		"held again, after interference": {
			events: list(at(0, held, "a", 5), at(5, notHeld, "a", 5), at(6, held, "a", 5)), expect: interfered,
			rule: tenuretest.OneHolder, at: 6, text: "although",
		},
		"held at once, at one moment": {
			events: list(at(0, held, "a", 5), at(0, held, "b", 7), at(0, held, "a", 5)),
			rule:   tenuretest.OneHolder, text: "b (token 7) held",
		},
		"held at once by one member": {
			events: list(at(0, held, "a", 5), at(8, held, "a", 7), at(10, held, "a", 5)),
			rule:   tenuretest.OneHolder, at: 8, text: "a (token 7)",
		},
		"held at once with one in between": {
			events: list(at(0, held, "a", 5), at(5, held, "b", 7), at(6, held, "b", 7), at(8, held, "c", 9), at(10, held, "a", 5)),
			rule:   tenuretest.OneHolder, at: 5, text: "b (token 7)",
		},
		"held in two elections at once": {events: list(at(0, held, "a", 5), tenuretest.Event{At: epoch, Kind: held, Member: "b", Election: "y", Token: 7}, at(10, held, "a", 5))},
		"held again": {
			events: list(at(0, held, "a", 5), at(5, notHeld, "a", 5), at(6, held, "a", 5)),
			rule:   tenuretest.OneHolder, at: 6, text: "a (token 5) held x at +0.006s, although the term was not held any more at +0.005s",
		},
		"held after the end": {
			events: list(at(0, elected, "a", 5), ended(5, "a", 5, resigned), at(6, held, "a", 5)),
			rule:   tenuretest.OneHolder, at: 6, text: "the term had ended at +0.005s",
		},
		"another term held after the end": {events: list(at(0, elected, "a", 5), ended(5, "a", 5, resigned), at(6, held, "a", 7))},

		"the seat's history": {events: seats},
		"the seat's token falls": {
			events: list(in(0, taken, "a", 5, 5), in(10, taken, "b", 4, 7)),
			rule:   tenuretest.TokensRise, at: 10, text: "the seat of x went to b with token 4, after a had it with 5",
		},
		"the seat's token stays": {
			events: list(in(0, taken, "a", 5, 5), in(5, freed, "a", 5, 6), in(10, taken, "a", 5, 7)),
			rule:   tenuretest.TokensRise, at: 10, text: "went to a with token 5",
		},
		"held with a lower token": {
			events: list(at(0, held, "a", 5), at(10, held, "b", 4)),
			rule:   tenuretest.TokensRise, at: 10, text: "b (token 4) began a term of x after a (token 5)",
		},
		"elected with a lower token": {
			events: list(at(0, elected, "a", 5), at(10, elected, "b", 4)),
			rule:   tenuretest.TokensRise, at: 10, text: "b (token 4)",
		},
		"told late of an earlier term": {events: after(seats, at(310, elected, "c", 11), at(320, elected, "b", 7))},
		"two with one token": {
			events: list(at(0, elected, "a", 5), at(10, elected, "b", 5)),
			rule:   tenuretest.TokensRise, at: 10, text: "a and b both had token 5",
		},
		"a term without a seat": {
			events: after(seats, at(310, elected, "c", 11), at(320, elected, "a", 12)),
			rule:   tenuretest.TokensRise, at: 320, text: "a (token 12) began a term of x, and the seat in the store was never its",
		},
		"a term with another's seat": {
			events: after(seats, at(310, elected, "a", 11)),
			rule:   tenuretest.TokensRise, at: 310, text: "never its with that token",
		},

		"writes in order": {events: after(seats, in(310, wrote, "a", 5, 6), in(311, wrote, "b", 7, 8), in(312, wrote, "c", 11, 12))},
		"a write after a newer one": {
			events: list(in(0, wrote, "b", 7, 8), in(10, wrote, "a", 5, 9)),
			rule:   tenuretest.FencedWrites, at: 10, text: "a wrote in x with token 5, at revision 9, after b had with token 7",
		},
		"told late of writes in order": {events: list(in(0, wrote, "b", 7, 9), in(10, wrote, "a", 5, 8))},
		"a write in another's term": {
			events: after(seats, in(310, wrote, "a", 5, 8)),
			rule:   tenuretest.FencedWrites, at: 310, text: "when the seat was b's with token 7",
		},
		"a write in no term": {
			events: after(seats, in(310, wrote, "b", 7, 10)),
			rule:   tenuretest.FencedWrites, at: 310, text: "when the seat was nobody's",
		},
		"a write before all terms": {
			events: after(seats, in(310, wrote, "a", 5, 3)),
			rule:   tenuretest.FencedWrites, at: 310, text: "before anybody had the seat",
		},
		"a confirmed write": {events: list(in(0, told, "a", 5, 6), in(10, wrote, "a", 5, 6))},
		"a write that was confirmed and is not there": {
			events: list(in(0, told, "a", 5, 6), in(10, wrote, "a", 5, 7)),
			rule:   tenuretest.FencedWrites, at: 0, text: "a (token 5) was told that its write in x took effect at revision 6, and it did not",
		},

		"ended once": {events: list(at(0, elected, "a", 5), ended(10, "a", 5, resigned)), expect: finished},
		"ended twice": {
			events: list(at(0, elected, "a", 5), ended(10, "a", 5, resigned), ended(11, "a", 5, expired)),
			rule:   tenuretest.OneEnd, at: 11, text: "the term of a (token 5) in x ended twice",
		},
		"begun twice": {
			events: list(at(0, elected, "a", 5), at(10, elected, "a", 5)),
			rule:   tenuretest.OneEnd, at: 10, text: "began twice",
		},
		"ended before it began": {
			events: list(ended(10, "a", 5, resigned), at(11, elected, "a", 5)),
			rule:   tenuretest.OneEnd, at: 10, text: "ended and had not begun",
		},
		"ended without a cause": {
			events: list(at(0, elected, "a", 5), ended(10, "a", 5, nil)),
			rule:   tenuretest.OneEnd, at: 10, text: "ended without a cause",
		},
		"not ended yet": {events: list(at(0, elected, "a", 5), at(10, held, "a", 5))},
		"never ended": {
			events: list(at(0, elected, "a", 5), at(10, held, "a", 5)), expect: finished,
			rule: tenuretest.OneEnd, at: 10, text: "never ended",
		},
		"never told of": {
			events: list(at(0, held, "a", 5), at(10, held, "a", 5)), expect: finished,
			rule: tenuretest.OneEnd, at: 10, text: "never told of",
		},
		"offered and never begun": {events: seats, expect: finished},

		"drained": {events: list(at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, resigned), at(5, returned, "a", 5), at(5, began, "b", 7))},
		"not drained": {
			events: list(at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, resigned), at(4, began, "b", 7), at(5, returned, "a", 5)),
			rule:   tenuretest.DrainFirst, at: 4, text: "b (token 7) began to work in x at +0.004s, and the function of a (token 5), which ended cleanly (tenure: resigned), returned only at +0.005s",
		},
		"not drained, after interference": {
			events: list(at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, resigned), at(4, began, "b", 7)), expect: interfered,
		},
		"not drained, and told late of the end": {
			events: list(at(0, elected, "a", 5), at(1, began, "a", 5), at(4, began, "b", 7), ended(5, "a", 5, tenure.ErrClosed)),
			rule:   tenuretest.DrainFirst, at: 4, text: "has not returned",
		},
		"a lost term need not drain":                {events: list(at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, expired), at(4, began, "b", 7), at(5, returned, "a", 5))},
		"nor one that gave up":                      {events: list(at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, resigned), at(3, tenuretest.GaveUp, "a", 5), at(4, began, "b", 7))},
		"nor one whose lease ended while it drains": {events: list(in(0, taken, "a", 5, 5), at(0, elected, "a", 5), at(1, began, "a", 5), ended(2, "a", 5, resigned), leaseEnded, in(150, taken, "b", 7, 7), at(160, began, "b", 7))},

		"an observer":                     {events: after(seats, in(300, none, "o", 0, 4), sees(310, "o", "a", 5), sees(320, "o", "b", 7), in(330, none, "o", 0, 9), sees(340, "o", "c", 11))},
		"an observer that comes late":     {events: after(seats, at(310, tenuretest.Observing, "o", 0), sees(320, "o", "c", 11))},
		"an observer that knows of a gap": {events: after(seats, sees(310, "o", "a", 5), in(320, gap, "o", 0, 12), sees(330, "o", "c", 11))},
		"an observer that comes again":    {events: after(seats, sees(310, "o", "c", 11), at(320, tenuretest.Observing, "o", 0), sees(330, "o", "c", 11))},
		"a gap within a vacancy":          {events: after(seats[:3], sees(310, "o", "b", 7), in(320, none, "o", 0, 9), in(330, gap, "o", 0, 10))},
		"an observer that is told of the past": {
			events: after(seats, at(310, tenuretest.Observing, "o", 0), sees(320, "o", "b", 7)),
			rule:   tenuretest.ObserversAgree, at: 320, text: "o sees b lead x, token 7, which is older than what was known to it",
		},
		"an observer that misses a term": {
			events: after(seats, sees(310, "o", "a", 5), in(330, none, "o", 0, 9)),
			rule:   tenuretest.ObserversAgree, at: 330, text: "was not told before of b, token 7",
		},
		"an observer that misses a vacancy": {
			events: after(seats, sees(310, "o", "b", 7), sees(330, "o", "c", 11)),
			rule:   tenuretest.ObserversAgree, at: 330, text: "was not told before that the seat was nobody's since revision 9",
		},
		"an observer that goes back": {
			events: after(seats, sees(310, "o", "b", 7), sees(330, "o", "a", 5)),
			rule:   tenuretest.ObserversAgree, at: 330, text: "older",
		},
		"an observer that is told twice": {
			events: after(seats, sees(310, "o", "b", 7), sees(330, "o", "b", 7)),
			rule:   tenuretest.ObserversAgree, at: 330, text: "for the second time",
		},
		"an observer that sees who never was": {
			events: after(seats, sees(310, "o", "b", 8)),
			rule:   tenuretest.ObserversAgree, at: 310, text: "no seat ever had that token",
		},
		"an observer that takes one for another": {
			events: after(seats, sees(310, "o", "c", 7)),
			rule:   tenuretest.ObserversAgree, at: 310, text: "that token is b's",
		},
		"an observer that sees nobody where there is somebody": {
			events: after(seats, in(310, none, "o", 0, 8)),
			rule:   tenuretest.ObserversAgree, at: 310, text: "the seat was b's then, with token 7",
		},
		"an observer alone": {events: list(sees(310, "o", "a", 5), sees(320, "o", "b", 7), at(330, tenuretest.Observing, "o", 0), sees(340, "o", "b", 7))},
		"an observer alone that goes back": {
			events: list(sees(310, "o", "b", 7), sees(330, "o", "a", 5)),
			rule:   tenuretest.ObserversAgree, at: 330, text: "after token 7",
		},

		"progress": {
			events: list(at(0, want, "a", 0), fault(10, over, "", ""), at(90, held, "a", 5), at(200, held, "a", 5)), expect: progress,
		},
		"progress of one that led before": {
			events: list(at(0, want, "a", 0), at(5, held, "a", 5), fault(10, over, "", ""), at(200, held, "a", 5)), expect: progress,
		},
		"no progress": {
			events: list(at(0, want, "a", 0), at(5, held, "a", 5), fault(10, over, "", ""), at(120, held, "a", 7)), expect: progress,
			rule: tenuretest.ProgressResumes, at: 120, text: "nobody led x for 100ms after all faults were over at +0.010s, and a wanted to",
		},
		"no progress, and none expected": {
			events: list(at(0, want, "a", 0), fault(10, over, "", ""), at(120, held, "a", 7)),
		},
		"nobody wants to lead": {
			events: list(at(0, want, "a", 0), fault(10, over, "", ""), at(20, unwant, "a", 0), at(200, notHeld, "b", 5)), expect: progress,
		},
		"somebody wants to lead later": {
			events: list(fault(10, over, "", ""), at(20, want, "a", 0), at(200, notHeld, "b", 5)), expect: progress,
		},
		"a new fault": {
			events: list(at(0, want, "a", 0), fault(10, over, "", ""), fault(100, tenuretest.FaultBegan, "a", "crash"), at(200, notHeld, "b", 5)), expect: progress,
		},
		"too early to tell": {
			events: list(at(0, want, "a", 0), fault(10, over, "", ""), at(100, notHeld, "b", 5)), expect: progress,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := history(tt.events).Check(tt.expect)
			if tt.rule == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var v *tenuretest.Violation
			if !errors.As(err, &v) {
				t.Fatalf("got %v, want a violation of %q", err, tt.rule)
			}
			when := epoch.Add(time.Duration(tt.at) * time.Millisecond)
			if v.Rule != tt.rule || v.Election != "x" || !strings.Contains(v.Text, tt.text) {
				t.Errorf("got %s in %q: %s\nwant %s: %s", v.Rule, v.Election, v.Text, tt.rule, tt.text)
			}
			if !v.At.Equal(when) {
				t.Errorf("at %v, want %v", v.At, when)
			}
			if !slices.ContainsFunc(v.Events, func(e tenuretest.Event) bool { return e.At.Equal(when) }) {
				t.Errorf("it is not among the events %v", v.Events)
			}
		})
	}
}

// What happened first explains what followed.
func TestTheFirstViolationInTimeIsTold(t *testing.T) {
	t.Parallel()
	h := history(list(
		at(30, tenuretest.Held, "b", 7), at(40, tenuretest.Held, "a", 5), // both rules
		at(20, tenuretest.Held, "a", 5), // recorded later, and earlier
		ended(10, "c", 3, tenure.ErrResigned),
	))
	var v *tenuretest.Violation
	if err := h.Check(tenuretest.Expect{}); !errors.As(err, &v) || v.Rule != tenuretest.OneEnd {
		t.Errorf("got %v, want %s", err, tenuretest.OneEnd)
	}
	events := h.Events()
	if !slices.IsSortedFunc(events, func(a, b tenuretest.Event) int { return a.At.Compare(b.At) }) || len(events) != 4 {
		t.Errorf("not in order: %v", events)
	}
}

// The first term of a seat whose history begins with a release is known to an
// observer as nobody's; what is recorded without a time is recorded now.
func TestRecordTakesTheTime(t *testing.T) {
	t.Parallel()
	h := tenuretest.NewHistory()
	before := time.Now()
	h.Record(tenuretest.Event{Kind: tenuretest.Note})
	h.Sample(tenuretest.Event{Member: "a", Election: "x", Token: 5}, func() bool { return true })
	h.Sample(tenuretest.Event{Member: "a", Election: "x", Token: 5}, func() bool { return false })
	events := h.Events()
	for _, e := range events {
		if e.At.Before(before) || e.At.After(time.Now()) {
			t.Errorf("%v is not now", e.At)
		}
	}
	if events[1].Kind != tenuretest.Held || events[2].Kind != tenuretest.NotHeld {
		t.Errorf("sampled %v and %v", events[1].Kind, events[2].Kind)
	}
}
