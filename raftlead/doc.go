// Package raftlead is for programs that embed hashicorp/raft, and do something on the server
// that leads: it turns raft's leadership into terms with a fencing token, one function at a time, and tells
// any number of readers who leads, without ever making raft wait for them.
//
//	witness := raftlead.NewWitness(transport)
//	r, err := raft.NewRaft(conf, fsm, logs, stable, snapshots, witness.Transport())
//	...
//	elector, err := raftlead.New(r, conf.LocalID, witness, raftlead.Options{})
//	...
//	err = elector.Lead(ctx, func(ctx context.Context, t tenure.Term) error { ... })
//
// It needs neither Config.NotifyCh nor Raft.LeaderCh, and leaves both to others.
//
// # Guarantees
//
//  1. Transitions are told in their order, the present one first, and none is left out,
//     however slow a reader is. A leadership that was lost and regained is three of them,
//     and the raft term says so, too.
//  2. Raft never waits for a reader, a function or a log handler.
//  3. A term begins when a barrier was applied: the FSM has all that earlier leaders have committed.
//     Its token is the barrier's index. It is higher than that of every earlier term of the cluster.
//  4. A term ends when raft steps down, and at the latest when Options.Lease has passed since heartbeats
//     were sent that a quorum has answered: also if raft itself hangs. Once Held is
//     false it stays false, and no other server can have been elected before that,
//     as far as what is said below holds.
//  5. Lead calls its function once at a time: again only when it has returned.
//  6. A leadership that is given up is passed on by raft's own transfer, after the function
//     has returned. What goes wrong is tried again, with every voter, until another leads
//     or Options.TransferTimeout has passed; raft leads on here meanwhile, and what could
//     not be passed on is led again (Lead, after TransferTo) or told (ErrNotTransferred).
//
// # A term
//
//	no term ── raft leads, and a barrier was applied ──> held
//	held ── raft steps down or is shut down ──────────────> lost      (ErrSteppedDown, ErrShutdown: what is seen first)
//	held ── Lease passed without a quorum's answers ──────> lost      (tenure.ErrUnproven)
//	held ── Close ────────────────────────────────────────> over      (ErrClosed)
//	held ── Resign, TransferTo, end of ctx or function ───> draining  (tenure.ErrResigned, tenure.ErrTransferred, ...)
//	draining ── the function has returned ────────────────> transfer ──> another leads, or ErrNotTransferred
//	lost ── the function has returned ────────────────────> no term
//
// A term that was lost for want of answers while raft has not stepped down is followed by another one
// in the same raft term, with another barrier, and so with a higher token.
//
// # What the token can promise, and what not
//
// Raft's log needs no token to be safe from an old leader: it cannot commit. But raft.Apply does not know for
// which term it is called. A function of term 5 that is late may call it when its server leads
// again, in term 7: the entry is proposed, and committed, as if it were of term 7. Put RaftTerm into each
// command, and let the FSM refuse one that is not equal to raft.Log.Term: that is exact, and
// takes no state. examples/raftkv does it.
//
// Outside of raft, give Token to what can compare it, and let that refuse any that is lower than the
// highest it has seen. That stops an old leader from the moment at which a new one has been there first. It does not
// stop one before that, and nothing stops one at a place that does not compare: there, only Held and
// the end of the context do, which is a matter of clocks.
// A raft term alone is a worse token: it does not tell two terms of one server in one raft term apart, and raft
// counts it up without electing anybody.
//
// Both start anew where a cluster does: after raft.RecoverCluster with a part of the log, and
// with new disks, tokens may be lower than before.
//
// # What fails, and what then
//
//	                                 who leads                        told after
//	leader's process dies            another, as soon as raft elects  raft's election, and a barrier
//	leader is cut off                its term ends first              Lease since the last answers, at most
//	leader's raft hangs (its disk)   its term ends all the same       Lease; raft itself does not notice
//	process stopped, then goes on    Held is false at once            first look at a clock
//	no quorum                        nobody                           Lease
//	transfer fails halfway           whom raft elects; tried again    TransferTimeout
//	server removed from the cluster  another                          when its removal is committed
//
// # Limits
//
//   - The Lease is sound if all servers' Config.HeartbeatTimeout are longer, by more than clocks
//     differ in rate. Raft cannot tell what the others have.
//   - A voter that crashes and is back within a heartbeat timeout has forgotten whom it had answered, and
//     may vote for another at once. Then the old leader's Lease is no bound. For one that must be, start raft
//     a HeartbeatTimeout after the process.
//   - Whoever calls LeadershipTransfer on the raft itself elects another while a term is held. Call TransferTo.
//   - Raft handles heartbeats beside its main loop. One that it answers in the very moment in which
//     its election timeout ends does not keep it from standing for election.
//     And such a server may take the old leader for the present one for as long as no other is heard of: it
//     refuses its vote, and if its log lacks an entry that others have, the rest of three elects nobody (raft v1.7.3 and
//     v1.8.0). Neither happens with a transport whose SetHeartbeatHandler does nothing, as in
//     examples/raftkv. Its price is that a server answers no heartbeat while it writes, or restores a snapshot.
//   - Raft's request to a server that it should stand for election says no term, and has no
//     end. If it is handled after the transfer was given up, the server may be elected while another holds
//     a term, and until that one hears of it or its Lease ends, both do.
//   - With Config.MaxRPCsInFlight other than 1 raft v1.7.3 may stop replicating to a server, and hang in Shutdown, when
//     a pipeline ends at a bad moment (hashicorp/raft#612), while heartbeats go on. Then a term is held in which nothing
//     commits. examples/raftkv sets it to 1.
//   - Raft elects whom it likes, also a server on which nobody campaigns.
//   - With Options.TrustRaft there is no Lease: only raft's own, of Config.LeaderLeaseTimeout, which counts
//     from the receipt of answers and does not run while raft hangs.
//
// Tested with raft v1.7.3, which it requires, and with v1.8.0.
package raftlead
