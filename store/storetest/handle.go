package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

var handleChecks = []check{
	{"close/twice", "A second Close returns nil.", closeTwice},
	{"close/calls", "Calls after Close return ErrClosed.", closeCalls},
	{"close/keeps-leases", "Close revokes nothing.", closeKeepsLeases},
	{"close/others-go-on", "Close concerns its own handle only.", closeOthersGoOn},
	{"close/gives-back", "Close gives back what the driver holds: nothing of it is left running.", closeGivesBack},
}

func closeTwice(e *env) {
	raw, st := e.openRaw()
	e.put(st, "a", "1")
	e.must(raw.Close(), "close")
	e.must(raw.Close(), "second close")
	e.parallel(2, func(int) { e.must(raw.Close(), "third close") })
	unused, _ := e.openRaw()
	e.must(unused.Close(), "close of a handle that was never used")
}

func closeCalls(e *env) {
	e.keepHistory()
	raw, st := e.openRaw()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", nil, lease.ID))
	e.must(raw.Close(), "close")
	for name, call := range calls(st, lease.ID) {
		e.within(name, func() { e.wantErr(call(e.ctx), store.ErrClosed, "%s after Close", name) })
	}
	other := e.open()
	e.wantAbsent(other, "effect", "Commit after Close")
	e.wantValue(other, "a", "", "Revoke after Close")
}

func closeKeepsLeases(e *env) {
	raw, st := e.openRaw()
	other := e.open()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", []byte("1"), lease.ID))
	e.put(st, "b", "1")
	e.must(raw.Close(), "close")
	e.wantValue(other, "a", "1", "the handle that holds its lease was closed")
	e.wantValue(other, "b", "1", "the handle that put it was closed")
	if other.Capabilities().ForeignLease {
		e.write(other, store.Put("c", []byte("1"), lease.ID))
	}
}

func closeOthersGoOn(e *env) {
	e.keepHistory()
	st := e.open()
	lease := e.grant(st, longTTL)
	w := e.started(st, "", "begin")
	raw, part := e.openRaw()
	e.put(part, "b", "1")
	e.must(raw.Close(), "close")
	_, err := st.Renew(e.ctx, lease.ID)
	e.must(err, "renew")
	rev := e.write(st, store.Put("a", []byte("1"), lease.ID))
	w.upTo(rev)
	e.wantValue(st, "a", "1", "another handle was closed")
	e.revoke(st, lease.ID)
	e.wantAbsent(st, "a", "its lease was revoked")
}

func closeGivesBack(e *env) {
	e.keepHistory()
	run := func() {
		raw, st := e.openRaw()
		lease := e.grant(st, longTTL)
		rev := e.write(st, store.Put("a", nil, lease.ID))
		for _, err := range st.Watch(e.ctx, "", rev-1) {
			e.must(err, "watch")
			break
		}
		e.revoke(st, lease.ID)
		e.must(raw.Close(), "close")
	}
	run() // what a driver starts once and keeps, it starts here
	e.wantNoneLeft("a handle was closed", 10, run)
}

// wantNoneLeft runs f n times and fails the check when n or more goroutines that
// f started are still there after the slack. It knows them by a profiler label,
// which goroutines inherit, and so is not confused by others. Fewer than n may
// stay: a driver may keep some, as a pool does, but not one for each time.
func (e *env) wantNoneLeft(what string, n int, f func()) {
	const name = "storetest"
	label := rand.Text()
	pprof.Do(e.ctx, pprof.Labels(name, label), func(context.Context) {
		for range n {
			f()
		}
	})
	deadline := time.Now().Add(e.Slack)
	for {
		left := goroutines(fmt.Sprintf("%q:%q", name, label))
		if left < n {
			return
		}
		e.check(time.Now().Before(deadline), "%d goroutines are left %v after %s %d times", left, e.Slack, what, n)
		e.sleep(10 * time.Millisecond)
	}
}

// goroutines counts the goroutines with a label. A profile of text form lists them
// as "2 @ 0x45 0x46", followed by a line with their labels.
func goroutines(label string) int {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return 0 // bytes.Buffer does not fail
	}
	total, last := 0, 0
	for line := range strings.Lines(profile.String()) {
		var n int
		if _, err := fmt.Sscanf(line, "%d @ ", &n); err == nil {
			last = n
		}
		if strings.HasPrefix(line, "# labels:") && strings.Contains(line, label) {
			total += last
		}
	}
	return total
}
