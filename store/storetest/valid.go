package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

var validChecks = []check{
	{
		"valid/rules",
		"A transaction with an empty key, a NUL byte, an unknown condition, or two writes of one key is ErrInvalid and has no effect.",
		validRules,
	},
	{"valid/long-key", "A key may be as long as MaxKey; a longer one is ErrTooLarge.", validLongKey},
	{
		"valid/value-limit",
		"A value may be as long as Capabilities.MaxValue, of any length where that is zero; a longer one is ErrTooLarge.",
		validValueLimit,
	},
	{
		"valid/ops-limit",
		"A transaction may carry Capabilities.MaxOps of each, any number where that is zero; more is ErrTooLarge.",
		validOpsLimit,
	},
	{
		"valid/capabilities",
		"Capabilities are named, not negative, the same through every handle, and do not change over the life of the store.",
		validCapabilities,
	},
	{
		"context/cancelled",
		"Context errors pass unchanged; a request whose context had ended before has no effect.",
		contextCancelled,
	},
	{"context/deadline", "Context errors pass unchanged.", contextDeadline},
}

// wantNoEffect fails the check unless tx fails with want and writes nothing.
// Every such tx also puts the key "effect".
func (e *env) wantNoEffect(st store.Store, tx store.Tx, want error, what string) {
	_, err := st.Commit(e.ctx, tx)
	e.wantErr(err, want, "%s", what)
	e.wantAbsent(st, "effect", what)
}

func validRules(e *env) {
	st := e.open()
	raw, _ := e.openRaw() // Sub has a look of its own at a transaction
	effect := store.Put("effect", nil, store.NoLease)
	for what, tx := range map[string]store.Tx{
		"put of an empty key":        {Then: []store.Op{effect, store.Put("", nil, store.NoLease)}},
		"delete of an empty key":     {Then: []store.Op{effect, store.Delete("")}},
		"condition on an empty key":  {If: []store.Cond{store.Absent("")}, Then: []store.Op{effect}},
		"read of an empty key":       {Then: []store.Op{effect}, Else: []string{""}},
		"put of a key with NUL":      {Then: []store.Op{effect, store.Put("a\x00b", nil, store.NoLease)}},
		"condition on key with NUL":  {If: []store.Cond{store.Absent("a\x00b")}, Then: []store.Op{effect}},
		"read of a key with NUL":     {Then: []store.Op{effect}, Else: []string{"a\x00b"}},
		"condition of no kind":       {If: []store.Cond{{Key: "a"}}, Then: []store.Op{effect}},
		"condition of unknown kind":  {If: []store.Cond{{Kind: 99, Key: "a"}}, Then: []store.Op{effect}},
		"two writes of one key":      {Then: []store.Op{effect, effect}},
		"a put and delete of a key":  {Then: []store.Op{effect, store.Delete("effect")}},
		"two deletes of another key": {Then: []store.Op{effect, store.Delete("a"), store.Delete("a")}},
	} {
		e.wantNoEffect(st, tx, store.ErrInvalid, what)
		_, err := raw.Commit(e.ctx, under(e.prefix, tx))
		e.wantErr(err, store.ErrInvalid, "%s", what)
		e.wantAbsent(st, "effect", what)
	}
}

// under moves the valid keys of tx under prefix, as Sub would.
func under(prefix string, tx store.Tx) store.Tx {
	path := func(key string) string {
		if key == "" {
			return ""
		}
		return prefix + key
	}
	var out store.Tx
	for _, c := range tx.If {
		c.Key = path(c.Key)
		out.If = append(out.If, c)
	}
	for _, op := range tx.Then {
		op.Key = path(op.Key)
		out.Then = append(out.Then, op)
	}
	for _, key := range tx.Else {
		out.Else = append(out.Else, path(key))
	}
	return out
}

func validLongKey(e *env) {
	raw, st := e.openRaw()
	room := store.MaxKey - len(store.Path(raw, e.prefix))
	longest := strings.Repeat("k", room)
	e.put(st, longest, "1")
	e.wantValue(st, longest, "1", "a key of MaxKey bytes")
	for what, tx := range map[string]store.Tx{
		"put":       {Then: []store.Op{store.Put(longest+"k", nil, store.NoLease)}},
		"delete":    {Then: []store.Op{store.Delete(longest + "k")}},
		"condition": {If: []store.Cond{store.Absent(longest + "k")}},
		"read":      {Else: []string{longest + "k"}},
	} {
		_, err := st.Commit(e.ctx, tx)
		e.wantErr(err, store.ErrTooLarge, "%s of a key of MaxKey+1 bytes", what)
	}
	e.check(len(e.list(st, store.Prefix("")).Entries) == 1, "a transaction that was too large had an effect")
}

// freeValue and freeOps are tried where a store claims to have no limit.
const (
	freeValue = 1 << 20
	freeOps   = 300
)

func validValueLimit(e *env) {
	raw, st := e.openRaw()
	limit := raw.Capabilities().MaxValue
	value := strings.Repeat("v", limit)
	if limit == 0 {
		value = strings.Repeat("v", freeValue)
	}
	e.put(st, "a", value)
	got := e.get(st, "a")
	e.check(got != nil && string(got.Value) == value, "a value of %d bytes did not come back as it was", len(value))
	if limit == 0 {
		return
	}
	tx := store.Tx{Then: []store.Op{store.Put("b", []byte(value+"v"), store.NoLease)}}
	_, err := raw.Commit(e.ctx, under(e.prefix, tx)) // Sub has a look of its own at it
	e.wantErr(err, store.ErrTooLarge, "a value of %d bytes", limit+1)
	e.wantAbsent(st, "b", "too large")
}

func validOpsLimit(e *env) {
	raw, st := e.openRaw()
	e.multiKey(st)
	limit := raw.Capabilities().MaxOps
	n := limit
	if limit == 0 {
		n = freeOps
	}
	for what, tx := range map[string]store.Tx{
		"conditions": {If: make([]store.Cond, n)},
		"writes":     {Then: make([]store.Op, n)},
		"reads":      {If: []store.Cond{store.Exists("absent")}, Else: make([]string, n)},
	} {
		fill(tx)
		res := e.commit(st, tx)
		e.check(res.Committed == (what != "reads"), "%d %s: committed is %v", n, what, res.Committed)
		if limit == 0 {
			continue
		}
		tx = store.Tx{If: grow(tx.If), Then: grow(tx.Then), Else: grow(tx.Else)}
		fill(tx)
		_, err := raw.Commit(e.ctx, under(e.prefix, tx))
		e.wantErr(err, store.ErrTooLarge, "%d %s", limit+1, what)
	}
}

// grow returns s with one more element, unless it is empty.
func grow[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	var zero T
	return append(s, zero)
}

// fill gives each element of tx that is still zero a key of its own.
func fill(tx store.Tx) {
	for i := range tx.If {
		if tx.If[i].Key == "" {
			tx.If[i] = store.Absent(fmt.Sprintf("if/%d", i))
		}
	}
	for i := range tx.Then {
		tx.Then[i] = store.Put(fmt.Sprintf("then/%d", i), nil, store.NoLease)
	}
	for i := range tx.Else {
		tx.Else[i] = fmt.Sprintf("then/%d", i)
	}
}

func validCapabilities(e *env) {
	raw, st := e.openRaw()
	c := raw.Capabilities()
	e.check(c.Name != "", "no name")
	e.check(c.PowerLoss != "", "nothing said about the loss of power")
	e.check(min(c.MaxOps, c.MaxValue) >= 0 && c.MinTTL >= 0, "a limit below zero: %+v", c)
	e.put(st, "a", "1")
	other, _ := e.openRaw()
	e.check(other.Capabilities() == c, "another handle says %+v, this one %+v", other.Capabilities(), c)
	e.check(raw.Capabilities() == c, "changed to %+v from %+v", raw.Capabilities(), c)
	e.must(raw.Close(), "close")
	e.check(raw.Capabilities() == c, "closed: changed to %+v from %+v", raw.Capabilities(), c)
}

// calls makes every call of the contract that can fail.
func calls(st store.Store, id store.LeaseID) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Commit": func(ctx context.Context) error {
			_, err := st.Commit(ctx, store.Tx{Then: []store.Op{store.Put("effect", nil, store.NoLease)}})
			return err
		},
		"List": func(ctx context.Context) error {
			_, err := st.List(ctx, store.Prefix(""))
			return err
		},
		"Watch": func(ctx context.Context) error {
			for _, err := range st.Watch(ctx, "", 0) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Grant": func(ctx context.Context) error {
			_, err := st.Grant(ctx, longTTL)
			return err
		},
		"Renew": func(ctx context.Context) error {
			_, err := st.Renew(ctx, id)
			return err
		},
		"Revoke": func(ctx context.Context) error { return st.Revoke(ctx, id) },
	}
}

func contextCancelled(e *env) {
	e.wantContextError(context.Canceled, func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		return ctx, cancel
	})
}

func contextDeadline(e *env) {
	e.wantContextError(context.DeadlineExceeded, func() (context.Context, context.CancelFunc) {
		return context.WithDeadline(e.ctx, time.Now().Add(-time.Second))
	})
}

func (e *env) wantContextError(want error, ended func() (context.Context, context.CancelFunc)) {
	e.keepHistory()
	st := e.open()
	lease := e.grant(st, longTTL)
	e.write(st, store.Put("a", nil, lease.ID))
	ctx, cancel := ended()
	defer cancel()
	for name, call := range calls(st, lease.ID) {
		e.within(name, func() { e.wantErr(call(ctx), want, "%s", name) })
	}
	e.wantAbsent(st, "effect", "the context had ended before Commit")
	e.wantValue(st, "a", "", "the context had ended before Revoke")
}
