package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// The Examples of docs/coming-from.md for those who come from PD's election package.
// What needs etcd is in store/etcdstore.

// A campaign with conditions of one's own: here, that the schema is the one that this
// process knows. Who is elected although one does not hold passes the seat on.
func Example_conditionsOfACampaign() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	schema, err := tenure.Data(st).Commit(ctx, store.Tx{Then: []store.Op{store.Put("schema", []byte("7"), store.NoLease)}})
	if err != nil {
		log.Fatal(err)
	}
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	opts := tenure.CampaignOptions{If: []store.Cond{store.ModifiedAt("schema", schema.Revision), store.Absent("frozen")}}
	term, err := m.Campaign(ctx, "tso", opts)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("held:", term.Held())
	_, err = term.Commit(ctx, store.Tx{Then: []store.Op{store.Put("frozen", nil, store.NoLease)}})
	if err != nil {
		log.Fatal(err)
	}
	_ = term.Resign(ctx)

	_, err = m.Campaign(ctx, "tso", opts)
	fmt.Println(err)
	fmt.Println(errors.Is(err, tenure.ErrConditionFailed))
	// Output:
	// held: true
	// campaign "tso": tenure: a condition of the campaign does not hold: that key "frozen" is absent
	// true
}

// A lease without an election: it is renewed for as long as the member lives, and
// keys that hang on it go with it.
func Example_leaseOnItsOwn() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", TTL: 3 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	session, err := m.Session(ctx) // Grant and KeepAlive
	if err != nil {
		log.Fatal(err)
	}
	data := tenure.Data(st)
	_, err = data.Commit(ctx, store.Tx{Then: []store.Op{store.Put("here/a", []byte("10.0.0.1:80"), session.Lease())}})
	fmt.Println("alive:", session.Held(), err) // not IsExpired

	if err := m.Close(); err != nil {
		log.Fatal(err)
	}
	left, err := data.List(ctx, store.Prefix("here/"))
	fmt.Println("alive:", session.Held(), "keys:", len(left.Entries), err)
	fmt.Println(context.Cause(session.Context()))
	// Output:
	// alive: true <nil>
	// alive: false keys: 0 <nil>
	// tenure: member closed
}

// A session that is lost says so. The member makes another one.
func Example_leaseLost() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", TTL: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	first, err := m.Session(ctx)
	if err != nil {
		log.Fatal(err)
	}

	revokeSession(ctx, st, "a")
	<-first.Context().Done()
	fmt.Println(context.Cause(first.Context()), first.Held())
	next, err := m.Session(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("another:", next.Held(), next.ID() != first.ID())
	// Output:
	// tenure: session expired false
	// another: true true
}

// How often a member has lost its leadership of late, against its will, is counted,
// and makes it stand back; what it resigns is not.
func Example_campaignTimes() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", FlapLimit: 3})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	terms := 0
	err = m.Lead(ctx, "tso", func(context.Context, tenure.Term) error {
		if terms++; terms <= 3 {
			return errors.New("the timestamp cannot be loaded")
		}
		return nil
	}, tenure.LeadOptions{Retry: true})
	fmt.Println(err, m.Flaps("tso"))
	m.ResetFlaps("tso")
	fmt.Println(m.Flaps("tso"))
	// Output:
	// <nil> 3
	// 0
}

// Whoever watches a leader is told of its end, and then of the next one.
func Example_watchUntilTheLeaderIsGone() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	term, err := m.Campaign(ctx, "tso", tenure.CampaignOptions{})
	if err != nil {
		log.Fatal(err)
	}

	for ev, err := range tenure.NewView(st, "tso").Observe(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Kind, ev.Leader.Member)
		if ev.Kind == tenure.Vacant {
			break
		}
		go func() { _ = term.Resign(ctx) }()
	}
	// Output:
	// elected a
	// vacant
}

// What the leader writes under its term is written only while the term is current: an
// older one of the same member does not pass.
func Example_leaderTxn() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var guards []tenure.Guard
	for range 2 {
		term, err := m.Campaign(ctx, "tso", tenure.CampaignOptions{})
		if err != nil {
			log.Fatal(err)
		}
		guards = append(guards, term.Guard())
		if len(guards) < 2 {
			_ = term.Resign(ctx)
		}
	}

	for _, guard := range guards { // in a transaction of the program's own
		res, err := st.Commit(ctx, store.Tx{
			If:   []store.Cond{guard.Cond(), store.Absent("timestamp")},
			Then: []store.Op{store.Put("timestamp", []byte("42"), store.NoLease)},
		})
		fmt.Println(guard.Key, res.Committed, err)
	}
	// Output:
	// leaders/tso false <nil>
	// leaders/tso true <nil>
}

// Another TTL is another session: close the member and join anew. Whoever waits has
// the seat at once, and nobody waits for the old TTL to pass.
func Example_anotherTTL() {
	ctx := context.Background()
	st := memstore.New()
	defer st.Close()
	view := tenure.NewView(st, "tso")
	for _, ttl := range []time.Duration{3 * time.Second, 5 * time.Second} {
		m, err := tenure.Join(ctx, st, tenure.Options{ID: "a", TTL: ttl})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := m.Campaign(ctx, "tso", tenure.CampaignOptions{}); err != nil {
			log.Fatal(err)
		}
		leader, _, err := view.Read(ctx)
		fmt.Println(leader.Member, leader.TTL, err)
		if err := m.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// a 3s <nil>
	// a 5s <nil>
}

// pdVersion is the line of tikv/pd whose pkg/election has these names.
const pdVersion = "release-8.5"

var pdNames = []string{
	"GetLeader", "Leadership", "NewLeadership", "Leadership.AddCampaignTimes", "Leadership.Campaign",
	"Leadership.Check", "Leadership.DeleteLeaderKey", "Leadership.GetCampaignTimesNum", "Leadership.GetClient",
	"Leadership.GetLeaderKey", "Leadership.GetLease", "Leadership.IsPrimary", "Leadership.Keep",
	"Leadership.LeaderTxn", "Leadership.Reset", "Leadership.ResetCampaignTimes", "Leadership.SetLease",
	"Leadership.SetPrimaryWatch", "Leadership.Watch", "Lease", "Lease.Purpose", "Lease.ID", "NewLease",
	"Lease.Close", "Lease.Grant", "Lease.IsExpired", "Lease.KeepAlive",
}
