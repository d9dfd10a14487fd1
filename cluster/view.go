package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// requestTimeout bounds a request whose context has no deadline.
const requestTimeout = 10 * time.Second

// View looks at a cluster from outside: it has no identity and no lease. All methods may
// be called from many goroutines; they are those of Node, and have the errors of those.
type View struct {
	name   string
	root   store.Store // of all clusters and elections
	st     store.Store // of this cluster
	report func(error) // of a watch, which goes on
}

// NewView returns a view of a cluster. Its reads return tenure.ErrInvalid for a name that
// cannot be one.
func NewView(st store.Store, name string) *View {
	return &View{name: name, root: st, st: store.Sub(st, rootOf(name)), report: func(error) {}}
}

// Nodes is as of Node.
func (v *View) Nodes(ctx context.Context) ([]Info, error) {
	p, err := v.read(ctx, store.Query{Keys: []string{v.seat()}, Prefixes: []string{v.key(nodesPrefix)}})
	return p.nodes, v.fail("list nodes", err)
}

// Node is as of Node.
func (v *View) Node(ctx context.Context, id string) (Info, bool, error) {
	if err := checkName("node id", id, MaxName); err != nil {
		return Info{}, false, v.fail("read node", err)
	}
	p, err := v.read(ctx, store.Keys(v.seat(), v.key(nodeKey(id))))
	info, ok := p.node(id)
	return info, ok, v.fail("read node", err)
}

// ReadLeader is as of Node.
func (v *View) ReadLeader(ctx context.Context) (id string, ok bool, err error) {
	p, err := v.read(ctx, store.Keys(v.seat()))
	return p.leader, p.leader != "", v.fail("read leader", err)
}

// GetFrom is as of Node.
func (v *View) GetFrom(ctx context.Context, id, key string) (value []byte, ok bool, err error) {
	value, ok, err = v.getFrom(ctx, id, key)
	return value, ok, v.fail("get", err)
}

func (v *View) getFrom(ctx context.Context, id, key string) ([]byte, bool, error) {
	if err := errors.Join(checkName("node id", id, MaxName), checkKey(key)); err != nil {
		return nil, false, err
	}
	p, err := v.read(ctx, store.Keys(v.key(nodeKey(id)), v.key(stateKey(key, id))))
	if err != nil {
		return nil, false, err
	}
	if _, ok := p.node(id); !ok {
		return nil, false, errNoNode(id)
	}
	for _, value := range p.values {
		return value.Data, true, nil
	}
	return nil, false, nil
}

// GetAll is as of Node.
func (v *View) GetAll(ctx context.Context, key string) (map[string][]Value, error) {
	all, err := map[string][]Value(nil), checkKey(key)
	if err == nil {
		all, err = v.getAll(ctx, stateOf(key))
	}
	return all, v.fail("get", err)
}

// GetAllPrefix is as of Node.
func (v *View) GetAllPrefix(ctx context.Context, prefix string) (map[string][]Value, error) {
	all, err := v.getAll(ctx, stateFrom(prefix))
	return all, v.fail("get", err)
}

func (v *View) getAll(ctx context.Context, prefix string) (map[string][]Value, error) {
	p, err := v.read(ctx, store.Prefix(v.key(nodesPrefix), v.key(prefix)))
	if err != nil && !errors.Is(err, tenure.ErrCorrupt) {
		return nil, err
	}
	all := make(map[string][]Value, len(p.nodes))
	for _, n := range p.nodes {
		all[n.ID] = nil
	}
	for _, value := range p.values {
		if _, live := all[value.Node]; live {
			all[value.Node] = append(all[value.Node], value)
		}
	}
	for _, values := range all {
		slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Key, b.Key) })
	}
	return all, err
}

// picture is what one read shows of a cluster, at one revision: as much as was asked for.
type picture struct {
	leader string // "": nobody, or nobody asked
	nodes  []Info
	values []Value
}

func (p *picture) node(id string) (Info, bool) {
	for _, n := range p.nodes {
		if n.ID == id {
			return n, true
		}
	}
	return Info{}, false
}

// key is one of the cluster's as the store of all knows it.
func (v *View) key(k string) string { return rootOf(v.name) + k }

// seat is the key that names the leader.
func (v *View) seat() string { return protocol.SeatKey(v.name) }

// read is one request. Beside an ErrCorrupt it returns what can be read.
func (v *View) read(ctx context.Context, q store.Query) (picture, error) {
	if err := checkName("cluster name", v.name, MaxName); err != nil {
		return picture{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	l, err := v.root.List(ctx, q)
	if err != nil {
		return picture{}, err
	}
	var p picture
	var errs []error
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Key == v.seat() {
			s, err := protocol.DecodeSeat(e.Value)
			if err == nil && s.Vacancy == nil {
				p.leader = v.nodeOf(s.Member)
			}
			errs = append(errs, err)
			continue
		}
		e.Key = strings.TrimPrefix(e.Key, rootOf(v.name))
		if strings.HasPrefix(e.Key, nodesPrefix) {
			r, err := decode(e)
			if err == nil {
				p.nodes = append(p.nodes, r.info(e.Modified))
			}
			errs = append(errs, err)
			continue
		}
		p.values = append(p.values, valueOf(e))
	}
	for i := range p.nodes {
		if n := &p.nodes[i]; n.ID == p.leader {
			n.Role = Leader
		}
	}
	return p, errors.Join(errs...)
}

func valueOf(e *store.Entry) Value {
	key, id := splitState(e.Key)
	return Value{Node: id, Key: key, Data: e.Value, Revision: e.Modified}
}

// nodeOf returns the node that a member of the election is. One that is none of this
// cluster's is called as it calls itself.
func (v *View) nodeOf(member string) string { return strings.TrimPrefix(member, v.name+"/") }

// Put publishes a value in the name of a running node, which takes it for its own: it
// stays until that node puts or deletes the key, or leaves. Errors: ErrNoNode,
// store.ErrTooLarge, store.ErrConflict where the node is too busy.
func (v *View) Put(ctx context.Context, id, key string, value []byte) error {
	err := checkValue(key, value)
	if err == nil {
		err = v.write(ctx, id, key, func(lease store.LeaseID) store.Op { return store.Put(stateKey(key, id), value, lease) })
	}
	return v.fail("put", err)
}

// Delete withdraws a key of a running node, in its name. Errors: ErrNoNode,
// store.ErrConflict where the node is too busy.
func (v *View) Delete(ctx context.Context, id, key string) error {
	return v.fail("delete", v.write(ctx, id, key, func(store.LeaseID) store.Op { return store.Delete(stateKey(key, id)) }))
}

// writeAttempts is how often a node's record may change between the read and the write of
// somebody else.
const writeAttempts = 10

// write changes a key of a node together with the node's record, which tells the node.
func (v *View) write(ctx context.Context, id, key string, op func(store.LeaseID) store.Op) error {
	if err := errors.Join(checkName("cluster name", v.name, MaxName), checkName("node id", id, MaxName), checkKey(key)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for range writeAttempts {
		l, err := v.st.List(ctx, store.Keys(nodeKey(id)))
		if err != nil {
			return err
		}
		e := l.Entry(nodeKey(id))
		if e == nil {
			return errNoNode(id)
		}
		r, err := decode(e)
		if err != nil {
			return err
		}
		if !slices.Contains(r.Written, key) {
			r.Written = append(r.Written, key)
		}
		res, err := v.st.Commit(ctx, store.Tx{
			If:   []store.Cond{store.ModifiedAt(e.Key, e.Modified)},
			Then: []store.Op{op(e.Lease), store.Put(e.Key, r.encode(), e.Lease)},
		})
		switch {
		case errors.Is(err, store.ErrLeaseNotFound), err == nil && !res.Committed:
			// The node has gone, or has changed meanwhile.
		default:
			return err
		}
	}
	return errBusy(id)
}

func (v *View) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Cluster: v.name, Err: err}
}
