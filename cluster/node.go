package cluster

import (
	"context"
	"iter"
	"time"

	"github.com/tenure-go/tenure/store"
)

// Node is one node of a cluster: Clustered, or Standalone, which do the same as far as
// one node can tell. All methods may be called from many goroutines. Those that ask the
// store obey their context, and without a deadline take 10 s at most.
//
// Errors of all methods, besides those that they name: ErrStopped before Start and after
// Stop, ErrClosed after Close, tenure.ErrInvalid for an argument that cannot be used,
// tenure.ErrCorrupt for a record that cannot be read, those of the store and of ctx, and
// what Healthy returns where the node has ended by itself.
type Node interface {
	// ID is the node's id.
	ID() string

	// Start joins the cluster: others see the node when it returns, and its routines
	// begin when it has a role. It may be called again after Stop. Errors:
	// ErrRunning, tenure.ErrDuplicateMember.
	Start(ctx context.Context) error
	// Stop leaves the cluster: the routines' contexts are cancelled, and they get the
	// DrainTimeout to return in; then the leadership is handed over, and the node's
	// record and state are withdrawn. It returns when nothing of the node runs any
	// more, or with the error of ctx, when that goes on. A store that is away delays it
	// by the TTL and 10 s at most. Errors: tenure.ErrDrainTimeout where a routine still runs. A
	// node that does not run is stopped already.
	Stop(ctx context.Context) error
	// Close is Stop, for ever. A second one returns nil. Errors as of Stop.
	Close() error
	// Healthy is for probes: nil while the node is a member of the cluster. It reads
	// local state only. Errors: tenure.ErrSessionExpired while others may not see the
	// node; tenure.ErrDuplicateMember where its id was taken by another during an outage,
	// which ends the node.
	Healthy() error

	// Self is what the node says of itself, with the role that it has now.
	Self() Info
	// SetTags replaces the node's tags, and returns when others see them.
	SetTags(ctx context.Context, tags map[string]string) error
	// Nodes asks the store for all live nodes, sorted by id. Beside an ErrCorrupt it
	// returns those whose records can be read.
	Nodes(ctx context.Context) ([]Info, error)
	// Node asks the store for one node. False: there is none of this id.
	Node(ctx context.Context, id string) (Info, bool, error)
	// WatchNodes yields the nodes that are there, and then who joins, leaves, or
	// changes, its role or its record; see NodeEvent. It ends with an error, as Watch.
	WatchNodes(ctx context.Context) iter.Seq2[NodeEvent, error]
	// Leader is who was last seen to lead. It reads local state only. False: nobody was,
	// or the leader's seat was vacated.
	Leader() (id string, ok bool)
	// ReadLeader asks the store who leads. False: nobody does.
	ReadLeader(ctx context.Context) (id string, ok bool, err error)

	// Put publishes a value under a key of this node's own, for as long as the node
	// runs, and returns when others can see it. Where it returns an error of ctx or of
	// the store before that, the node goes on trying until a later Put or Delete of the
	// same key. Putting the value that is there is no change to who watches. Errors: store.ErrTooLarge
	// for more than MaxValue bytes, and then nothing has changed.
	Put(ctx context.Context, key string, value []byte) error
	// Delete withdraws a key of this node's own, as Put publishes it. One that is not
	// there is deleted already.
	Delete(ctx context.Context, key string) error
	// Get asks the store for a key of this node's own. False: there is none.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// GetFrom asks the store for a key of any node. False: the node has none. Errors:
	// ErrNoNode.
	GetFrom(ctx context.Context, id, key string) (value []byte, ok bool, err error)
	// GetAll asks the store for a key of all nodes, in one read. Every live node is in
	// the answer, by its id, and without a Value where it has no such key.
	GetAll(ctx context.Context, key string) (map[string][]Value, error)
	// GetAllPrefix is GetAll for all keys that begin with prefix, sorted by key.
	GetAllPrefix(ctx context.Context, prefix string) (map[string][]Value, error)
	// Watch yields what all nodes have under a key, and then every change of it; see
	// Event. Losing and regaining the store does not end it, and a consumer may be as
	// slow as it likes. Its last element is an error: that of ctx, ErrStopped,
	// ErrClosed, store.ErrClosed, or one that says what cannot be watched.
	Watch(ctx context.Context, key string) iter.Seq2[Event, error]
	// WatchPrefix is Watch for all keys that begin with prefix.
	WatchPrefix(ctx context.Context, prefix string) iter.Seq2[Event, error]
}

// Role is what a node is in its cluster.
type Role string

// The roles.
const (
	// Unknown: nobody has been seen to lead yet, or since the node led itself.
	Unknown Role = ""
	// Leader: the node leads.
	Leader Role = "leader"
	// Follower: the node does not lead.
	Follower Role = "follower"
)

// Info describes a node.
type Info struct {
	ID       string
	Endpoint string
	// Role as of the read or event; see also Node.Self.
	Role    Role
	Version string
	Tags    map[string]string
	// Started is when Start was called, by the wall clock of the node.
	Started time.Time
	// Incarnation tells apart two starts of one id.
	Incarnation string
	Tick        time.Duration // of its routines
	// Revision of the store at which the node's record was written last.
	Revision store.Revision
}

// Value is a value that a node publishes.
type Value struct {
	Node, Key string
	Data      []byte
	Revision  store.Revision // at which it was put
}
