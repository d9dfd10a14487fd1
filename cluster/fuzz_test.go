package cluster

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

var records = []string{
	`{"v":1,"id":"a","incarnation":"ABC","endpoint":"10.0.0.1:80","version":"1","tags":{"zone":"eu"},"started":"2026-01-02T03:04:05.678Z","tick":1000000000}`,
	`{"v":1,"id":"b","incarnation":"","started":"0001-01-01T00:00:00Z","tick":-1,"leaving":true,"written":["k","","\u0000"]}`,
	`{"v":1,"id":"a","started":"9999-12-31T23:59:59.999999999-23:59","tick":1}`,
	`{"v":1,"id":"a","started":"2026-01-02T03:04:05+00:00"}`,
	`{"v":1,"session":"0000000000000001","member":"c/a","ttl":10000000000}`,
	`{"v":2}`, `{`, `null`, "\xff", "",
}

func FuzzRecord(f *testing.F) {
	for _, value := range records {
		f.Add([]byte(value), "a")
	}
	f.Fuzz(func(t *testing.T, value []byte, id string) {
		at := nodeKey(id)
		got, err := decode(&store.Entry{Key: at, Value: value})
		if err != nil {
			if !errors.Is(err, tenure.ErrCorrupt) {
				t.Errorf("%q: %v is not ErrCorrupt", value, err)
			}
			return
		}
		again, err := decode(&store.Entry{Key: at, Value: got.encode()})
		if !got.Started.Equal(again.Started) {
			t.Errorf("%q: started %v, then %v", value, got.Started, again.Started)
		}
		again.Started = got.Started // whose zone may be called otherwise
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%q was read as %+v, and what that is written as, as %+v, %v", value, got, again, err)
		}
	})
}

func FuzzStateKeys(f *testing.F) {
	f.Add("load", "a", "load/1", "a/b")
	f.Add("%", "%2F", "%25", "/")
	f.Add("", "", "/", "")
	f.Fuzz(func(t *testing.T, key, id, key2, id2 string) {
		if k, n := splitState(stateKey(key, id)); k != key || n != id {
			t.Errorf("key %q of node %q came back as %q of %q", key, id, k, n)
		}
		if same := key == key2 && id == id2; (stateKey(key, id) == stateKey(key2, id2)) != same {
			t.Errorf("key %q of node %q, and %q of %q: %q, %q", key, id, key2, id2, stateKey(key, id), stateKey(key2, id2))
		}
		if id != id2 && strings.HasPrefix(rootOf(id2), rootOf(id)) {
			t.Errorf("cluster %q lies in cluster %q", id2, id)
		}
		_, _ = splitState(statePrefix + key) // one that nobody has made
	})
}

func FuzzViews(f *testing.F) {
	for i, value := range records {
		f.Add([]byte(value), []byte(records[(i+1)%len(records)]), []byte(records[(i+4)%len(records)]), "load/a", []byte("1"))
	}
	f.Add([]byte(records[0]), []byte(records[1]), []byte(records[4]), "%/", []byte{0xff})
	f.Fuzz(func(t *testing.T, a, b, seat []byte, at string, data []byte) {
		ctx, st := t.Context(), memstore.New()
		defer st.Close()
		lease, err := st.Grant(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(at) || strings.Contains(at, "\x00") {
			t.Skip("no key is such a text")
		}
		if _, err := st.Commit(ctx, store.Tx{Then: []store.Op{
			store.Put(rootOf("c")+"nodes/a", a, lease.ID), store.Put(rootOf("c")+"nodes/b", b, lease.ID),
			store.Put(rootOf("c")+statePrefix+at, data, lease.ID), store.Put(protocol.SeatKey("c"), seat, lease.ID),
		}}); err != nil {
			t.Fatal(err)
		}
		v := NewView(st, "c")
		nodes, err := v.Nodes(ctx)
		mayFail(t, "nodes", err, tenure.ErrCorrupt)
		for i, n := range nodes {
			if n.ID != "a" && n.ID != "b" || i > 0 && n.ID == nodes[0].ID {
				t.Errorf("nodes %+v", nodes)
			}
		}
		all, err := v.GetAllPrefix(ctx, "")
		mayFail(t, "get", err, tenure.ErrCorrupt)
		if err == nil && len(all) != len(nodes) {
			t.Errorf("state of %d nodes, of which %d live", len(all), len(nodes))
		}
		for ev, err := range v.WatchNodes(ctx) {
			mayFail(t, "watch nodes", err, tenure.ErrCorrupt)
			if err != nil || ev.Kind == NodesReady {
				break
			}
		}
		for ev, err := range v.WatchPrefix(ctx, "") {
			mayFail(t, "watch", err, tenure.ErrCorrupt)
			if err != nil || ev.Kind == Ready {
				break
			}
		}
		err = v.Put(ctx, "a", "k", data)
		mayFail(t, "put", err, tenure.ErrCorrupt)
		if err == nil {
			got, ok, err := v.GetFrom(ctx, "a", "k")
			if err != nil || !ok || string(got) != string(data) {
				t.Errorf("put %q, got %q, %v, %v", data, got, ok, err)
			}
		}
		mayFail(t, "delete", v.Delete(ctx, "b", "k"), tenure.ErrCorrupt)
	})
}

func mayFail(t *testing.T, what string, err, may error) {
	t.Helper()
	if err != nil && !errors.Is(err, may) {
		t.Errorf("%s: %v", what, err)
	}
}

// Two records that say that they are of one node were two nodes of one id.
func TestARecordOfAnotherNodeIsCorrupt(t *testing.T) {
	t.Parallel()
	value := (&record{Format: format, ID: "b"}).encode()
	if _, err := decode(&store.Entry{Key: nodeKey("a"), Value: value}); !errors.Is(err, tenure.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if _, err := decode(&store.Entry{Key: nodeKey("b"), Value: value}); err != nil {
		t.Error(err)
	}
}
