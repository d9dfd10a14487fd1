// Command raftkv is a key-value service of three servers over hashicorp/raft, whose leader
// does work that no two servers may do at a time. It shows how a program that embeds raft
// uses package raftlead.
//
//	go run ./examples/raftkv
//
// starts three servers, which are processes, kills the one that leads, and shows that the
// work moves. With flags the command is one such server:
//
//	raftkv -id a -dir DIR -token-file FILE -audit FILE -peers a=RAFT/HTTP,b=RAFT/HTTP,c=RAFT/HTTP
//
//	main.go    the command and its flags
//	server.go  a server: raft, an Elector, HTTP; how it starts, and in which order it stops
//	lead.go    what it does while it leads
//	kv.go      the state machine: what raft's log does to keys
//	http.go    what clients may ask
//	demo.go    the demonstration, over the processes of cluster.go
//
// # What the leader does
//
// Keys may have a lifetime. No state machine can tell that one is over, because each has
// another clock and all must do the same; so the leader does, by its own: it sweeps. A sweep
// is a line in the audit file, which is outside of raft, and a command in raft's log that
// says what the time is. The two are kept safe in two ways.
//
// The log refuses what is late. Every command carries the raft term for which its server
// proposed it, and the state machine refuses one that is applied in another term. Raft itself does
// not: it proposes whatever it is given while it leads, also when it has lost and regained
// the leadership since the command was made (TestLateCommand).
//
// The audit file refuses nothing. So the leader asks whether its term is held right before
// it writes, and a term ends before another server can be elected (TestPartitions). What remains is a
// process that is stopped between the question and the write. Nobody can help that but a
// place that compares: the token is in each line, and rises.
//
// # What clients may rely on
//
// A write that was answered with 204 is not lost while two of the three servers, or their
// disks, remain. One that was answered otherwise, or not at all, may have taken
// effect or not. A read sees every write that was answered before it was asked: the leader asks a
// quorum whether it still leads, and has applied all that it has answered.
// Whether a key's lifetime is over is a matter of the leaders' clocks.
package main
