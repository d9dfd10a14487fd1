package main

import (
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store"
)

// The JSON forms of what is printed of a cluster.
type (
	nodeJSON struct {
		Cluster     string            `json:"cluster"`
		Node        string            `json:"node"`
		Role        cluster.Role      `json:"role"`
		Endpoint    string            `json:"endpoint"`
		Version     string            `json:"version"`
		Tags        map[string]string `json:"tags"`
		Started     time.Time         `json:"started"`
		Incarnation string            `json:"incarnation"`
		Tick        string            `json:"tick"`
		Revision    store.Revision    `json:"revision"`
	}
	nodeEventJSON struct {
		Event    string         `json:"event"`
		Cluster  string         `json:"cluster"`
		Node     string         `json:"node,omitempty"`
		Now      *nodeJSON      `json:"now,omitempty"`
		Old      *nodeJSON      `json:"old,omitempty"`
		Revision store.Revision `json:"revision"`
		Since    store.Revision `json:"since,omitempty"`
	}
	// dataJSON is a value in one of two forms: base64 if it is not UTF-8.
	dataJSON struct {
		Value  *string `json:"value,omitempty"`
		Base64 []byte  `json:"base64,omitempty"`
	}
	valueJSON struct {
		Cluster string `json:"cluster"`
		Node    string `json:"node"`
		Key     string `json:"key,omitempty"` // none: the node has nothing there
		dataJSON
		Revision store.Revision `json:"revision,omitempty"`
	}
	stateEventJSON struct {
		Event   string `json:"event"`
		Cluster string `json:"cluster"`
		Node    string `json:"node,omitempty"`
		Key     string `json:"key,omitempty"`
		dataJSON
		Old      *dataJSON      `json:"old,omitempty"`
		Revision store.Revision `json:"revision,omitempty"`
		Since    store.Revision `json:"since,omitempty"`
	}
)

func newNodeJSON(name string, n cluster.Info) *nodeJSON {
	tags := n.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return &nodeJSON{name, n.ID, n.Role, n.Endpoint, n.Version, tags, n.Started.UTC(), n.Incarnation, n.Tick.String(), n.Revision}
}

func newNodeEventJSON(name string, ev cluster.NodeEvent) nodeEventJSON {
	out := nodeEventJSON{Event: ev.Kind.String(), Cluster: name, Node: ev.Node.ID, Revision: ev.Revision, Since: ev.Since}
	switch ev.Kind {
	case cluster.NodePresent, cluster.NodeJoined:
		out.Now = newNodeJSON(name, ev.Node)
	case cluster.NodeChanged:
		out.Now, out.Old = newNodeJSON(name, ev.Node), newNodeJSON(name, ev.Old)
	case cluster.NodeLeft, cluster.NodeExpired, cluster.NodeGone:
		out.Old = newNodeJSON(name, ev.Node)
	}
	return out
}

func newDataJSON(data []byte) dataJSON {
	if !utf8.Valid(data) {
		return dataJSON{Base64: data}
	}
	text := string(data)
	return dataJSON{Value: &text}
}

func newValueJSON(name string, v cluster.Value) valueJSON {
	return valueJSON{Cluster: name, Node: v.Node, Key: v.Key, dataJSON: newDataJSON(v.Data), Revision: v.Revision}
}

func newStateEventJSON(name string, ev cluster.Event) stateEventJSON {
	out := stateEventJSON{Event: ev.Kind.String(), Cluster: name, Node: ev.Node, Key: ev.Key, Revision: ev.Revision, Since: ev.Since}
	value, old := holds(ev.Kind)
	if value {
		out.dataJSON = newDataJSON(ev.Value)
	}
	if old {
		data := newDataJSON(ev.Old)
		out.Old = &data
	}
	return out
}
