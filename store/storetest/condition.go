package storetest

import "github.com/tenure-go/tenure/store"

var conditionChecks = []check{
	{"condition/absent", "Absent holds when there is no such key, and only then.", conditionAbsent},
	{"condition/exists", "Exists holds when there is such a key, and only then.", conditionExists},
	{
		"condition/modified-at",
		"ModifiedAt holds when the key exists and was last put at the revision, and only then.",
		conditionModifiedAt,
	},
	{"condition/every", "A transaction takes effect only when every condition of If holds.", conditionEvery},
	{
		"condition/none",
		"A transaction without conditions takes effect.",
		conditionNone,
	},
}

// wantHolds fails the check unless cond holds, or does not, as wanted.
func (e *env) wantHolds(st store.Store, want bool, when string, conds ...store.Cond) {
	tx := store.Tx{If: conds}
	if st.Capabilities().MultiKey {
		tx.Then = []store.Op{store.Put("probe", nil, store.NoLease)}
	}
	got := e.commit(st, tx).Committed
	e.check(got == want, "%s: committed is %v, want %v, under %+v", when, got, want, conds)
}

func conditionAbsent(e *env) {
	st := e.open()
	e.wantHolds(st, true, "never put", store.Absent("a"))
	e.put(st, "a", "")
	e.wantHolds(st, false, "put", store.Absent("a"))
	e.wantHolds(st, true, "its neighbour was put", store.Absent("a/"))
	e.write(st, store.Delete("a"))
	e.wantHolds(st, true, "deleted", store.Absent("a"))
}

func conditionExists(e *env) {
	st := e.open()
	e.wantHolds(st, false, "never put", store.Exists("a"))
	e.put(st, "a", "")
	e.wantHolds(st, true, "put", store.Exists("a"))
	e.wantHolds(st, false, "its neighbour was put", store.Exists("a/"))
	e.write(st, store.Delete("a"))
	e.wantHolds(st, false, "deleted", store.Exists("a"))
}

func conditionModifiedAt(e *env) {
	st := e.open()
	e.wantHolds(st, false, "never put", store.ModifiedAt("a", 0))
	first := e.put(st, "a", "1")
	e.wantHolds(st, true, "put", store.ModifiedAt("a", first))
	e.wantHolds(st, false, "put, a revision early", store.ModifiedAt("a", first-1))
	e.wantHolds(st, false, "put, a revision late", store.ModifiedAt("a", first+1))
	second := e.put(st, "a", "1")
	e.wantHolds(st, false, "put again, first revision", store.ModifiedAt("a", first))
	e.wantHolds(st, true, "put again, second revision", store.ModifiedAt("a", second))
	e.write(st, store.Delete("a"))
	e.wantHolds(st, false, "deleted", store.ModifiedAt("a", second))
	e.wantHolds(st, false, "deleted, no revision", store.ModifiedAt("a", 0))
	third := e.put(st, "a", "1")
	e.wantHolds(st, false, "made again, second revision", store.ModifiedAt("a", second))
	e.wantHolds(st, true, "made again, third revision", store.ModifiedAt("a", third))
}

func conditionEvery(e *env) {
	st := e.open()
	e.multiKey(st)
	e.put(st, "a", "")
	e.put(st, "b", "")
	good := []store.Cond{store.Exists("a"), store.Exists("b"), store.Absent("c")}
	e.wantHolds(st, true, "all hold", good...)
	for i, bad := range []store.Cond{store.Absent("a"), store.Absent("b"), store.Exists("c")} {
		conds := append([]store.Cond(nil), good...)
		conds[i] = bad
		e.wantHolds(st, false, "one does not hold", conds...)
	}
	e.wantHolds(st, false, "two of one key", store.Exists("a"), store.Absent("a"))
}

func conditionNone(e *env) {
	st := e.open()
	e.put(st, "a", "1")
	e.put(st, "a", "2")
	e.wantValue(st, "a", "2", "after two puts")
	e.write(st, store.Delete("a"))
	e.wantAbsent(st, "a", "after a delete")
}
