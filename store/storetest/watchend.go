package storetest

import (
	"context"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

var watchEndChecks = []check{
	{"watch/cancelled", "Watch ends with the context's own error as its last element.", watchCancelled},
	{"watch/deadline", "Watch ends when the deadline of its context passes, with that error.", watchDeadline},
	{"watch/closed", "Close ends every watch of its handle with ErrClosed, and no other.", watchClosed},
	{"watch/compacted", "Watch ends with ErrCompacted, and yields nothing, when history after the revision is gone.", watchCompacted},
	{"watch/after-compaction", "A watch from the revision of a listing that was made after a compaction sees what follows.", watchAfterCompaction},
	{"watch/left", "Leaving the loop over a watch leaves nothing running.", watchLeft},
	{"watch/slow", "A watch whose consumer is slow delays no commit; it then has the last state, or says that it lost track.", watchSlow},
}

func watchCancelled(e *env) {
	e.keepHistory()
	st := e.open()
	w := e.started(st, "", "begin")
	w.cancel()
	w.wantEnd(context.Canceled)
}

func watchDeadline(e *env) {
	e.keepHistory()
	st := e.open()
	rev := e.list(st, store.Query{}).Revision
	ctx, cancel := context.WithTimeout(e.ctx, 100*time.Millisecond)
	e.watchCtx(ctx, cancel, st, "", rev).wantEnd(context.DeadlineExceeded)
}

func watchClosed(e *env) {
	e.keepHistory()
	raw, st := e.openRaw()
	other := e.open()
	first, second := e.started(st, "", "begin"), e.started(st, "begin", "begin")
	stays := e.started(other, "", "begin")
	e.within("Close", func() { e.must(raw.Close(), "close") })
	first.wantEnd(store.ErrClosed)
	second.wantEnd(store.ErrClosed)
	rev := e.put(other, "end", "")
	stays.upTo(rev)
}

func watchCompacted(e *env) {
	raw, st := e.openRaw()
	first := e.put(st, "a", "1")
	second := e.put(st, "a", "2")
	e.write(st, store.Delete("a"))
	e.put(st, "b", "1")
	e.dropHistory(raw)
	for _, after := range []store.Revision{0, first - 1, first, second} {
		events := e.watch(st, "", after).wantEnd(store.ErrCompacted)
		e.check(len(events) == 0, "watch: %v from a history with a hole", brief(events))
	}
}

func watchAfterCompaction(e *env) {
	raw, st := e.openRaw()
	e.put(st, "a", "1")
	e.write(st, store.Delete("a"))
	e.dropHistory(raw)
	l := e.list(st, store.Prefix(""))
	w := e.watch(st, "", l.Revision)
	b := e.put(st, "b", "1")
	e.wantEvents(st, w.events(b), at("put", "b", b))
	c := e.put(st, "c", "1")
	e.wantEvents(st, e.watch(st, "", l.Revision).events(c), at("put", "b", b), at("put", "c", c))
}

func watchLeft(e *env) {
	e.keepHistory()
	st := e.open()
	rev := e.put(st, "a", "")
	leave := func() {
		for _, err := range st.Watch(e.ctx, "", rev-1) {
			e.must(err, "watch")
			return
		}
	}
	leave() // what a driver starts once and keeps, it starts here
	e.wantNoneLeft("a watch was left", 20, leave)
}

func watchSlow(e *env) {
	e.keepHistory()
	st, other := e.open(), e.open()
	w := e.started(st, "", "begin")
	value := strings.Repeat("v", 1<<10)
	var rev store.Revision
	e.within("commits beside a watch that nobody reads", func() {
		for range 50 {
			e.put(st, "a", value)
			rev = e.put(other, "b", value)
			e.sleep(betweenReads) // so that the watch gets a step in hand early on
		}
	})
	events, lost := w.drain(rev)
	if lost {
		return
	}
	last := lastOfEach(events)
	e.check(len(last) == 2 && last[1].Entry.Key == "b" && last[1].Entry.Modified == rev,
		"watch: read late, it ends with %v, want %s", brief(last), at("put", "b", rev))
}
