package tenure_test

// raftTestVersion is the commit of CanonicalLtd/raft-test whose internal/election
// docs/coming-from.md has a table of. The Examples for those who come from there are in
// package raftleadtest.
const raftTestVersion = "ecdf110"

var raftTestNames = []string{
	"Tracker", "NewTracker", "Tracker.Track", "Tracker.Expect", "Tracker.Ignore", "Tracker.Close",
	"Future", "Future.Done",
	"Leadership", "Leadership.Lost",
}
