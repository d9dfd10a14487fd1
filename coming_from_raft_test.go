package tenure_test

// raftVersion is that of github.com/hashicorp/raft. The Examples for those who embed it are
// in package raftlead, and so are the tests of what the page says of it.
const raftVersion = "v1.7.3"

// Of so large a package these are what tells who leads, and what depends on it.
var raftNames = []string{
	"Raft.LeaderCh", "Config.NotifyCh", "Config.LeaderLeaseTimeout",

	"Raft.RegisterObserver", "Raft.DeregisterObserver", "NewObserver", "Observer", "FilterFn",
	"Observer.GetNumObserved", "Observer.GetNumDropped", "Observation", "LeaderObservation", "RaftState",
	"RequestVoteRequest", "PeerObservation", "FailedHeartbeatObservation", "ResumedHeartbeatObservation",

	"Raft.State", "Raft.Leader", "Raft.LeaderWithID", "Raft.CurrentTerm", "Raft.VerifyLeader", "Raft.LastContact",

	"Raft.Barrier", "Raft.Apply", "Raft.LeadershipTransfer", "Raft.LeadershipTransferToServer", "Raft.Shutdown",
	"ErrNotLeader", "ErrLeadershipLost", "ErrLeadershipTransferInProgress",
}
