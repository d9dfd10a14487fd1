// Package store is the contract between Tenure and the store it runs over: a
// linearizable, revisioned key-value store with transactions, watches and
// leases. It holds types and prose, and the few pieces that serve every driver
// alike (Sub, Follow); it holds no policy.
//
// # Writing a driver
//
// A driver translates. It has no retry, no logging, no policy, and no goroutine
// unless it must. Each rule below has a named case in package storetest, and a
// driver needs no other tests for its semantics.
//
//   - Revisions are one rising sequence for the whole store. They never go back,
//     not over a restart and not over the deletion of a key. All writes of one
//     transaction carry the same revision, and no two transactions share one.
//   - Commit and List are linearizable. Watch may lag, but never lies.
//   - A lease never ends earlier than its TTL counted from the moment the last
//     Grant or Renew was sent. It may end later. When it ends, everything that
//     hangs on it is deleted in one commit.
//   - An entry hangs on the lease that its last Put named, or on none.
//   - A reply that was lost is unknown: the request may have taken effect, and
//     it may still take effect later. A driver says so by returning an error
//     that is neither ErrConflict, ErrLeaseNotFound, ErrInvalid nor ErrDenied.
//   - A call whose context has ended already returns the context's error and has
//     no effect. Context errors pass unchanged. Every other error is one of the
//     sentinels of this package joined to its cause. Secrets appear in none.
//   - Any handle on a store may put on any live lease. Whether it may also renew
//     or revoke one that another handle was granted is the driver's choice.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Revision is a point in the history of a store. The first write has a revision
// above zero; zero stands for "before everything".
type Revision int64

// LeaseID names a lease within its store. It is never reused.
type LeaseID int64

// NoLease is the lease of an entry that ends only when it is deleted.
const NoLease LeaseID = 0

// Lease is what Grant returns.
type Lease struct {
	ID LeaseID
	// TTL is what was granted; it may be longer than what was asked for.
	TTL time.Duration
}

// Entry is one key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Created  Revision // of the Put that made the key
	Modified Revision // of the last Put
	Lease    LeaseID  // of the last Put, or NoLease
}

// Store is the contract. All methods may be called from many goroutines.
type Store interface {
	// Commit applies tx: when every condition holds, all of Then takes effect
	// at one new revision; otherwise nothing does, and Result carries the
	// entries named by Else, read at or after the refusal.
	//
	// Conditions come first: where one does not hold, tx is refused whatever else
	// is wrong with it. A Put on a lease that is not alive fails the whole
	// transaction with ErrLeaseNotFound. Then may be empty: a mere check.
	// ErrConflict says that the store gave up on the
	// transaction because of others and that it did not and will not take
	// effect. ErrInvalid and ErrTooLarge say the same of a transaction that
	// breaks a rule or a limit.
	Commit(ctx context.Context, tx Tx) (Result, error)

	// List returns the entries that q selects, as of one revision, sorted by
	// key. It sees every commit that was acknowledged before it was called.
	List(ctx context.Context, q Query) (Listing, error)

	// Watch yields what happened under prefix after the given revision, which may
	// lie ahead, in order: one Changes holds all events of one revision, in any
	// order, or, where
	// Capabilities.EveryChange is false, of several with the events of each key
	// reduced to the last. A Changes without events says that the watch is
	// alive and complete up to its revision. The sequence ends with an error as
	// its last element: ErrCompacted when history after the revision is gone
	// (list again; see Follow), the context's own error, ErrClosed, or
	// ErrUnavailable.
	Watch(ctx context.Context, prefix string, after Revision) iter.Seq2[Changes, error]

	// Grant makes a lease of at least ttl.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)

	// Renew gives the lease its full TTL again and returns that TTL.
	// ErrLeaseNotFound is definitive: the lease is gone and will not return.
	Renew(ctx context.Context, id LeaseID) (time.Duration, error)

	// Revoke ends the lease now and deletes what hangs on it, in one commit.
	// ErrLeaseNotFound says that it had ended already.
	Revoke(ctx context.Context, id LeaseID) error

	// Capabilities does not change over the life of the store.
	Capabilities() Capabilities

	// Close ends every watch and gives back what the driver holds. It revokes
	// nothing. Calls after it return ErrClosed; a second Close returns nil.
	Close() error
}

// Capabilities says what a store can do. What an election needs and a store
// lacks is an error when the election is opened, not later.
type Capabilities struct {
	// Name is the kind of store, for messages: "memory", "sqlite", "etcd".
	Name string
	// MultiKey: a transaction may touch several keys.
	MultiKey bool
	// ForeignLease: a Put may name a lease that another process holds.
	ForeignLease bool
	// EveryChange: Watch yields every change. Without it, changes of one key
	// may be reduced to the last, though never a delete to nothing.
	EveryChange bool
	// MaxOps is the most conditions, writes or reads one transaction may carry
	// of each; MaxValue the most bytes of one value. Zero means no limit.
	MaxOps, MaxValue int
	// MinTTL is the shortest TTL that Grant gives; a shorter one is raised.
	MinTTL time.Duration
	// PowerLoss says what the store loses when its host loses power, for the
	// people who choose one.
	PowerLoss string
}

// Errors of the contract. Drivers join the raw error to one of them.
var (
	// ErrConflict: the transaction lost to others and had no effect.
	ErrConflict = errors.New("store: conflict")
	// ErrLeaseNotFound: the lease has ended, or never was.
	ErrLeaseNotFound = errors.New("store: lease not found")
	// ErrCompacted: the history that a watch needs is gone.
	ErrCompacted = errors.New("store: compacted")
	// ErrUnavailable: the store gave no answer; the outcome is unknown.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrUnsupported: the store cannot do this at all.
	ErrUnsupported = errors.New("store: unsupported")
	// ErrTooLarge: a value or a transaction exceeds a limit of the store.
	ErrTooLarge = errors.New("store: too large")
	// ErrInvalid: the request breaks a rule of the contract.
	ErrInvalid = errors.New("store: invalid")
	// ErrDenied: the store refuses this client, because of who it is or what it
	// may do. The request had no effect. The same request may be let through
	// later: passwords and rights change.
	ErrDenied = errors.New("store: denied")
	// ErrClosed: the store was closed on this side.
	ErrClosed = errors.New("store: closed")
)

// CondKind is what a condition asks of its key.
type CondKind uint8

// The three conditions.
const (
	CondAbsent CondKind = iota + 1
	CondExists
	CondModifiedAt
)

// Cond is one condition of a transaction.
type Cond struct {
	Kind     CondKind
	Key      string
	Revision Revision // CondModifiedAt only
}

// Absent holds when there is no such key.
func Absent(key string) Cond { return Cond{Kind: CondAbsent, Key: key} }

// Exists holds when there is such a key.
func Exists(key string) Cond { return Cond{Kind: CondExists, Key: key} }

// ModifiedAt holds when the key exists and was last put at rev.
func ModifiedAt(key string, rev Revision) Cond {
	return Cond{Kind: CondModifiedAt, Key: key, Revision: rev}
}

// Holds reports whether the condition holds for the entry under its key, nil
// when there is none.
func (c Cond) Holds(e *Entry) bool {
	switch c.Kind {
	case CondAbsent:
		return e == nil
	case CondExists:
		return e != nil
	default:
		return e != nil && e.Modified == c.Revision
	}
}

// String says what the condition asks.
func (c Cond) String() string {
	switch c.Kind {
	case CondAbsent:
		return fmt.Sprintf("key %q is absent", c.Key)
	case CondExists:
		return fmt.Sprintf("key %q exists", c.Key)
	case CondModifiedAt:
		return fmt.Sprintf("key %q was modified last at %d", c.Key, c.Revision)
	default:
		return fmt.Sprintf("condition of unknown kind %d on key %q", c.Kind, c.Key)
	}
}

// Op is one write of a transaction.
type Op struct {
	Delete bool
	Key    string
	Value  []byte
	Lease  LeaseID
}

// Put writes value under key, hanging on lease (NoLease for none), whoever
// holds that lease.
func Put(key string, value []byte, lease LeaseID) Op {
	return Op{Key: key, Value: value, Lease: lease}
}

// Delete removes key; removing an absent key does nothing.
func Delete(key string) Op { return Op{Delete: true, Key: key} }

// Tx is one transaction: if every condition of If holds, Then is written,
// otherwise the keys of Else are read.
type Tx struct {
	If   []Cond
	Then []Op
	Else []string
}

// Under returns tx with prefix before each of its keys.
func (tx Tx) Under(prefix string) Tx {
	var under Tx
	for _, c := range tx.If {
		c.Key = prefix + c.Key
		under.If = append(under.If, c)
	}
	for _, op := range tx.Then {
		op.Key = prefix + op.Key
		under.Then = append(under.Then, op)
	}
	for _, key := range tx.Else {
		under.Else = append(under.Else, prefix+key)
	}
	return under
}

// Result is the outcome of a Commit that was answered.
type Result struct {
	// Committed: the conditions held and Then took effect.
	Committed bool
	// Revision of the writes, or, when refused, one at which Entries were read.
	// A committed transaction that changed nothing carries the present one.
	Revision Revision
	// Entries are those keys of Else that exist, when refused.
	Entries []Entry
}

// Entry returns the entry of key among those read by Else, or nil.
func (r *Result) Entry(key string) *Entry {
	for i := range r.Entries {
		if r.Entries[i].Key == key {
			return &r.Entries[i]
		}
	}
	return nil
}

// Query selects entries: those named by Keys and those under any of Prefixes.
// The zero Query selects nothing; the empty prefix selects everything.
type Query struct {
	Keys     []string
	Prefixes []string
}

// Keys selects the named keys.
func Keys(keys ...string) Query { return Query{Keys: keys} }

// Prefix selects all keys under the given prefixes.
func Prefix(prefixes ...string) Query { return Query{Prefixes: prefixes} }

// Selects reports whether key is among what q asks for.
func (q Query) Selects(key string) bool {
	return slices.Contains(q.Keys, key) ||
		slices.ContainsFunc(q.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// Listing is the answer to a Query.
type Listing struct {
	Revision Revision // as of which Entries were read
	Entries  []Entry  // sorted by key
}

// Entry returns the entry of key, or nil.
func (l *Listing) Entry(key string) *Entry {
	i, ok := slices.BinarySearchFunc(l.Entries, key, func(e Entry, key string) int { return strings.Compare(e.Key, key) })
	if !ok {
		return nil
	}
	return &l.Entries[i]
}

// Event is one change of one key.
type Event struct {
	// Deleted: the key is gone. Entry then carries Key, and in Modified the
	// revision of the deletion.
	Deleted bool
	Entry   Entry
}

// Changes is one step of a watch; see Store.Watch.
type Changes struct {
	Revision Revision
	Events   []Event
}

// MaxKey is the longest key, in bytes, that every driver takes, with the
// prefixes of all Sub around it.
const MaxKey = 8 << 10

// Validate reports, as ErrInvalid or ErrTooLarge, what about tx no store takes
// or exceeds the given limits. Every driver calls it first.
func (tx Tx) Validate(c Capabilities) error {
	if max(len(tx.If), len(tx.Then), len(tx.Else)) > c.MaxOps && c.MaxOps > 0 {
		return fmt.Errorf("%w: transaction of %d conditions, %d writes and %d reads; %s takes %d of each",
			ErrTooLarge, len(tx.If), len(tx.Then), len(tx.Else), c.Name, c.MaxOps)
	}
	for _, cond := range tx.If {
		if cond.Kind < CondAbsent || cond.Kind > CondModifiedAt {
			return fmt.Errorf("%w: condition of unknown kind %d on key %q", ErrInvalid, cond.Kind, cond.Key)
		}
		if err := validateKey(cond.Key); err != nil {
			return err
		}
	}
	written := make(map[string]bool, len(tx.Then))
	for _, op := range tx.Then {
		if err := validateKey(op.Key); err != nil {
			return err
		}
		if len(op.Value) > c.MaxValue && c.MaxValue > 0 {
			return fmt.Errorf("%w: value of %d bytes under key %q; %s takes %d",
				ErrTooLarge, len(op.Value), op.Key, c.Name, c.MaxValue)
		}
		if written[op.Key] {
			return fmt.Errorf("%w: key %q is written twice in one transaction", ErrInvalid, op.Key)
		}
		written[op.Key] = true
	}
	for _, key := range tx.Else {
		if err := validateKey(key); err != nil {
			return err
		}
	}
	return nil
}

func validateKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: empty key", ErrInvalid)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes; the limit is %d", ErrTooLarge, len(key), MaxKey)
	case strings.IndexByte(key, 0) >= 0:
		return fmt.Errorf("%w: key %q has a NUL byte", ErrInvalid, key)
	}
	return nil
}
