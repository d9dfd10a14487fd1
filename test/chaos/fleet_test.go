//go:build unix

package main

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/tenure-go/tenure/store"
)

// tale is a history of the fleet, each step of which has a name.
type tale []step

// step is what a node says, or, where by is empty, etcd.
type step struct {
	name, by string
	report
}

// at is a place in the tale.
func (t tale) at(name string) int {
	i := slices.IndexFunc(t, func(s step) bool { return s.name == name })
	if i < 0 {
		panic("no step " + name)
	}
	return i
}

func (t *tale) drop(names ...string) {
	for _, name := range names {
		i := t.at(name)
		*t = slices.Delete(*t, i, i+1)
	}
}

func (t tale) alter(name string, how func(*report)) { how(&t[t.at(name)].report) }

func (t *tale) after(name string, s ...step) { *t = slices.Insert(*t, t.at(name)+1, s...) }

// account is that of the tale.
func (t tale) account(tb testing.TB) *account {
	tb.Helper()
	a := newAccount()
	for i, s := range t {
		if s.by != "" {
			s.At = int64(i + 1)
			a.tell(s.by, s.report)
			continue
		}
		value := []byte(s.Value)
		if s.Value == "" {
			value = nil
		}
		if err := a.sees(s.Key, value, s.Revision); err != nil {
			tb.Fatal(err)
		}
	}
	return a
}

func etcd(name string, rev store.Revision, key, value string) step {
	return step{name, "", report{Key: key, Value: value, Revision: rev}}
}

func says(name, by, what, key string, n int, value string) step {
	return step{name, by, report{What: what, Life: 1, Key: key, N: n, Value: value}}
}

// n2 is told something by a watch of its own.
func told2(name, what, kind string, rev store.Revision, node, key, value, old string) step {
	return step{name, "n2", report{What: what, Life: 1, Kind: kind, Revision: rev, Node: node, Key: key, Value: value, Old: old}}
}

func gap2(name, what string, since, rev store.Revision) step {
	return step{name, "n2", report{What: what, Life: 1, Kind: "gap", Since: since, Revision: rev}}
}

// role2 is an event of n2's watch of nodes with roles.
func role2(s step, old, now string) step {
	s.OldRole, s.Role = old, now
	return s
}

const (
	record1, record2 = fleetNodes + "n1", fleetNodes + "n2"
	load1, load2     = fleetState + "load/n1", fleetState + "load/n2"
	jobs1            = fleetState + "jobs%2F1/n1"
	tag0, tag1       = "A tag ", "A tag 7"
)

// aTale is one in which nothing is wrong: n1 publishes, changes its record, and leaves; n2
// publishes, expires, comes back, and goes on, and its watch of the state misses some of it.
func aTale() tale {
	return tale{
		{"up 1", "n1", report{What: up, Life: 1}},
		{"up 2", "n2", report{What: up, Life: 1}},
		etcd("record 1", 10, record1, `{"incarnation":"A"}`),
		etcd("record 2", 11, record2, `{"incarnation":"B"}`),
		says("put 1.1", "n1", attempted, "load", 1, "1.1"),
		etcd("load 1.1", 12, load1, "1.1"),
		says("did 1.1", "n1", acknowledged, "load", 1, "1.1"),
		says("read 1.1", "n1", readBack, "load", 1, "1.1"),

		told2("present", toldState, "present", 12, "n1", "load", "1.1", ""),
		told2("ready", toldState, "ready", 12, "", "", "", ""),
		role2(told2("present n1", toldNodes, "present", 10, "n1", "", tag0, ""), "", "leader"),
		role2(told2("present n2", toldNodes, "present", 11, "n2", "", "B tag ", ""), "", "follower"),
		told2("nodes ready", toldNodes, "ready", 11, "", "", "", ""),

		says("put 2", "n2", attempted, "load", 1, "1.1"),
		etcd("load 2", 13, load2, "1.1"),
		says("did 2", "n2", acknowledged, "load", 1, "1.1"),
		told2("added 2", toldState, "added", 13, "n2", "load", "1.1", ""),

		says("put 1.2", "n1", attempted, "load", 2, "1.2"),
		etcd("load 1.2", 14, load1, "1.2"),
		told2("modified 1.2", toldState, "modified", 14, "n1", "load", "1.2", "1.1"),

		says("delete 1.3", "n1", attempted, "load", 3, ""),
		etcd("load 1.3", 15, load1, ""),
		says("did 1.3", "n1", acknowledged, "load", 3, ""),
		says("read 1.3", "n1", readBack, "load", 3, ""),
		told2("deleted 1.3", toldState, "deleted", 15, "n1", "load", "", "1.2"),

		says("put 1.4", "n1", attempted, "load", 4, "1.4"),
		says("put jobs", "n1", attempted, "jobs/1", 1, "1.1"),
		etcd("load 1.4", 16, load1, "1.4"),
		etcd("jobs", 16, jobs1, "1.1"),
		says("did 1.4", "n1", acknowledged, "load", 4, "1.4"),

		etcd("expired: load", 17, load2, ""),
		etcd("expired", 17, record2, ""),
		role2(told2("told expired", toldNodes, "expired", 17, "n2", "", "", "B tag "), "follower", ""),
		etcd("back", 18, record2, `{"incarnation":"B"}`),
		etcd("back: load", 18, load2, "1.1"),
		role2(told2("told back", toldNodes, "joined", 18, "n2", "", "B tag ", ""), "", "follower"),

		gap2("gap", toldState, 15, 18),
		told2("mended: jobs", toldState, "added", 16, "n1", "jobs/1", "1.1", ""),
		told2("mended: load", toldState, "added", 16, "n1", "load", "1.4", ""),

		etcd("tagged", 19, record1, `{"incarnation":"A","tags":{"n":"7"}}`),
		role2(told2("told tagged", toldNodes, "changed", 19, "n1", "", tag1, tag0), "leader", "leader"),
		role2(told2("told deposed", toldNodes, "changed", 3, "n1", "", tag1, tag1), "leader", "follower"),
		role2(told2("told elected", toldNodes, "changed", 3, "n2", "", "B tag ", "B tag "), "follower", "leader"),

		says("put 2.2", "n2", attempted, "load", 2, "1.2"),
		etcd("load 2.2", 20, load2, "1.2"),
		told2("modified 2.2", toldState, "modified", 20, "n2", "load", "1.2", "1.1"),

		{"down 1", "n1", report{What: down}},
		etcd("leaving", 21, record1, `{"incarnation":"A","tags":{"n":"7"},"leaving":true}`),
		etcd("left", 22, record1, ""),
		etcd("left: load", 22, load1, ""),
		etcd("left: jobs", 22, jobs1, ""),
		role2(told2("told left", toldNodes, "left", 22, "n1", "", "", tag1), "follower", ""),
		told2("gone: load", toldState, "deleted", 22, "n1", "load", "", "1.4"), // in another order
		told2("gone: jobs", toldState, "deleted", 22, "n1", "jobs/1", "", "1.1"),
		says("did 2.2", "n2", acknowledged, "load", 2, "1.2"),
	}
}

// whole is the tale up to its end, at which all is quiet.
func (a *account) whole(t tale) []error {
	errs := a.checkFleet(int64(len(t)+1), forever, false)
	return append(errs, a.compare(
		map[entry]string{{"n2", "load"}: "1.2"}, map[entry]string{{node: "n2"}: "B tag "}, map[entry]string{{node: "n2"}: "leader"},
	)...)
}

func TestAFleetAsItShouldBe(t *testing.T) {
	t.Parallel()
	story := aTale()
	if err := errors.Join(story.account(t).whole(story)...); err != nil {
		t.Error(err)
	}
	// Each beginning of it is as it should be, too, as far as etcd's history goes.
	for i := range story {
		a, upTo := story[:i].account(t), store.Revision(0)
		for _, s := range story[:i] {
			if s.by == "" {
				upTo = s.Revision - 1 // the last may not be whole
			}
		}
		if err := errors.Join(a.checkFleet(0, upTo, false)...); err != nil {
			t.Errorf("up to %q: %v", story[i].name, err)
		}
	}
}

// Nothing is read of a node that is away.
func TestWhatIsAwayCannotBeRead(t *testing.T) {
	t.Parallel()
	story := aTale()
	story.after("expired", says("", "n2", readBack, "load", 1, ""))
	if err := errors.Join(story.account(t).whole(story)...); err != nil {
		t.Error(err)
	}
}

// A record that a third party has deleted leaves its state behind, and the node writes it
// again, or dies, and the state goes then.
func TestARobbedNodeLeavesItsState(t *testing.T) {
	t.Parallel()
	for what, doctor := range map[string]func(*tale){
		"it writes its record again": func(t *tale) { t.drop("expired: load", "back: load") },
		"it dies": func(t *tale) {
			for _, name := range []string{"back", "back: load", "told back"} {
				t.alter(name, func(r *report) { r.Revision = 19 })
			}
			t.drop("expired: load")
			t.after("told expired", etcd("expired: load", 18, load2, ""))
			t.alter("gap", func(r *report) { r.Revision = 19 })
		},
	} {
		for _, robbed := range []bool{true, false} {
			story := aTale()
			doctor(&story)
			a := story.account(t)
			if robbed {
				a.robs("n2", 11)
			}
			if err := errors.Join(a.whole(story)...); (err == nil) != robbed {
				t.Errorf("%s, robbed: %v, and found %v", what, robbed, err)
			}
		}
	}
}

// Each rule is shown a history that breaks it.
func TestDoctoredFleetsAreRefused(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		rule   rule
		doctor func(*tale)
	}{
		"a value that nobody put": {ofItsNode, func(t *tale) {
			t.alter("load 1.2", func(r *report) { r.Value = "1.9" })
		}},
		"a value of another node": {ofItsNode, func(t *tale) { t.drop("put 2", "did 2", "put 2.2", "did 2.2") }},
		"a value of a Delete":     {ofItsNode, func(t *tale) { t.alter("load 1.4", func(r *report) { r.Value = "1.3" }) }},
		"an older value":          {inOrder, func(t *tale) { t.after("load 1.4", etcd("", 17, load1, "1.2")) }},
		"one that was deleted": {inOrder, func(t *tale) {
			t.after("load 1.4", etcd("", 17, load1, ""), etcd("", 18, load1, "1.4"))
			t.after("put 1.4", says("", "n1", attempted, "load", 5, ""))
		}},
		"state without a record":       {withItsNode, func(t *tale) { t.drop("back") }},
		"state that outlives a record": {withItsNode, func(t *tale) { t.drop("expired: load") }},
		"state that goes before":       {atItsWord, func(t *tale) { t.alter("expired", func(r *report) { r.Revision = 18 }) }},
		"a value that goes by itself":  {atItsWord, func(t *tale) { t.after("load 1.4", etcd("", 17, load1, "")) }},
		"a Put that never was there":   {asAcknowledged, func(t *tale) { t.drop("load 1.4", "left: load") }},
		"a Delete that was none": {asAcknowledged, func(t *tale) {
			t.drop("load 1.3")
		}},
		"a read of something older":            {asRead, func(t *tale) { t.alter("read 1.3", func(r *report) { r.Value = "1.2" }) }},
		"a read of nothing, of what was there": {asRead, func(t *tale) { t.alter("read 1.1", func(r *report) { r.Value = "" }) }},
		"a last word that is not there": {lastWord, func(t *tale) {
			t.after("put 2.2", says("", "n2", attempted, "load", 3, "1.3"))
		}},
		"a last Delete of what is there": {lastWord, func(t *tale) {
			t.after("put 2.2", says("", "n2", attempted, "load", 3, ""))
		}},

		"not all that was present": {presentFirst, func(t *tale) { t.drop("present") }},
		"too much was present":     {presentFirst, func(t *tale) { t.alter("present", func(r *report) { r.Key = "100%" }) }},
		"a change before it was ready": {presentFirst, func(t *tale) {
			t.drop("ready")
		}},
		"present after it was ready": {presentFirst, func(t *tale) {
			t.alter("added 2", func(r *report) { r.Kind = "present" })
		}},
		"a change that was none": {noneInvented, func(t *tale) {
			t.after("added 2", told2("", toldState, "added", 13, "n2", "100%", "1.1", ""))
		}},
		"another value": {noneInvented, func(t *tale) {
			t.alter("modified 1.2", func(r *report) { r.Value = "1.4" })
			t.alter("deleted 1.3", func(r *report) { r.Old = "1.4" })
		}},
		"at another revision": {noneInvented, func(t *tale) { t.alter("deleted 1.3", func(r *report) { r.Revision = 14 }) }},
		"a change to what it was": {noneInvented, func(t *tale) {
			t.after("told back", role2(told2("", toldNodes, "changed", 18, "n2", "", "B tag ", "B tag "), "follower", "follower"))
		}},
		"an event that is missing, and the next tells it": {oldAsTold, func(t *tale) { t.drop("modified 1.2") }},
		"two events that are missing": {noneLost, func(t *tale) {
			t.drop("added 2")
			t.alter("modified 2.2", func(r *report) { r.Kind, r.Old = "added", "" })
		}},
		"an event that is missing before a gap": {noneLost, func(t *tale) { t.drop("deleted 1.3") }},
		"half a revision before a gap": {noneLost, func(t *tale) {
			t.drop("gap", "mended: jobs")
			t.after("mended: load", gap2("", toldState, 17, 18))
		}},
		"no event of a node": {noneLost, func(t *tale) { t.drop("told expired", "told back") }},
		"back in time": {forward, func(t *tale) {
			t.after("deleted 1.3", told2("", toldState, "added", 14, "n1", "load", "1.2", ""))
		}},
		"a gap that goes back": {forward, func(t *tale) { t.alter("gap", func(r *report) { r.Since = 14 }) }},
		"another value before": {oldAsTold, func(t *tale) { t.alter("deleted 1.3", func(r *report) { r.Old = "1.1" }) }},
		"another role before":  {oldAsTold, func(t *tale) { t.alter("told tagged", func(r *report) { r.OldRole = "follower" }) }},
		"a node that comes twice": {comingAndGoing, func(t *tale) {
			t.after("told back", role2(told2("", toldNodes, "joined", 18, "n2", "", "B tag ", ""), "", "follower"))
		}},
		"a node that goes twice": {comingAndGoing, func(t *tale) {
			t.after("told expired", told2("", toldNodes, "expired", 17, "n2", "", "", "B tag "))
		}},
		"a key that is modified and was not there": {comingAndGoing, func(t *tale) {
			t.alter("added 2", func(r *report) { r.Kind = "modified" })
		}},
		"a node that has not left":    {asItWent, func(t *tale) { t.alter("told expired", func(r *report) { r.Kind = "left" }) }},
		"a node that has not expired": {asItWent, func(t *tale) { t.alter("told left", func(r *report) { r.Kind = "expired" }) }},
		"gone, although all was seen": {asItWent, func(t *tale) { t.alter("told left", func(r *report) { r.Kind = "gone" }) }},
		"a gap without all of what follows": {gapMended, func(t *tale) {
			t.drop("mended: jobs", "gone: jobs")
		}},
		"a gap that tells what was so meanwhile": {gapMended, func(t *tale) {
			t.after("mended: load", told2("", toldState, "deleted", 18, "n2", "load", "", "1.1"))
		}},
		"a gap with another value": {gapMended, func(t *tale) { t.alter("mended: load", func(r *report) { r.Value = "1.2" }) }},
		"two that lead":            {oneLeads, func(t *tale) { t.drop("told deposed", "told left") }},
		"an end in silence": {errorLast, func(t *tale) {
			t.after("did 2.2", step{"", "n2", report{What: watchEnded, Kind: toldState, Life: 1}})
		}},
		"a watch that has not told all": {viewsEqual, func(t *tale) { t.drop("gone: load") }},
		"a watch that does not know who leads": {viewsEqual, func(t *tale) {
			t.drop("told elected")
		}},
		"a watch that knows of no node": {viewsEqual, func(t *tale) { t.drop("told left") }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			story := aTale()
			tt.doctor(&story)
			a := story.account(t)
			var found []rule
			for _, err := range append(a.whole(story), a.problem()) {
				if b := (*breach)(nil); errors.As(err, &b) {
					found = append(found, b.rule)
				}
			}
			if !slices.Contains(found, tt.rule) {
				t.Errorf("found %q, want %q", found, tt.rule)
			}
		})
	}
}

// What goes on after its end is a problem, whatever it tells.
func TestAWatchThatGoesOnAfterItsEndIsToldOf(t *testing.T) {
	t.Parallel()
	story := aTale()
	story.after("modified 1.2", step{"", "n2", report{What: watchEnded, Kind: toldState, Life: 1, Err: "closed"}})
	if story.account(t).problem() == nil {
		t.Error("nothing is wrong")
	}
}

// A watch must end when its node is closed, unless the process was killed; and what a
// process did not tell before it was killed is not missed.
func TestWatchesOfTheDead(t *testing.T) {
	t.Parallel()
	story := aTale()
	story.drop("gone: jobs", "told left")
	a := story.account(t)
	if errs := a.checkFleet(0, forever, true); len(errs) != 2 {
		t.Errorf("want two watches that have not ended, got %v", errs)
	}
	a.died("n2", []string{fleet})
	if err := errors.Join(a.checkFleet(0, forever, true)...); err != nil {
		t.Error(err)
	}
	if got := slices.Collect(maps.Keys(a.lives)); len(got) > 0 {
		t.Errorf("live: %q", got)
	}
}
