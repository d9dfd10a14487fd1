package tenure_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

var badNames = map[string]struct {
	name string
	says []string
}{
	"empty":        {"", []string{"empty election name", "1024"}},
	"over 1 KiB":   {strings.Repeat("x", 1025), []string{"election name of 1025 bytes", "1024"}},
	"with NUL":     {"a\x00b", []string{"election name", `"a\x00b"`, "NUL"}},
	"not UTF-8":    {"a\xff", []string{"election name", `"a\xff"`, "UTF-8"}},
	"half a glyph": {"日本"[:4], []string{"election name", "UTF-8"}},
}

// goodNames are hard for whoever makes keys of them, and some are prefixes of
// others or what others look like when they are escaped.
var goodNames = []string{
	"a", "ab", "a/", "a/b", "/", "//", ".", "..", "../a", "%", "%2F", "a%2Fb", "a%252Fb", "a\nb", "-x", "--help",
	" ", "*", "'", `"`, `\`, "日本語", "leaders/a", "a\u0301", strings.Repeat("/", 1024), strings.Repeat("x", 1024),
}

func TestBadElectionNamesAreRefusedEverywhere(t *testing.T) {
	for what, bad := range badNames {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.join("a")
				before := a.st.Calls().Commit
				_, err := a.Campaign(t.Context(), bad.name, tenure.CampaignOptions{})
				mustRefuse(t, err, bad.says...)
				err = a.Lead(t.Context(), bad.name, func(context.Context, tenure.Term) error { return nil }, tenure.LeadOptions{})
				mustRefuse(t, err, bad.says...)
				v := tenure.NewView(w.st, bad.name)
				_, err = v.Status(t.Context())
				mustRefuse(t, err, bad.says...)
				_, _, err = v.Read(t.Context())
				mustRefuse(t, err, bad.says...)
				events := 0
				for _, err := range v.Observe(t.Context()) {
					mustRefuse(t, err, bad.says...)
					events++
				}
				if events != 1 {
					t.Errorf("%d events", events)
				}
				if n := a.st.Calls().Commit; n != before {
					t.Errorf("%d commits", n-before)
				}
				w.mustBeClean()
			})
		})
	}
}

// 3.13: what is accepted comes out as it went in, everywhere, and no name
// disturbs another.
func TestOddNamesRoundTripEverywhere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		heldBy := map[string]*tenure.Leadership{}
		for _, name := range goodNames {
			heldBy[name] = w.join(name).campaign(name)
		}
		all, err := tenure.Survey(t.Context(), w.st)
		w.must(err)
		var names []string
		for _, s := range all {
			names = append(names, s.Election)
			if s.Leader == nil || s.Leader.Member != s.Election || s.Leader.Token != heldBy[s.Election].Token() {
				t.Errorf("%q is led by %+v", s.Election, s.Leader)
			}
			if len(s.Candidates) != 1 || s.Candidates[0].Member != s.Election {
				t.Errorf("candidates of %q: %+v", s.Election, s.Candidates)
			}
		}
		sorted := slices.Sorted(slices.Values(goodNames))
		equal(t, "elections", names, sorted)
		for _, name := range goodNames {
			s, err := tenure.NewView(w.st, name).Status(t.Context())
			w.must(err)
			if s.Election != name || len(s.Candidates) != 1 || s.Leader.Member != name {
				t.Errorf("status of %q: %+v", name, s)
			}
		}
		// Each name on its own, while the rest is still held.
		for i, name := range goodNames {
			w.must(heldBy[name].Resign(t.Context()))
			for _, other := range goodNames[i+1:] {
				if !heldBy[other].Held() {
					t.Errorf("%q has ended with %q", other, name)
				}
			}
		}
		w.pass(round)
		w.mustBeClean()
	})
}

func TestObserveOfAPrefixHearsNothingOfLongerNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.join("a")
		o := w.observe("a")
		for _, name := range []string{"ab", "a/", "a%"} {
			w.must(a.campaign(name).Resign(t.Context()))
		}
		l := a.campaign("a")
		o.mustSay("vacant", elected(l))
	})
}

// A store.Sub is a world of its own.
func TestNamespacesDoNotSeeEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var held []*tenure.Leadership
		for _, prefix := range []string{"", "one/", "two/", "one/three/"} {
			m, err := tenure.Join(t.Context(), store.Sub(w.st, prefix), tenure.Options{ID: "a"})
			w.must(err)
			defer m.Close()
			l, err := m.Campaign(t.Context(), "x", tenure.CampaignOptions{})
			w.must(err)
			held = append(held, l)
			if want := prefix + "leaders/x"; l.Guard().Key != want {
				t.Errorf("guard of %s, want %s", l.Guard().Key, want)
			}
		}
		for _, l := range held {
			if err := l.Verify(t.Context()); err != nil || !l.Held() {
				t.Errorf("%s: %v", l.Guard().Key, err)
			}
		}
	})
}
