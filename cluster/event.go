package cluster

import "github.com/tenure-go/tenure/store"

// EventKind says what an Event tells.
type EventKind int

const (
	// Present: the node had this value when the watch began.
	Present EventKind = iota + 1
	// Ready: all that was present has been told.
	Ready
	// Added: a node publishes a key that it did not.
	Added
	// Modified: the value of a key has changed.
	Modified
	// Deleted: a node publishes a key no more; it may have gone itself.
	Deleted
	// Gap: of what happened between two revisions, only what it came to is known. It
	// follows, as Added, Modified and Deleted.
	Gap
)

// String returns the kind's name.
func (k EventKind) String() string {
	switch k {
	case Present:
		return "present"
	case Ready:
		return "ready"
	case Added:
		return "added"
	case Modified:
		return "modified"
	case Deleted:
		return "deleted"
	case Gap:
		return "gap"
	default:
		return "unknown"
	}
}

// Event is one change of what nodes publish, as Watch yields it. That a node has put
// the same value again, to be seen after an outage, is no change.
type Event struct {
	Kind EventKind
	// Node and Key say whose key it is, as it was put.
	Node, Key string
	// Value is the new one: of Present, Added and Modified; and Old the one before: of
	// Modified and Deleted. They must not be changed: the watch keeps them, too.
	Value, Old []byte
	// Revision of the store at which it happened; of Ready and Gap, up to which all is
	// told with what follows.
	Revision store.Revision
	// Since, of a Gap, is the revision up to which all had been told before.
	Since store.Revision
}

// NodeEventKind says what a NodeEvent tells.
type NodeEventKind int

const (
	// NodePresent: the node was there when the watch began.
	NodePresent NodeEventKind = iota + 1
	// NodesReady: all that were there have been told.
	NodesReady
	// NodeJoined: the node is there now.
	NodeJoined
	// NodeChanged: the node's role, tags or another part of its record has changed.
	NodeChanged
	// NodeLeft: the node has left, because of Stop or Close.
	NodeLeft
	// NodeExpired: the node has gone without leaving: it died, or was cut off from the
	// store for its NodeTTL. One that was cut off will join again.
	NodeExpired
	// NodeGone: the node left or expired while nothing could be seen (NodesGap), or
	// over a store whose watch does not show every change.
	NodeGone
	// NodesGap: of what happened between two revisions, only what it came to is known.
	// It follows, as NodeJoined, NodeChanged and NodeGone.
	NodesGap
)

// String returns the kind's name.
func (k NodeEventKind) String() string {
	switch k {
	case NodePresent:
		return "present"
	case NodesReady:
		return "ready"
	case NodeJoined:
		return "joined"
	case NodeChanged:
		return "changed"
	case NodeLeft:
		return "left"
	case NodeExpired:
		return "expired"
	case NodeGone:
		return "gone"
	case NodesGap:
		return "gap"
	default:
		return "unknown"
	}
}

// NodeEvent is one change of a cluster's nodes, as WatchNodes yields it.
type NodeEvent struct {
	Kind NodeEventKind
	// Node is what is known of the node now: when it has gone, what was known last.
	Node Info
	// Old, of NodeChanged, is what was known before.
	Old Info
	// Revision of the store at which it happened; of NodesReady and NodesGap, up to
	// which all is told with what follows.
	Revision store.Revision
	// Since, of NodesGap, is the revision up to which all had been told before.
	Since store.Revision
}
