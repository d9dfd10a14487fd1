package etcdstore

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure"
)

// What LeaderTxn of tikv/pd is for: a transaction of the user's, by his own client, over
// keys outside the store's prefix and with comparisons of his own. There a later term of
// the same member passes for an earlier one, because the comparison is of its value.
func TestTransactionsOfTheUsersOwnClientAreFencedByTheTerm(t *testing.T) {
	t.Parallel()
	conf := plain.config(t)
	client := newClient(t, conf)
	st, err := New(t.Context(), client, conf.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	m, err := tenure.Join(t.Context(), st, tenure.Options{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	key := "own-" + conf.Prefix // outside of it
	write := func(term *tenure.Leadership, value string, own ...clientv3.Cmp) bool {
		t.Helper()
		res, err := client.Txn(t.Context()).
			If(append(own, st.Compare(term.Guard().Cond()))...).
			Then(clientv3.OpPut(key, value)).
			Else(clientv3.OpGet(key)).
			Commit()
		if err != nil {
			t.Fatal(err)
		}
		return res.Succeeded
	}
	campaign := func() *tenure.Leadership {
		t.Helper()
		term, err := m.Campaign(t.Context(), election, tenure.CampaignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return term
	}
	first := campaign()
	if !write(first, "first", clientv3.Compare(clientv3.CreateRevision(key), "=", 0)) {
		t.Error("refused in its term")
	}
	if write(first, "first", clientv3.Compare(clientv3.CreateRevision(key), "=", 0)) {
		t.Error("a comparison of the user's own was left out")
	}
	if err := first.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if write(first, "late") {
		t.Error("written with nobody leading")
	}
	second := campaign()
	if write(first, "late") {
		t.Error("written by an older term of the same member")
	}
	if !write(second, "second") {
		t.Error("refused in its term")
	}
	res, err := client.Get(t.Context(), key)
	if err != nil || len(res.Kvs) != 1 || string(res.Kvs[0].Value) != "second" {
		t.Errorf("%v, %v", res, err)
	}
}
