package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/tenure-go/tenure/store"
)

func TestHandlesSeeEachOther(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a, b := f.open(t, Options{}), f.open(t, Options{})
	w := watch(t, b, "x/", 0)
	if ch := w.next(t); len(ch.Events) > 0 || ch.Revision != 0 {
		t.Errorf("a watch of nothing begins with %+v", ch)
	}
	start := time.Now()
	const times = 50
	for i := range times {
		put(t, a, "y", "", store.NoLease)
		rev := put(t, a, "x/k", fmt.Sprint(i), store.NoLease)
		if ch := w.event(t); ch.Revision != rev || len(ch.Events) != 1 || string(ch.Events[0].Entry.Value) != fmt.Sprint(i) {
			t.Fatalf("got %+v at revision %d", ch, rev)
		}
	}
	if took := time.Since(start); took > times*slowRound/4 {
		t.Errorf("%d commits took %v to be seen", times, took)
	}
}

// A watch may come to the feed ahead of it, or ask for what is yet to come.
func TestWatchAheadOfFeed(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	first := watch(t, s, "", 0)
	first.next(t)
	c := <-s.feeder // the feed stands still
	put(t, s, "k", "1", store.NoLease)
	rev := put(t, s, "k", "2", store.NoLease)
	second, future := watch(t, s, "", 0), watch(t, s, "", rev+3)
	second.wait(t, rev)
	for joined := 0; joined < 3; time.Sleep(time.Millisecond) { // nothing tells when a watch has joined
		s.mu.Lock()
		joined = len(s.watchers)
		s.mu.Unlock()
	}
	rev = put(t, s, "k", "3", store.NoLease) // which is new to second, in one page with what is not
	s.feeder <- c
	first.wait(t, rev)
	if ch := second.event(t); ch.Revision != rev {
		t.Errorf("revision %d came instead of %d", ch.Revision, rev)
	}
	for i := range store.Revision(3) {
		put(t, s, "k", "", store.NoLease)
		for _, w := range []*watching{first, second} {
			if ch := w.event(t); ch.Revision != rev+1+i {
				t.Errorf("revision %d came instead of %d", ch.Revision, rev+1+i)
			}
		}
	}
	if ch := future.next(t); ch.Revision != rev+3 || len(ch.Events) != 1 {
		t.Errorf("a watch after revision %d got %+v", rev+2, ch)
	}
}

// A feed that lost its last watch may be in the middle of a round while the
// next one has begun.
func TestFormerFeedTellsNothing(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	w := watch(t, s, "", 0)
	w.next(t)
	s.deliver(&feed{}, page{upto: 9})
	put(t, s, "k", "", store.NoLease)
	if ch := w.event(t); ch.Revision != 1 {
		t.Errorf("got %+v", ch)
	}
}

func TestUnrungBellHeals(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a, b := f.open(t, Options{}), f.open(t, Options{})
	a.bell = t.TempDir() // which cannot be rung
	w := watch(t, b, "", 0)
	w.next(t)
	for range 2 {
		put(t, a, "k", "", store.NoLease)
		w.event(t)
	}
}

func TestRemovedBellHeals(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a, b := f.open(t, Options{}), f.open(t, Options{})
	w := watch(t, b, "", 0)
	w.next(t)
	put(t, a, "k", "", store.NoLease)
	w.event(t)
	start := time.Now()
	const times = 10
	for i := range times {
		if i%2 == 0 {
			if err := os.Remove(b.bell); err != nil {
				t.Fatal(err)
			}
		} else { // replaced
			write(t, b.bell+"2", "")
			if err := os.Rename(b.bell+"2", b.bell); err != nil {
				t.Fatal(err)
			}
		}
		put(t, a, "k", "", store.NoLease)
		w.event(t)
	}
	if took := time.Since(start); took > times*slowRound/2 {
		t.Errorf("%d commits took %v to be seen", times, took)
	}
}

func TestWatchWithoutNotification(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a := f.open(t, Options{})
	b := f.open(t, Options{newWatcher: func() (*fsnotify.Watcher, error) { return nil, errors.New("too many") }})
	w := watch(t, b, "", 0)
	w.next(t)
	start := time.Now()
	const times = 10
	for range times {
		put(t, a, "k", "", store.NoLease)
		w.event(t)
	}
	if took := time.Since(start); took > times*slowRound/4 {
		t.Errorf("%d commits took %v to be seen", times, took)
	}
}

// A watch whose consumer sleeps gets everything in the end, out of the log,
// and holds nobody up.
func TestSlowWatch(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a, b := f.open(t, Options{}), f.open(t, Options{})
	slow, quick := watch(t, b, "", 0), watch(t, b, "", 0)
	slow.next(t)
	quick.next(t)
	const commits = maxQueue + 1000
	var last store.Revision
	for i := range commits {
		last = put(t, a, "k", fmt.Sprint(i), store.NoLease)
		if ch := quick.event(t); ch.Revision != last {
			t.Fatalf("quick: revision %d came as %d", last, ch.Revision)
		}
	}
	b.mu.Lock()
	lagging := 0
	for w := range b.watchers {
		if !w.live {
			lagging++
		}
		if len(w.queue) > maxQueue {
			t.Errorf("%d changes in a queue", len(w.queue))
		}
	}
	b.mu.Unlock()
	if lagging != 1 {
		t.Errorf("%d watches are behind, want 1", lagging)
	}
	for i := range commits {
		ch := slow.event(t)
		if got := string(ch.Events[0].Entry.Value); got != fmt.Sprint(i) {
			t.Fatalf("slow: change %d came as %s", i, got)
		}
	}
	rev := put(t, a, "k", "live", store.NoLease)
	if ch := slow.event(t); ch.Revision != rev {
		t.Errorf("slow: revision %d came as %d", rev, ch.Revision)
	}
}

func TestLargeValuesStayOutOfQueues(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	w := watch(t, s, "", 0)
	w.next(t)
	const commits = 20 // of 1 MiB
	for i := range commits {
		put(t, s, "k", strings.Repeat(string(rune('a'+i)), 1<<20), store.NoLease)
	}
	s.mu.Lock()
	for w := range s.watchers {
		if w.bytes > 8<<20 {
			t.Errorf("%d bytes in a queue", w.bytes)
		}
	}
	s.mu.Unlock()
	for i := range commits {
		if v := w.event(t).Events[0].Entry.Value; len(v) != 1<<20 || v[0] != byte('a'+i) {
			t.Fatalf("change %d has %d bytes of %c", i, len(v), v[0])
		}
	}
}

// A watch that has nothing to tell must be able to resume nevertheless.
func TestQuietWatchTellsProgress(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	w := watch(t, s, "quiet/", 0)
	w.next(t)
	for range progressEvery {
		put(t, s, "k", "", store.NoLease)
	}
	if ch := w.next(t); ch.Revision != progressEvery || len(ch.Events) > 0 {
		t.Errorf("got %+v", ch)
	}
}

func TestHistoryIsTrimmed(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{History: 100})
	const commits = 100 + 3*trimEvery
	for range commits {
		put(t, s, "k", "v", store.NoLease)
	}
	if err := watch(t, s, "", commits-101-trimEvery).end(t); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("the watch ended with %v", err)
	}
	w := watch(t, s, "", commits-100)
	for i := range store.Revision(100) {
		if ch := w.next(t); ch.Revision != commits-99+i {
			t.Fatalf("change %d has revision %d", i, ch.Revision)
		}
	}
	if rows, bytes := logged(t, s); rows > 100+trimEvery || bytes != 2*rows {
		t.Errorf("the log has %d rows and counts %d bytes", rows, bytes)
	}
}

func TestHistoryOfLargeValuesIsTrimmed(t *testing.T) {
	t.Parallel()
	s := newFile(t).open(t, Options{})
	value := strings.Repeat("v", 1<<20)
	var peak int64
	for range maxLogged>>20 + 20 {
		put(t, s, "k", value, store.NoLease)
		_, bytes := logged(t, s)
		peak = max(peak, bytes)
	}
	rows, bytes := logged(t, s)
	if want := rows * (1<<20 + 1); bytes != want || peak > maxLogged || peak < maxLogged/2 {
		t.Errorf("%d rows count as %d bytes, want %d; at most %d", rows, bytes, want, peak)
	}
	w := watch(t, s, "", list(t, s, store.Query{}).Revision-20)
	for range 20 {
		w.event(t)
	}
}

func logged(t *testing.T, s *Store) (rows, bytes int64) {
	t.Helper()
	err := s.read(t.Context(), s.readers, func(c *conn, st state) (err error) {
		rows, err = c.number("SELECT count(*) FROM log")
		bytes = st.logged
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, bytes
}

func TestCompactedWatch(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	s := f.open(t, Options{})
	put(t, s, "k", "v", store.NoLease)
	rev := put(t, s, "k", "v", store.NoLease)
	if err := f.open(t, Options{}).Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := watch(t, s, "", rev-1).end(t); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("the watch ended with %v", err)
	}
	w := watch(t, s, "", rev)
	w.next(t)
	if rows, bytes := logged(t, s); rows != 0 || bytes != 0 {
		t.Errorf("%d rows, %d bytes are left", rows, bytes)
	}
	if err := s.Compact(t.Context()); err != nil { // nothing to do, and no harm to w
		t.Fatal(err)
	}
	if next := put(t, s, "k", "v", store.NoLease); w.event(t).Revision != next {
		t.Error("the watch has missed a change")
	}
}

// History that went by unseen is found out, whether the feed or the watch was
// behind it, and Follow carries on from the difference.
func TestFollowOverCompaction(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	a, b := f.open(t, Options{}), f.open(t, Options{})
	put(t, a, "gone", "v", store.NoLease)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reported []error
	known := map[string]string{}
	for batch, err := range store.Follow(ctx, b, "", func(err error) { reported = append(reported, err) }) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range batch.Events {
			if ev.Deleted {
				delete(known, ev.Entry.Key)
			} else {
				known[ev.Entry.Key] = string(ev.Entry.Value)
			}
		}
		if !batch.Listed && batch.Revision == 1 { // live
			c := <-b.feeder // b sees nothing for now
			commit(t, a, store.Tx{Then: []store.Op{store.Delete("gone"), store.Put("new", []byte("v"), store.NoLease)}})
			put(t, a, "new", "w", store.NoLease)
			if err := a.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.feeder <- c
		}
		if batch.Revision == 3 {
			break
		}
	}
	if len(known) != 1 || known["new"] != "w" {
		t.Errorf("got %v", known)
	}
	if len(reported) != 1 || !errors.Is(reported[0], store.ErrCompacted) {
		t.Errorf("reported %v", reported)
	}
}
