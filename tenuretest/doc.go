// Package tenuretest is for testing that a program fails over: an arena in
// which members of an election can be crashed, cut off and slowed down, and a
// history that checks what Tenure guarantees and shows what went wrong.
//
// An Arena is a store in memory and a History of all that happens over it. Each
// of its nodes is a member behind faults of its own. It works in real time and
// inside a bubble of testing/synctest, where a TTL passes in no time. In real time
// it also works over the store that you will use: see ArenaOptions.Open.
//
// A History may also be used without an arena: Record what your program saw,
// and Check. It is a plain list of events, so it can be filled by a simulation
// with times of its own, or from the logs of several processes.
package tenuretest
