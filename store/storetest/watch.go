package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenure-go/tenure/store"
)

var watchChecks = []check{
	{"watch/history", "Watch yields what happened after the given revision, in order, also what happened before it was called.", watchHistory},
	{"watch/after", "Watch yields nothing of what happened up to the given revision.", watchAfter},
	{"watch/live", "Watch yields what happens while it runs, in order.", watchLive},
	{"watch/together", "One Changes holds all events of one revision.", watchTogether},
	{"watch/every-change", "With EveryChange, Watch yields every change, those of one revision at a time.", watchEveryChange},
	{"watch/last-state", "Whatever Watch reduces, its events lead to the state that List returns.", watchLastState},
	{"watch/deletes", "A delete is never reduced to nothing.", watchDeletes},
	{
		"watch/monotone",
		"The revisions of a watch rise; a Changes says that the watch is complete up to its revision and holds no key twice.",
		watchMonotone,
	},
	{"watch/prefix", "Watch yields the changes of the keys under its prefix, and no others.", watchPrefix},
	{"watch/handles", "Watch sees what is committed through any handle.", watchHandles},
	{"watch/entry", "An event carries the whole entry, that of a delete the key and the revision of the deletion.", watchEntry},
	{"watch/from-listing", "A watch from the revision of a Listing misses nothing after it and repeats nothing of it.", watchFromListing},
}

// brief writes events as "put a@3".
func brief(events []store.Event) []string {
	var all []string
	for _, ev := range events {
		what := "put"
		if ev.Deleted {
			what = "delete"
		}
		all = append(all, fmt.Sprintf("%s %s@%d", what, ev.Entry.Key, ev.Entry.Modified))
	}
	return all
}

// lastOfEach keeps the last event of each key, in order.
func lastOfEach(events []store.Event) []store.Event {
	var last []store.Event
	for i, ev := range events {
		same := func(later store.Event) bool { return later.Entry.Key == ev.Entry.Key }
		if !slices.ContainsFunc(events[i+1:], same) {
			last = append(last, ev)
		}
	}
	return last
}

// wantEvents fails the check unless got is want, or, where the store may reduce
// them, the last events of each key are those of want.
func (e *env) wantEvents(st store.Store, got []store.Event, want ...string) {
	if !st.Capabilities().EveryChange {
		got = lastOfEach(got)
		want = lastPerKey(want)
	}
	e.check(slices.Equal(brief(got), want), "watch: got %v, want %v", brief(got), want)
}

// lastPerKey keeps the last of each key of what brief wrote.
func lastPerKey(all []string) []string {
	key := func(s string) string {
		_, s, _ = strings.Cut(s, " ")
		return s[:strings.LastIndexByte(s, '@')]
	}
	var last []string
	for i, s := range all {
		if !slices.ContainsFunc(all[i+1:], func(later string) bool { return key(later) == key(s) }) {
			last = append(last, s)
		}
	}
	return last
}

func watchHistory(e *env) {
	e.keepHistory()
	st := e.open()
	before := e.put(st, "a", "1")
	b, c := e.put(st, "b", "1"), e.put(st, "c", "1")
	gone := e.write(st, store.Delete("b"))
	d := e.put(st, "d", "1")
	want := []string{at("put", "b", b), at("put", "c", c), at("delete", "b", gone), at("put", "d", d)}
	e.wantEvents(st, e.watch(st, "", before).events(d), want...)
	e.wantEvents(st, e.watch(st, "", before-1).events(d), append([]string{at("put", "a", before)}, want...)...)
	e.wantEvents(st, e.watch(st, "", c).events(d), want[2:]...)
}

func at(what, key string, rev store.Revision) string { return fmt.Sprintf("%s %s@%d", what, key, rev) }

func watchAfter(e *env) {
	e.keepHistory()
	st := e.open()
	e.put(st, "a", "1")
	e.put(st, "b", "1")
	now := e.write(st, store.Delete("b"))
	w := e.watch(st, "", now)
	later := e.put(st, "c", "1")
	e.wantEvents(st, w.events(later), at("put", "c", later))
}

func watchLive(e *env) {
	e.keepHistory()
	st := e.open()
	w := e.started(st, "", "begin")
	for n := range 5 {
		a := e.put(st, "a", strconv.Itoa(n))
		e.wantEvents(st, w.events(a), at("put", "a", a))
		b := e.put(st, "b", strconv.Itoa(n))
		gone := e.write(st, store.Delete("a"))
		e.wantEvents(st, w.events(gone), at("put", "b", b), at("delete", "a", gone))
	}
}

// wantTogether fails the check unless the keys changed at rev in one Changes.
func (e *env) wantTogether(all []store.Changes, rev store.Revision, want ...string) {
	for _, c := range all {
		var got []string
		for _, ev := range c.Events {
			if ev.Entry.Modified == rev {
				got = append(got, ev.Entry.Key)
			}
		}
		if got == nil {
			continue
		}
		slices.Sort(got)
		e.check(slices.Equal(got, want), "watch: one step has %q of revision %d, which changed %q", got, rev, want)
		return
	}
	e.failf("watch: nothing of revision %d, which changed %q", rev, want)
}

func watchTogether(e *env) {
	e.keepHistory()
	st := e.open()
	e.multiKey(st)
	w := e.started(st, "", "begin")
	start := e.put(st, "gone", "1")
	w.upTo(start)
	rev := e.write(st, store.Put("a", nil, store.NoLease), store.Delete("gone"), store.Put("c", nil, store.NoLease))
	end := e.put(st, "end", "")
	e.wantTogether(w.upTo(end), rev, "a", "c", "gone")
	e.wantTogether(e.watch(st, "", start).upTo(end), rev, "a", "c", "gone")
}

func watchEveryChange(e *env) {
	e.keepHistory()
	st := e.open()
	if !st.Capabilities().EveryChange {
		e.skipf("%s may reduce changes", st.Capabilities().Name)
	}
	live := e.started(st, "", "begin")
	var first, last store.Revision
	for n := range 20 {
		last = e.put(st, "a", strconv.Itoa(n))
		if n == 0 {
			first = last
		}
	}
	for what, w := range map[string]*watch{"live": live, "history": e.watch(st, "", first-1)} {
		all := w.upTo(last)
		e.check(len(all) == 20, "watch (%s): %d steps for 20 commits", what, len(all))
		for n, c := range all {
			e.check(len(c.Events) == 1 && string(c.Events[0].Entry.Value) == strconv.Itoa(n) &&
				c.Events[0].Entry.Modified == c.Revision, "watch (%s): step %d is %+v", what, n, c)
		}
	}
}

// watchLastState lets several writers loose and plays what the watch says.
func watchLastState(e *env) {
	e.keepHistory()
	st := e.open()
	w := e.started(st, "", "begin")
	e.parallel(3, func(i int) {
		st := e.open()
		for n := range 12 {
			key := "key/" + strconv.Itoa((n+i)%4)
			if (n/3)%2 == 1 {
				e.write(st, store.Delete(key))
				continue
			}
			e.put(st, key, fmt.Sprintf("%d/%d", i, n))
		}
	})
	e.put(st, "key/once", "") // of the others, each may have been written twice at the end
	e.wantPlayed(w.events(e.put(st, "end", "")), e.list(st, store.Prefix("key/")))
}

// wantPlayed fails the check unless events lead to l.
func (e *env) wantPlayed(events []store.Event, l store.Listing) {
	played := map[string]store.Entry{}
	for _, ev := range events {
		if played[ev.Entry.Key] = ev.Entry; ev.Deleted {
			delete(played, ev.Entry.Key)
		}
	}
	delete(played, "begin")
	delete(played, "end")
	e.check(len(played) == len(l.Entries), "the watch leads to %d keys, the listing has %d", len(played), len(l.Entries))
	for _, entry := range l.Entries {
		got, ok := played[entry.Key]
		e.check(ok, "the watch knows nothing of %s", entry.Key)
		e.check(got.Modified == entry.Modified && string(got.Value) == string(entry.Value) && got.Created == entry.Created,
			"the watch leads to %+v, the listing has %+v", got, entry)
	}
}

func watchDeletes(e *env) {
	e.keepHistory()
	st := e.open()
	e.put(st, "known", "1")
	w := e.started(st, "", "begin")
	start := e.put(st, "known", "2")
	w.upTo(start)
	e.write(st, store.Delete("known"))
	e.put(st, "known", "3")
	gone := e.write(st, store.Delete("known"))
	end := e.put(st, "end", "")
	for what, events := range map[string][]store.Event{
		"live":    w.events(end),
		"history": e.watch(st, "", start).events(end),
	} {
		last := lastOfEach(events)
		e.check(len(last) == 2 && last[0].Deleted && last[0].Entry.Key == "known" && last[0].Entry.Modified == gone,
			"watch (%s): got %v, want %s before the end", what, brief(last), at("delete", "known", gone))
	}
}

func watchMonotone(e *env) {
	e.keepHistory()
	st, other := e.open(), e.open()
	start := e.put(st, "begin", "")
	w := e.watch(st, "", start-1)
	for n := range 15 {
		e.put(other, "a", strconv.Itoa(n))
		e.put(st, "b", strconv.Itoa(n))
		e.write(other, store.Delete("a"))
	}
	end := e.put(st, "end", "")
	last := start - 1
	for last < end {
		s, ok := w.next()
		e.check(ok, "watch: ended without an error before revision %d", end)
		e.must(s.err, "watch")
		e.check(s.Revision >= last, "watch: revision %d after %d", s.Revision, last)
		seen := map[string]bool{}
		for _, ev := range s.Events {
			rev := ev.Entry.Modified
			e.check(last < rev && rev <= s.Revision, "watch: a change at %d in the step up to %d, after that up to %d", rev, s.Revision, last)
			e.check(!seen[ev.Entry.Key], "watch: %s changes twice in one step", ev.Entry.Key)
			seen[ev.Entry.Key] = true
		}
		last = s.Revision
	}
}

func watchPrefix(e *env) {
	e.keepHistory()
	st := e.open()
	start := e.put(st, "a/", "begin")
	live := e.watch(st, "a/", start-1)
	live.upTo(start)
	for _, key := range []string{"a", "A/1", "a0", "ab", "b", "a.", "/a/", "a/1", "b/a/"} {
		e.put(st, key, "")
		e.write(st, store.Delete(key))
	}
	end := e.put(st, "a/end", "")
	for what, w := range map[string]*watch{"live": live, "history": e.watch(st, "a/", start)} {
		var keys []string
		for _, ev := range lastOfEach(w.events(end)) {
			keys = append(keys, ev.Entry.Key)
		}
		e.check(slices.Equal(keys, []string{"a/1", "a/end"}), "watch (%s) of a/ saw %q", what, keys)
	}
}

func watchHandles(e *env) {
	e.keepHistory()
	st, other := e.open(), e.open()
	first, second := e.started(st, "", "begin"), e.started(other, "", "begin/2")
	first.upTo(e.put(other, "go", ""))
	for _, writer := range []store.Store{other, st, e.open()} {
		a := e.put(writer, "a", "1")
		gone := e.write(writer, store.Delete("a"))
		e.wantEvents(st, first.events(gone), at("put", "a", a), at("delete", "a", gone))
		second.upTo(gone)
	}
}

func watchEntry(e *env) {
	e.keepHistory()
	st := e.open()
	lease := e.grant(st, longTTL)
	w := e.started(st, "", "begin")
	var want []store.Entry
	for _, value := range []string{"1", "2"} {
		rev := e.write(st, store.Put("a", []byte(value), lease.ID))
		want = append(want, store.Entry{Key: "a", Value: []byte(value), Created: rev, Modified: rev, Lease: lease.ID})
		want[len(want)-1].Created = want[0].Created
		events := w.events(rev)
		e.check(len(events) == 1 && !events[0].Deleted, "watch: got %v for one put", brief(events))
		got, want := fmt.Sprintf("%+v", events[0].Entry), fmt.Sprintf("%+v", want[len(want)-1])
		e.check(got == want, "watch: got %s, want %s", got, want)
	}
	gone := e.write(st, store.Delete("a"))
	events := w.events(gone)
	e.check(len(events) == 1 && events[0].Deleted, "watch: got %v for one delete", brief(events))
	entry := events[0].Entry
	e.check(entry.Key == "a" && entry.Modified == gone, "watch: the delete of a at %d came as %q at %d", gone, entry.Key, entry.Modified)
}

// watchFromListing counts up while others list and watch on.
func watchFromListing(e *env) {
	e.keepHistory()
	st := e.open()
	const counts = 30
	e.put(st, "n", "0")
	e.parallel(3, func(i int) {
		if i == 0 {
			for n := range counts {
				e.put(st, "n", strconv.Itoa(n+1))
			}
			return
		}
		e.countFromListing(counts)
	})
}

func (e *env) countFromListing(until int) {
	st := e.open()
	for {
		l := e.list(st, store.Keys("n"))
		at := e.amount(l.Entry("n"))
		if at == until {
			return
		}
		for c, err := range st.Watch(e.ctx, "n", l.Revision) {
			e.must(err, "watch")
			if len(c.Events) == 0 {
				continue
			}
			next := e.amount(&c.Events[0].Entry)
			e.check(next > at, "listed %d, and a watch from there begins with %d", at, next)
			e.check(next == at+1 || !st.Capabilities().EveryChange, "listed %d, and a watch from there goes on with %d", at, next)
			break
		}
	}
}
