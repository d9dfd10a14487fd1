package tenure_test

// gigoVersion is the commit of Gage-Technologies/gigo-lib whose cluster package
// docs/coming-from.md has tables of: the only one that it has. The Examples for those who
// come from there are in package cluster.
const gigoVersion = "560f09a"

var gigoNames = []string{
	"Node", "Node.Start", "Node.Stop", "Node.Close", "Node.Put", "Node.Get", "Node.GetAsNode", "Node.GetCluster",
	"Node.Delete", "Node.WatchKeyCluster", "Node.GetNodes", "Node.GetLeader", "Node.GetSelfMetadata",
	"Node.GetNodeMetadata",

	"ClusterNode", "NewClusterNode", "ClusterNode.ID", "ClusterNode.Address", "ClusterNode.Role", "ClusterNode.Ttl",
	"ClusterNode.ClusterName", "ClusterNode.StartTime", "ClusterNode.Start", "ClusterNode.Stop", "ClusterNode.Close",
	"ClusterNode.Put", "ClusterNode.Get", "ClusterNode.GetAsNode", "ClusterNode.GetCluster", "ClusterNode.Delete",
	"ClusterNode.WatchKeyCluster", "ClusterNode.GetNodes", "ClusterNode.GetLeader", "ClusterNode.GetSelfMetadata",
	"ClusterNode.GetNodeMetadata",

	"ClusterNodeOptions", "ClusterNodeOptions.Ctx", "ClusterNodeOptions.ID", "ClusterNodeOptions.Address",
	"ClusterNodeOptions.Ttl", "ClusterNodeOptions.ClusterName", "ClusterNodeOptions.EtcdConfig",
	"ClusterNodeOptions.LeaderRoutine", "ClusterNodeOptions.FollowerRoutine", "ClusterNodeOptions.RoutineTick",
	"ClusterNodeOptions.Logger",

	"StandaloneNode", "NewStandaloneNode", "StandaloneNode.ID", "StandaloneNode.Address", "StandaloneNode.StartTime",
	"StandaloneNode.Role", "StandaloneNode.Start", "StandaloneNode.Stop", "StandaloneNode.Close", "StandaloneNode.Put",
	"StandaloneNode.Get", "StandaloneNode.GetAsNode", "StandaloneNode.GetCluster", "StandaloneNode.Delete",
	"StandaloneNode.WatchKeyCluster", "StandaloneNode.GetNodes", "StandaloneNode.GetLeader",
	"StandaloneNode.GetSelfMetadata", "StandaloneNode.GetNodeMetadata",

	"NodeMetadata", "NodeMetadata.ID", "NodeMetadata.Address", "NodeMetadata.Start", "NodeMetadata.Role",
	"NodeMetadata.Marshal", "UnmarshalNodeMetadata",
	"NodeRole", "NodeRoleUnknown", "NodeRoleLeader", "NodeRoleFollower", "NodeRole.String",
	"KV", "KV.Key", "KV.Value",
	"StateChangeEvent", "StateChangeEvent.Type", "StateChangeEvent.NodeID", "StateChangeEvent.Key",
	"StateChangeEvent.Value", "StateChangeEvent.OldKey", "StateChangeEvent.OldValue",
	"EventType", "EventTypeAdded", "EventTypeModified", "EventTypeDeleted", "EventType.String",
	"LeaderRoutine", "FollowerRoutine",
	"ElectionPrefix", "StateDataPrefix", "NodesPrefix", "ErrClusterTickDisagreement", "ErrNoLease",
}
