package tenure

import (
	"context"
	"fmt"
	"time"

	"github.com/tenure-go/tenure/internal/clock"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// idSlack is how long after its TTL a store may take to end a lease.
const idSlack = time.Second

// openSession grants a lease and makes it the owner of the member's id.
func (m *Member) openSession(ctx context.Context) (*session, error) {
	if err := m.awaitID(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.opts.TTL)
	defer cancel()
	c := clock.New()
	sent := c.Now()
	lease, err := m.st.Grant(ctx, m.opts.TTL)
	if err != nil {
		return nil, err
	}
	if err := m.register(ctx, lease); err != nil {
		m.revoke(lease.ID)
		return nil, err
	}
	return newSession(m, lease, c, sent), nil
}

// awaitID waits until no other start of a member owns the id. That is a crashed
// predecessor's session, most often, which ends within its TTL; an owner that
// is still there then is alive.
func (m *Member) awaitID(ctx context.Context) error {
	owner, err := m.owner(ctx)
	if err != nil || owner == nil {
		return err
	}
	atMost := owner.TTL + time.Duration(float64(owner.TTL)*m.opts.Drift) + idSlack
	m.duplicateWait(*owner, atMost)
	waiting, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	key := protocol.MemberKey(m.opts.ID)
	for batch, err := range store.Follow(waiting, m.st, key, nil) {
		if err != nil {
			if waiting.Err() == nil || ctx.Err() != nil {
				return err
			}
			// Not seeing it go, with the store out of reach, is not seeing it alive.
			if owner, err = m.owner(ctx); err != nil || owner == nil {
				return err
			}
			return duplicate(*owner)
		}
		if gone(batch, key) {
			return nil
		}
	}
	return nil
}

// gone reports whether a batch shows that there is no such key: by its deletion,
// or by a first listing without it.
func gone(batch store.Batch, key string) bool {
	for _, ev := range batch.Events {
		if ev.Entry.Key == key {
			return ev.Deleted
		}
	}
	return batch.Listed && batch.Since == 0
}

// owner returns the record of another start that owns the id, or nil.
func (m *Member) owner(ctx context.Context) (*protocol.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, m.opts.TTL)
	defer cancel()
	key := protocol.MemberKey(m.opts.ID)
	l, err := m.st.List(ctx, store.Keys(key))
	if err != nil {
		return nil, err
	}
	e := l.Entry(key)
	if e == nil {
		return nil, nil
	}
	owner, err := protocol.DecodeMember(e.Value)
	if err != nil || owner.Instance == m.instance {
		return nil, err
	}
	return &owner, nil
}

// register writes members/<id> on the new lease. It replaces what an earlier
// session of this same start of the member has left, and nothing else.
func (m *Member) register(ctx context.Context, lease store.Lease) error {
	key := protocol.MemberKey(m.opts.ID)
	record := protocol.NewMember(m.opts.ID, protocol.SessionID(lease.ID), m.instance, m.opts.Endpoint, lease.TTL)
	cond := store.Absent(key)
	for {
		res, err := m.st.Commit(ctx, store.Tx{
			If:   []store.Cond{cond},
			Then: []store.Op{store.Put(key, protocol.Encode(record), lease.ID)},
			Else: []string{key},
		})
		if err != nil || res.Committed {
			return err
		}
		e := res.Entry(key)
		if e == nil {
			cond = store.Absent(key) // its owner has just gone
			continue
		}
		owner, err := protocol.DecodeMember(e.Value)
		if err != nil {
			return err
		}
		if owner.Instance != m.instance {
			return duplicate(owner)
		}
		cond = store.ModifiedAt(key, e.Modified)
	}
}

// revoke ends a lease that nothing of worth hangs on; it is bounded, and what
// it cannot do the lease's own end does.
func (m *Member) revoke(id store.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), m.farewell())
	defer cancel()
	if err := m.st.Revoke(ctx, id); err != nil {
		m.trouble("", "revoke", err)
	}
}

// farewell is how long what is left to do takes at most, once all seats are passed on.
func (m *Member) farewell() time.Duration { return min(m.opts.TTL, revokeTimeout) }

func duplicate(owner protocol.Member) error {
	where := ""
	if owner.Endpoint != "" {
		where = " at " + owner.Endpoint
	}
	return fmt.Errorf("%w: %q is alive%s (instance %s); give this member another id, or stop that one",
		ErrDuplicateMember, owner.ID, where, owner.Instance)
}
