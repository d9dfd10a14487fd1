package etcdstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// An etcd whose database is full takes no more writes, which says what is to be
// done. Renewals it takes, so who leads goes on; the seat passes on once there is
// room again.
func TestAFullDatabase(t *testing.T) {
	t.Parallel()
	const quota = 1 << 20
	opts := etcdtest.Options{Quota: quota}
	conf := configOf(t, newCluster(t, opts), opts)
	st := opened(t, conf)
	troubles := make(chan error, 1000)
	join := func(id string) *tenure.Member {
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: id, TTL: electionTTL, Trace: &tenure.Trace{
			Trouble: func(_, _ string, err error) {
				select {
				case troubles <- err:
				default: // enough of them
				}
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	a, b := join("a"), join("b")
	l, err := a.Campaign(t.Context(), election, tenure.CampaignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	won := make(chan *tenure.Leadership, 1)
	go func() {
		next, err := b.Campaign(t.Context(), election, tenure.CampaignOptions{})
		if err != nil {
			t.Error(err)
		}
		won <- next
	}()
	eventually(t, "two candidates", func() bool {
		status, err := tenure.NewView(st, election).Status(t.Context())
		return err == nil && len(status.Candidates) == 2
	})

	fill := bytes.Repeat([]byte("x"), 64<<10)
	began := time.Now()
	for i := 0; err == nil; i++ {
		// A server notices only when it next writes its database to disk.
		if time.Since(began) > patience {
			t.Fatal("the database is never full")
		}
		_, err = st.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put(fmt.Sprint("fill/", i), fill, store.NoLease)}})
	}
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "compact and defragment etcd, then disarm its alarm") {
		t.Errorf("Commit: %v", err)
	}
	time.Sleep(2 * electionTTL) // for as long as a term that is not renewed cannot last
	if !l.Held() {
		t.Errorf("its term was lost: %v", l.Cause())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := l.Resign(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Resign: %v", err)
	}
	select {
	case err := <-troubles:
		if !strings.Contains(err.Error(), "disarm its alarm") {
			t.Errorf("trouble: %v", err)
		}
	default:
		t.Error("no trouble was reported")
	}

	makeRoom(t, conf)
	select {
	case next := <-won:
		if !next.Held() || next.Token() <= l.Token() {
			t.Errorf("the next term: held %v, token %d after %d", next.Held(), next.Token(), l.Token())
		}
	case <-time.After(patience):
		t.Error("nobody leads when there is room again")
	}
}

// makeRoom does what an operator would.
func makeRoom(t *testing.T, conf Config) {
	client := newClient(t, conf)
	deleted, err := client.Delete(t.Context(), conf.Prefix+"/fill/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	_, compacted := client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical())
	_, defragmented := client.Defragment(t.Context(), conf.Endpoints[0])
	_, disarmed := client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	if err := errors.Join(compacted, defragmented, disarmed); err != nil {
		t.Fatal(err)
	}
}
