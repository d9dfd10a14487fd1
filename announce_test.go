package tenure_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

func TestAnAnnouncementGoesWithItsTerm(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.view("x")
		announced := func(want string) {
			t.Helper()
			a, ok, err := v.Announcement(t.Context())
			w.must(err)
			if string(a.Data) != want || ok != (want != "") {
				t.Errorf("announced %q (%v), want %q", a.Data, ok, want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		observed := make(chan struct{})
		go func() {
			defer close(observed)
			for a, err := range v.Announcements(ctx) {
				if err == nil {
					told = append(told, a.Member+string(a.Data))
				}
			}
		}()
		announced("")
		a := w.join("a")
		l := a.campaign("x")
		w.must(l.Announce(t.Context(), []byte("1")))
		w.must(l.Announce(t.Context(), []byte("2")))
		announced("2")
		if err := l.Announce(t.Context(), bytes.Repeat([]byte("x"), tenure.MaxAnnouncement+1)); !errors.Is(err, tenure.ErrInvalid) {
			t.Errorf("too long a one: %v", err)
		}
		q := w.join("b").queue("x", 0)
		w.must(l.Resign(t.Context()))
		announced("")
		if err := l.Announce(t.Context(), nil); !errors.Is(err, tenure.ErrResigned) {
			t.Errorf("after its term: %v", err)
		}
		next := q.leads()
		w.must(next.Announce(t.Context(), []byte("3")))
		w.must(v.Depose(t.Context(), 0, because))
		announced("")
		if err := next.Announce(t.Context(), []byte("4")); err == nil {
			t.Error("the deposed has announced something")
		}
		synctest.Wait()
		cancel()
		<-observed
		if got := strings.Join(told, " "); got != " a1 a2  b3 " {
			t.Errorf("told of %q", got)
		}
		w.commit(store.Put("announce/x", []byte("{"), store.NoLease))
		if _, _, err := v.Announcement(t.Context()); !errors.Is(err, tenure.ErrCorrupt) {
			t.Errorf("one that nobody can read: %v", err)
		}
	})
}

func TestWaitReturnsTheNextLeader(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.view("x")
		var leader tenure.Leader
		waited := make(chan error, 1)
		wait := func(after tenure.Token) {
			go func() {
				var err error
				leader, err = v.Wait(t.Context(), after)
				waited <- err
			}()
			synctest.Wait()
		}
		wait(0)
		l := w.join("a").campaign("x")
		w.must(<-waited)
		if leader.Member != "a" || leader.Token != l.Token() {
			t.Errorf("%+v leads", leader)
		}
		wait(l.Token())
		q := w.join("b").queue("x", 0)
		w.must(l.Resign(t.Context()))
		q.leads()
		w.must(<-waited)
		if leader.Member != "b" {
			t.Errorf("%+v leads", leader)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := v.Wait(ctx, leader.Token); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait: %v", err)
		}
	})
}
