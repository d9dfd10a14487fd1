package tenure_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// What the fuzzers put into the store first: records, and what is none.
var strange = []string{
	`{"v":1,"session":"0000000000000001","member":"a","endpoint":"10.0.0.1:80","ttl":10000000000}`,
	`{"v":1,"session":"0000000000000002","member":"b","ttl":10000000000,"vacancy":{"token":7,"by":"o","why":"w"}}`,
	`{"v":1,"session":"0000000000000002","member":"b","ttl":10000000000,"priority":3,"state":"waiting"}`,
	`{"v":1,"by":"operator@host","why":"a disk","token":3,"to":"b"}`,
	`{"v":1,"id":"a","session":"0000000000000001","instance":"X","endpoint":"e","ttl":10000000000}`,
	`{"v":1,"member":"a","token":1,"data":"AAEC"}`,
	`{"v":1,"session":"0000000000000002","member":"b","ttl":-9223372036854775808}`,
	`{"v":2}`, `{`, `null`, "\xff", "",
}

func FuzzViews(f *testing.F) {
	for i := range strange {
		at := func(n int) []byte { return []byte(strange[(i+n)%len(strange)]) }
		f.Add(at(0), at(2), at(3), at(5), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seat, candidate, pause, announced []byte, leased bool) {
		ctx, st := t.Context(), memstore.New()
		defer st.Close()
		lease := store.NoLease
		if leased {
			l, err := st.Grant(ctx, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			lease = l.ID
		}
		res, err := st.Commit(ctx, store.Tx{Then: []store.Op{
			store.Put("leaders/n", seat, lease), store.Put("candidates/n/0000000000000002", candidate, lease),
			store.Put("control/elections/n", pause, store.NoLease), store.Put("announce/n", announced, lease),
		}})
		if err != nil {
			t.Fatal(err)
		}
		v := tenure.NewView(st, "n")
		status, err := v.Status(ctx)
		orCorrupt(t, "status", err)
		all, surveyed := tenure.Survey(ctx, st)
		orCorrupt(t, "survey", surveyed)
		if (err == nil) != (surveyed == nil) || len(all) != 1 || !reflect.DeepEqual(all[0], status) {
			t.Errorf("status %+v, %v; survey %+v, %v", status, err, all, surveyed)
		}
		_, led, err := v.Read(ctx)
		orCorrupt(t, "read", err)
		if led != (status.Leader != nil) {
			t.Errorf("read says that somebody leads: %v; status %+v", led, status)
		}
		_, _, err = v.Announcement(ctx)
		orCorrupt(t, "announcement", err)
		for ev, err := range v.Observe(ctx) {
			orCorrupt(t, "observe", err)
			if err == nil && (ev.Kind == tenure.Elected) != led {
				t.Errorf("observed %+v; status %+v", ev, status)
			}
			break
		}
		// Whatever lies in a seat can be deposed, and what is left there can be read.
		if err := v.Depose(ctx, res.Revision, tenure.Reason{Why: "a test"}); err != nil {
			t.Errorf("depose: %v", err)
		}
		status, err = v.Status(ctx)
		orCorrupt(t, "status", err)
		if status.Vacancy == nil || status.Leader != nil {
			t.Errorf("after it was deposed: %+v", status)
		}
	})
}

// orCorrupt allows one error: that a record cannot be read.
func orCorrupt(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, tenure.ErrCorrupt) {
		t.Errorf("%s: %v", what, err)
	}
}

func FuzzMember(f *testing.F) {
	for i := range strange {
		at := func(n int) []byte { return []byte(strange[(i+n)%len(strange)]) }
		f.Add(at(0), at(2), at(4), at(3), byte(i))
	}
	f.Fuzz(func(t *testing.T, seat, candidate, owner, order []byte, how byte) {
		synctest.Test(t, func(t *testing.T) { meet(t, seat, candidate, owner, order, how) })
	})
}

// meet has a member join a store with values in it that nobody has written, campaign for
// longer than they may live, and go.
func meet(t *testing.T, seat, candidate, owner, order []byte, how byte) {
	ctx, st := t.Context(), memstore.New()
	defer st.Close()
	lease, err := st.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	at := []store.LeaseID{store.NoLease, lease.ID}
	ops := []store.Op{
		store.Put("leaders/n", seat, at[how&1]), store.Put("members/a", owner, at[how>>1&1]),
		store.Put("candidates/n/0000000000000001", candidate, lease.ID), // of a rival
		store.Put("candidates/n/0000000000000002", candidate, lease.ID), // of the member itself
		store.Put("control/transfers/n", order, store.NoLease), store.Put("control/elections/n", order, store.NoLease),
		store.Put("control/members/a", order, store.NoLease), store.Put("sessions/0000000000000002/terms/n", seat, lease.ID),
	}
	for i, op := range ops {
		if how>>2&1 == 0 || i%2 == int(how>>3&1) { // all, or every other
			if _, err := st.Commit(ctx, store.Tx{Then: []store.Op{op}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		if !errors.Is(err, tenure.ErrCorrupt) && !errors.Is(err, tenure.ErrDuplicateMember) {
			t.Errorf("join: %v", err)
		}
		return
	}
	waiting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	l, err := m.Campaign(waiting, "n", tenure.CampaignOptions{})
	switch {
	case err == nil:
		if err := l.Resign(ctx); err != nil && !errors.Is(err, tenure.ErrLost) {
			t.Errorf("resign: %v", err)
		}
	case !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("campaign: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	left, err := st.List(ctx, store.Prefix(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left.Entries {
		if e.Lease != store.NoLease && e.Lease != lease.ID {
			t.Errorf("left behind: %s", e.Key)
		}
	}
}
