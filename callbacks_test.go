package tenure_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tenure-go/tenure"
)

func TestCallbacksTellAnElection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		told, errs := new(told), new(told)
		refuse := 2
		calls := tenure.Callbacks{
			Elected: func(ctx context.Context, term tenure.Term) error {
				if refuse--; refuse >= 0 {
					told.add("refused")
					return errWork
				}
				told.add("elected, held %v", term.Held())
				return nil
			},
			Lost:          func(_ tenure.Term, cause error) { told.add("lost: %v", cause) },
			BeforeRelease: func(ctx context.Context, _ tenure.Term) error { told.add("before release, %v", ctx.Err()); return nil },
			LeaderChanged: func(ev tenure.Event) {
				if ev.Leader.Member == "b" {
					told.add("b leads")
				}
			},
			Error: func(err error) { errs.add("%v", err) },
			Fatal: func(err error) { told.add("fatal: %v", err) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- calls.Run(ctx, a.Member, "x", tenure.LeadOptions{}) }()
		synctest.Wait()
		q := w.join("b").queue("x", 0)
		w.must(w.view("x").Pause(t.Context(), because))
		w.must(w.view("x").Unpause(t.Context()))
		if _, err := w.view("x").Transfer(t.Context(), 0, "b", tenure.Reason{}); err != nil {
			t.Fatal(err)
		}
		w.must(q.leads().Resign(t.Context()))
		synctest.Wait()
		if err := calls.Run(ctx, a.Member, "x", tenure.LeadOptions{}); !errors.Is(err, tenure.ErrAlreadyCandidate) {
			t.Errorf("a second Run: %v", err)
		}
		cancel()
		w.must(<-ended)
		synctest.Wait()
		equal(t, "told", told.all(), []string{
			"refused", "before release, <nil>", "refused", "before release, <nil>",
			"elected, held true", "lost: tenure: transferred to b", "before release, <nil>", "b leads",
			"elected, held true", "fatal: lead \"x\": tenure: already a candidate",
			"lost: context canceled", "before release, <nil>",
		})
		equal(t, "errors", errs.all(), []string{"work failed", "work failed"})
	})
}
