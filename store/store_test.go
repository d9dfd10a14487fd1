package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenure-go/tenure/store"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	limits := store.Capabilities{Name: "limited", MaxOps: 2, MaxValue: 4}
	long := strings.Repeat("k", store.MaxKey)
	put := func(keys ...string) store.Tx {
		var tx store.Tx
		for _, key := range keys {
			tx.Then = append(tx.Then, store.Put(key, nil, store.NoLease))
		}
		return tx
	}
	for name, test := range map[string]struct {
		tx   store.Tx
		caps store.Capabilities
		want error
	}{
		"empty":                    {store.Tx{}, limits, nil},
		"one put":                  {put("a"), limits, nil},
		"empty key put":            {put("a", ""), limits, store.ErrInvalid},
		"empty key deleted":        {store.Tx{Then: []store.Op{store.Delete("")}}, limits, store.ErrInvalid},
		"empty key in a condition": {store.Tx{If: []store.Cond{store.Exists("")}}, limits, store.ErrInvalid},
		"empty key read":           {store.Tx{Else: []string{""}}, limits, store.ErrInvalid},
		"NUL in a put":             {put("a\x00"), limits, store.ErrInvalid},
		"NUL in a condition":       {store.Tx{If: []store.Cond{store.Absent("\x00")}}, limits, store.ErrInvalid},
		"NUL in a read":            {store.Tx{Else: []string{"a\x00b"}}, limits, store.ErrInvalid},
		"awkward keys":             {put("\n", "\xff"), limits, nil},
		"no kind":                  {store.Tx{If: []store.Cond{{Key: "a"}}}, limits, store.ErrInvalid},
		"unknown kind":             {store.Tx{If: []store.Cond{{Kind: 4, Key: "a"}}}, limits, store.ErrInvalid},
		"all kinds": {store.Tx{If: []store.Cond{store.Absent("a"), store.Exists("b"), store.ModifiedAt("c", 1)}},
			store.Capabilities{}, nil},
		"two conditions on a key": {store.Tx{If: []store.Cond{store.Exists("a"), store.ModifiedAt("a", 1)}}, limits, nil},
		"two puts of a key":       {put("a", "a"), limits, store.ErrInvalid},
		"put and delete of a key": {store.Tx{Then: []store.Op{store.Delete("a"), store.Put("a", nil, 1)}}, limits, store.ErrInvalid},
		"longest key":             {put(long), limits, nil},
		"too long a key put":      {put(long + "k"), limits, store.ErrTooLarge},
		"too long a key read":     {store.Tx{Else: []string{long + "k"}}, limits, store.ErrTooLarge},
		"too long a key in a condition": {
			store.Tx{If: []store.Cond{store.Absent(long + "k")}}, limits, store.ErrTooLarge,
		},
		"longest value":       {store.Tx{Then: []store.Op{store.Put("a", []byte("1234"), 0)}}, limits, nil},
		"too long a value":    {store.Tx{Then: []store.Op{store.Put("a", []byte("12345"), 0)}}, limits, store.ErrTooLarge},
		"value without limit": {store.Tx{Then: []store.Op{store.Put("a", make([]byte, 1<<20), 0)}}, store.Capabilities{}, nil},
		"most writes":         {put("a", "b"), limits, nil},
		"too many writes":     {put("a", "b", "c"), limits, store.ErrTooLarge},
		"too many conditions": {store.Tx{If: make([]store.Cond, 3)}, limits, store.ErrTooLarge},
		"too many reads":      {store.Tx{Else: make([]string, 3)}, limits, store.ErrTooLarge},
		"ops without limit":   {put("a", "b", "c"), store.Capabilities{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.tx.Validate(test.caps); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// A message that does not say which key and which limit sends people searching.
func TestValidateNamesKeyAndLimit(t *testing.T) {
	t.Parallel()
	tx := store.Tx{Then: []store.Op{store.Put("the/key", []byte("12345"), store.NoLease)}}
	err := tx.Validate(store.Capabilities{Name: "limited", MaxValue: 4})
	for _, part := range []string{"the/key", "5 bytes", "limited takes 4"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

func TestCondHolds(t *testing.T) {
	t.Parallel()
	entry := &store.Entry{Key: "a", Created: 3, Modified: 5}
	for _, test := range []struct {
		cond           store.Cond
		there, missing bool // whether it holds where the key is there, or not
	}{
		{store.Absent("a"), false, true},
		{store.Exists("a"), true, false},
		{store.ModifiedAt("a", 5), true, false},
		{store.ModifiedAt("a", 3), false, false},
		{store.ModifiedAt("a", 0), false, false},
	} {
		if got := test.cond.Holds(entry); got != test.there {
			t.Errorf("%+v holds for an entry: %v, want %v", test.cond, got, test.there)
		}
		if got := test.cond.Holds(nil); got != test.missing {
			t.Errorf("%+v holds for none: %v, want %v", test.cond, got, test.missing)
		}
	}
}

func TestQuerySelects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query store.Query
		want  string // of a, a/, a/b, ab
	}{
		{store.Query{}, "[]"},
		{store.Keys("a"), "[a]"},
		{store.Keys("a/b", "x"), "[a/b]"},
		{store.Prefix("a/"), "[a/ a/b]"},
		{store.Prefix("x", ""), "[a a/ a/b ab]"},
		{store.Query{Keys: []string{"ab"}, Prefixes: []string{"a/b"}}, "[a/b ab]"},
	} {
		var got []string
		for _, key := range []string{"a", "a/", "a/b", "ab"} {
			if test.query.Selects(key) {
				got = append(got, key)
			}
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%q selects %v, want %v", test.query, got, test.want)
		}
	}
}

func TestEntryFindsItsKey(t *testing.T) {
	t.Parallel()
	entries := []store.Entry{{Key: "a", Modified: 1}, {Key: "b", Modified: 2}}
	l, r := store.Listing{Entries: entries}, store.Result{Entries: entries}
	for key, want := range map[string]store.Revision{"a": 1, "b": 2} {
		if e := l.Entry(key); e == nil || e.Modified != want {
			t.Errorf("listing: %s is %+v, want revision %d", key, e, want)
		}
		if e := r.Entry(key); e == nil || e.Modified != want {
			t.Errorf("result: %s is %+v, want revision %d", key, e, want)
		}
	}
	if l.Entry("c") != nil || r.Entry("c") != nil {
		t.Error("found an entry that is not there")
	}
}
