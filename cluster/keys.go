package cluster

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// The keys of a cluster are those of a store.Sub of their own; docs/design.md has the
// table. The election has the cluster's name and lies outside, where operators find it.
const (
	clustersPrefix = "clusters/"
	nodesPrefix    = "nodes/"
	statePrefix    = "state/"
)

func rootOf(name string) string { return clustersPrefix + protocol.Escape(name) + "/" }

func nodeKey(id string) string { return nodesPrefix + protocol.Escape(id) }

// A key comes before its node, so that what all nodes have under it lies together.
func stateOf(key string) string { return statePrefix + protocol.Escape(key) + "/" }

func stateKey(key, id string) string { return stateOf(key) + protocol.Escape(id) }

// stateFrom is the prefix of all that begins with prefix: escaping keeps beginnings.
func stateFrom(prefix string) string { return statePrefix + protocol.Escape(prefix) }

// splitState undoes stateKey.
func splitState(k string) (key, id string) {
	key, id, _ = strings.Cut(strings.TrimPrefix(k, statePrefix), "/")
	return protocol.Unescape(key), protocol.Unescape(id)
}

// memberID is what a node is called in the election: the ids of two clusters over one
// store may be the same.
func memberID(name, id string) string { return name + "/" + id }

// format is the version of a record; one of another is not guessed at.
const format = 1

// record is the value of a node's key.
type record struct {
	Format      int               `json:"v"`
	ID          string            `json:"id"`
	Incarnation string            `json:"incarnation"`
	Endpoint    string            `json:"endpoint,omitempty"`
	Version     string            `json:"version,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Started     time.Time         `json:"started"`
	Tick        time.Duration     `json:"tick"` // nanoseconds
	// Leaving tells a node that is deleted next from one that expires.
	Leaving bool `json:"leaving,omitempty"`
	// Written are keys that others have written in the node's name, of which it has
	// not taken note yet.
	Written []string `json:"written,omitempty"`
}

// newRecord is what a node that starts says of itself.
func newRecord(id string, o Options) record {
	return record{
		Format: format, ID: id, Incarnation: rand.Text()[:10], Endpoint: o.Endpoint, Version: o.Version,
		Tags: o.Tags, Started: time.Now(), Tick: o.Tick,
	}
}

func (r *record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("cluster: record does not encode: " + err.Error()) // strings and times do
	}
	return b
}

func decode(e *store.Entry) (record, error) {
	var r record
	err := json.Unmarshal(e.Value, &r)
	switch {
	case err != nil:
		err = fmt.Errorf("%w: node %q: %w", tenure.ErrCorrupt, nodeOf(e.Key), err)
	case r.Format != format:
		err = fmt.Errorf("%w: node %q: format %d, and this program reads %d", tenure.ErrCorrupt, nodeOf(e.Key), r.Format, format)
	case r.ID != nodeOf(e.Key): // two nodes would have one id
		err = fmt.Errorf("%w: node %q: says that it is node %.40q", tenure.ErrCorrupt, nodeOf(e.Key), r.ID)
	}
	return r, err
}

// nodeOf returns the id of the node that a record belongs to.
func nodeOf(k string) string { return protocol.Unescape(strings.TrimPrefix(k, nodesPrefix)) }

func (r *record) info(rev store.Revision) Info {
	return Info{
		ID: r.ID, Endpoint: r.Endpoint, Role: Follower, Version: r.Version, Tags: maps.Clone(r.Tags), Started: r.Started,
		Incarnation: r.Incarnation, Tick: r.Tick, Revision: rev,
	}
}
