// Command scheduler shares jobs among three processes, any of which may be killed at any
// moment: no job is lost.
//
//	go run ./examples/scheduler
//
// It starts a store of its own and three nodes, which are processes. One of the nodes leads.
// The leader deals the jobs that are not done to the nodes that are there, by publishing a
// hand for each of them in its own state; each node watches for its hand, and works.
//
//	main.go        the command: the store, the jobs, the nodes
//	supervise.go   starts the processes of the nodes, again and again
//	node.go        a node
//	leader.go      what it does while it leads
//	worker.go      what it does in any case
//	jobs.go        the record of a job, and the one way in which it changes
//	results.go     what a job leaves behind: a line in a file
//
// # What it promises
//
// Every job is done at least once, whoever is killed. A job is done twice only if who did
// it first died after doing it and before recording it; or was cut off from the store
// for the TTL of its session, which looks the same to the others.
//
// # Why that is so
//
// What a node publishes goes with it, so jobs are kept elsewhere: each is a key of the
// store that hangs on no session. Its record goes through three states, and every change of
// it is conditioned on the revision at which it was read:
//
//	waiting --take--> taken by W --record--> done by W
//	                   |      ^
//	                   +-take-+  by another, when W is gone
//
// A worker takes a job, does it, and records it, in this order, and takes no other before.
// The leader reads all jobs first, and then who is there. It deals a job that waits to any
// node, with the revision that it read. One that is taken it deals to who has taken it
// if that is there, and otherwise to any.
//
// No job is lost. Only who has done a job records it as done; as long as a job is not
// recorded every leader deals it to somebody who is there, looking again on every tick, and
// whoever was dealt it tries until its record changes.
//
// No job is done twice by one worker. It goes on to another only when the store has
// answered that the job is recorded, or has been taken from it.
//
// No job is done twice by two, but for the promise above. Say V takes a job after W. V's
// take is conditioned on the revision of W's, so W has not recorded the job and never
// will. A leader told V of that revision: it read the job when W had taken it, and
// after that it did not find W among the nodes. But W was a node before it took the
// job, so its session had ended meanwhile: W had died, or was cut off.
//
// Who leads does not matter to any of this. Two leaders at a time, or an order from one
// that has long been deposed, cost a refused request and nothing else: the leader decides
// who should do a job, the record who does. So nothing here needs the leader's token, but
// for taking the newest leader's word.
//
// A worker that was cut off notices, and does not go on with what it has taken (do, in
// worker.go). What remains is one that is stopped between asking that and doing it, for as long
// as a session lives. Nobody can help that but whom the work is done to: the number at the
// end of each line is the revision of the take. It rises, so that an older one can be
// refused.
package main
