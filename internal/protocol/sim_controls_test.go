package protocol_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenure-go/tenure/tenuretest"
)

var drawFlag = flag.String("draw", "", "a folder for pictures of what the negative controls break")

// TestNegativeControls shows that the checks catch what they are there for: each
// control breaks one thing around the protocol, or in the store. Where the mistake
// shows in what users see, the checker that users have catches it, too.
func TestNegativeControls(t *testing.T) {
	t.Parallel()
	type control struct {
		mutation mutation
		abuse    bool   // it takes broken assumptions for the mistake to matter
		from     uint64 // a little before the first seed that shows it
		rules    []rule // one of which must be found broken
		shows    bool   // in what users see
	}
	for name, c := range map[string]control{
		"deadline counted from the reply": {mutation{sentAtReply: true}, false, 13400, []rule{ruleOneHolder}, true},
		"no evidence read":                {mutation{noEvidence: true}, true, 3000, []rule{ruleStepDown}, false},
		"released before the function":    {mutation{releaseEarly: true}, false, 1, []rule{ruleDrain}, true},
		"stale offer accepted":            {mutation{staleOffers: true}, false, 9300, []rule{ruleOneHolder, ruleTokens}, true},
		"ended token adopted again":       {mutation{endedAgain: true}, false, 1, []rule{ruleTokens, ruleTerms}, true},
		"withdrawal not guarded":          {mutation{unguardedWithdraw: true}, false, 1600, []rule{ruleInLine, ruleProgress}, false},
		"withdrawal leaves no mark":       {mutation{unmarkedWithdraw: true}, false, 6500, []rule{ruleNothing}, false},
		"paused and drained all the same": {mutation{unguardedTakes: true}, false, 1, []rule{ruleOrders}, false},
		"deposed whoever leads by then":   {mutation{unguardedDepose: true}, false, 4500, []rule{ruleOneHolder}, true},
		"vacancies outlived too early":    {mutation{shortVacancies: true}, false, 1, []rule{ruleOneHolder}, true},
		"a witness that stays":            {mutation{witnessForEver: true}, false, 1, []rule{ruleWatch}, false},
		"take not guarded":                {mutation{unguardedTake: true}, false, 1, []rule{ruleOneHolder, ruleDrain}, true},
		"tokens restart after a deletion": {mutation{tokensRestart: true}, false, 1, []rule{ruleTokens}, true},
		"store ends leases early":         {mutation{earlyLeases: true}, false, 1, []rule{ruleOneHolder}, true},
		"store judges before it writes":   {mutation{splitCommits: true}, false, 1, []rule{ruleOneHolder}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, found := search(c.from, 20_000, c.abuse, c.mutation, c.rules)
			if found == nil {
				t.Fatal("not caught")
			}
			keep, short := shrink(s, found.rule)
			tale := newTale()
			again := short.run(newCoverage(), tale)
			if again == nil || again.rule != found.rule {
				t.Fatalf("seed %d shows %v; shortened to steps %s it shows %v", s.seed, found, formatOps(keep), again)
			}
			t.Logf("seed %d, %d of %d steps: %s: %s\n%s", s.seed, len(keep), len(s.ops), again.rule, again.text, tale)
			if c.shows {
				mustViolate(t, name, tale.history)
			}
		})
	}
}

// mustViolate fails unless a history breaks a rule that users have, and draws it if it is to.
func mustViolate(t *testing.T, name string, h *tenuretest.History) {
	t.Helper()
	var v *tenuretest.Violation
	if err := h.Check(tenuretest.Expect{Progress: simTTL}); !errors.As(err, &v) {
		t.Fatalf("the history keeps every rule: %v", err)
	}
	t.Logf("the history: %v", v)
	if *drawFlag == "" {
		return
	}
	f, err := os.Create(filepath.Join(*drawFlag, strings.ReplaceAll(name, " ", "-")+".svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := h.WriteSVG(f, v); err != nil {
		t.Error(err)
	}
}

// TestHistories gives honest schedules to the checker that users have.
func TestHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		tale := newTale()
		s := makeSchedule(seed+1, false, mutation{})
		if found := s.run(newCoverage(), tale); found != nil {
			t.Fatalf("seed %d: %s: %s", s.seed, found.rule, found.text)
		}
		if err := tale.history.Check(tenuretest.Expect{Progress: boundOf(s.setting)}); err != nil {
			t.Fatalf("seed %d: %v", s.seed, err)
		}
	}
}
