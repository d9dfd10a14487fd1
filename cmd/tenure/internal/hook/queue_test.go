package hook

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
)

// term is one that only has a token.
type term struct {
	tenure.Term
	token tenure.Token
}

func (t term) Token() tenure.Token      { return t.token }
func (t term) Context() context.Context { return context.Background() }

func jobOf(kind Kind, token tenure.Token) *job {
	j := newJob(kind)
	switch kind {
	case Elected, Lost:
		j.term = term{token: token}
	case Follower:
		j.leader.Token = token
	case Error:
		j.reason = fmt.Sprint("error ", token)
	}
	return j
}

// put puts an event into a queue.
func (q *queue) put(kind Kind, token tenure.Token) *job {
	j := jobOf(kind, token)
	switch kind {
	case Elected:
		q.elected(j)
	case Lost:
		q.lost(j)
	case Follower:
		q.follow(j)
	case Error:
		q.fail(j, time.Now())
	}
	return j
}

// expectNext fails unless the queue gives the kind of this token next; 0: nothing.
func (q *queue) expectNext(t *testing.T, kind Kind, token tenure.Token) {
	t.Helper()
	j := q.next()
	if j == nil && token == 0 {
		return
	}
	if want := jobOf(kind, token); j == nil || token == 0 || j.kind != kind || j.reason != want.reason || j.token() != want.token() {
		t.Fatalf("next is %+v, want %s of %d", j, kind, token)
	}
}

func expectStopped(t *testing.T, j *job, want bool) {
	t.Helper()
	select {
	case <-j.stop:
		if !want {
			t.Errorf("%s was stopped", j.kind)
		}
	default:
		if want {
			t.Errorf("%s was not stopped", j.kind)
		}
	}
}

func TestOneRunsAtATime(t *testing.T) {
	t.Parallel()
	var q queue
	q.put(Follower, 1)
	q.put(Error, 1)
	q.expectNext(t, Follower, 1)
	q.expectNext(t, "", 0)
	q.ended(nil)
	q.expectNext(t, Error, 1)
}

func TestRolesGoFirstThenTheLatestLeaderThenErrors(t *testing.T) {
	t.Parallel()
	var q queue
	q.put(Error, 1)
	q.put(Error, 2)
	q.put(Follower, 3)
	q.put(Follower, 4)
	q.put(Elected, 5)
	q.put(Follower, 6) // which another is, though nobody here knows yet
	q.expectNext(t, Elected, 5)
	q.ended(nil)
	q.expectNext(t, Error, 1) // no follower while the term lasts
	q.put(Lost, 5)
	q.ended(nil)
	q.expectNext(t, Lost, 5)
	q.ended(nil)
	q.expectNext(t, Follower, 6)
	q.ended(nil)
	q.expectNext(t, Error, 2)
	q.ended(nil)
	q.expectNext(t, "", 0)
}

func TestWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		runs    Kind
		arrives Kind
		stopped bool
	}{
		{Follower, Elected, true},
		{Follower, Follower, true},
		{Follower, Error, false},
		{Error, Elected, false},
		{Error, Lost, true},
		{Error, Follower, false},
		{Error, Error, false},
		{Elected, Follower, false},
		{Elected, Error, false},
		{Lost, Follower, false},
		{Lost, Error, false},
	} {
		t.Run(fmt.Sprintf("%s by %s", c.runs, c.arrives), func(t *testing.T) {
			t.Parallel()
			var q queue
			q.put(c.runs, 1)
			j := q.next()
			q.put(c.arrives, 2)
			q.put(c.arrives, 3) // stopping twice is no mistake
			expectStopped(t, j, c.stopped)
		})
	}
}

// A hook that fails refuses the term, and another may lead then.
func TestARefusedTermIsOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		over bool
	}{{nil, false}, {errors.New("exit code 1"), true}} {
		var q queue
		q.put(Elected, 1)
		q.next()
		q.put(Follower, 2)
		q.ended(c.err)
		if got := q.next() != nil; got != c.over {
			t.Errorf("after %v a follower's hook runs: %v", c.err, got)
		}
	}
}

func TestATermThatEndsBeforeItsHookBeginsIsWithdrawn(t *testing.T) {
	t.Parallel()
	var q queue
	q.put(Error, 1)
	q.next()
	j := q.put(Elected, 2)
	q.put(Follower, 3)
	if !q.withdraw(j) {
		t.Fatal("it does not wait")
	}
	q.ended(nil)
	q.expectNext(t, Follower, 3)
	begun := q.put(Elected, 4)
	q.ended(nil)
	q.next()
	if q.withdraw(begun) {
		t.Error("it runs, and was withdrawn")
	}
}

func TestNoLeaderIsToldTwiceNorAnOlderOne(t *testing.T) {
	t.Parallel()
	var q queue
	q.put(Elected, 5)
	q.next()
	q.ended(errors.New("refused"))
	for _, token := range []tenure.Token{3, 5} {
		if q.follow(jobOf(Follower, token)) {
			t.Errorf("token %d after 5", token)
		}
	}
	if !q.follow(jobOf(Follower, 6)) || q.follow(jobOf(Follower, 6)) {
		t.Error("want 6 once")
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	var q queue
	now := time.Now()
	if !q.fail(jobOf(Error, 0), now) {
		t.Fatal("the first was refused")
	}
	if q.fail(jobOf(Error, 0), now.Add(repetition-1)) {
		t.Error("told again too soon")
	}
	if !q.fail(jobOf(Error, 0), now.Add(repetition)) {
		t.Error("not told again")
	}
	for i := range 100 * maxErrors {
		q.fail(jobOf(Error, tenure.Token(i)), now)
	}
	if len(q.errors) != maxErrors {
		t.Errorf("%d wait, want %d", len(q.errors), maxErrors)
	}
	if len(q.told) > 2*maxErrors {
		t.Errorf("%d are remembered", len(q.told))
	}
}

func TestValuesFitAnEnvironment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "",
		"a\x00b":       "a\uFFFDb",
		"two\nlines":   "two\nlines",
		"\xff no text": "\xff no text",
	} {
		if got := value(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	long := make([]byte, 10*maxValue)
	if got := value(string(long)); len(got) > 3*maxValue {
		t.Errorf("%d bytes", len(got))
	}
}
