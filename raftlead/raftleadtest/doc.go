// Package raftleadtest is for testing programs that embed hashicorp/raft.
//
// A Tracker follows who leads on each server of a cluster: it waits for a server to be
// elected, tells of the loss, and collects what can never be, such as two leaders in one
// raft term. It reads the transitions of package raftlead, and so needs no NotifyCh, and
// holds nothing up.
//
// A Cluster is servers in one process, on which nobody is elected but who the
// test says: it elects and deposes, cuts servers off, restarts them, and stops a command on
// its way: in the leader's log, in those of the others, or committed.
//
// Both work in real time and in a bubble of testing/synctest, where time-outs pass
// in no time.
//
// # Slow machines
//
// All time-outs, also those of a Cluster's rafts, are multiplied by the environment
// variable TENURE_TEST_SCALE, if it is set: TENURE_TEST_SCALE=5 on a machine that is busy.
package raftleadtest
