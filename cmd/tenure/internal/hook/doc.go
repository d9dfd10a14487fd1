// Package hook runs the commands that "tenure campaign" calls back: one at a time, in
// order, each with a time-out, and none for longer than what it was called for is true.
//
// # Events
//
//	elected    a term has begun. The caller waits: a hook that fails refuses the term.
//	lost       the term has ended. The caller waits, and then passes the seat on.
//	follower   somebody else leads.
//	error      something failed, and the campaign goes on.
//
// # What waits, and what runs
//
// One hook runs. For its end wait, in the order in which they are taken:
//
//	role      elected or lost; one at most, because the elector calls one at a time
//	follower  the latest; not taken while a term of this member lasts, that is from
//	          elected until the hook of lost has ended, or the term was refused
//	errors    of the last minute each text once, maxErrors at most
//
// An event that arrives supersedes others. A hook that runs is sent TERM then, and KILL
// after Grace; one that waits is dropped:
//
//	arrives    follower that runs   error that runs   follower that waits
//	elected    stopped              waited for        dropped if its term is older
//	lost       there is none        stopped           kept
//	follower   stopped              waited for        dropped
//	error      waited for           waited for        kept
//
// A hook of elected is superseded by the end of its term alone: it is killed when the term
// was lost, and by its guard at the term's deadline if this process is too late for it.
// Each hook is stopped, too, when its time is out.
//
// # Invariants
//
//   - At most one hook runs, with all of its process group. It has ended when the call
//     that was waiting for it returns.
//   - Elected and lost come in pairs: after a hook of elected that succeeded, or was
//     stopped because its term ended, that of lost runs once, with the same token.
//     There is none after one that failed, or that never began.
//   - The tokens of elected and follower rise from each hook to the next; none has the
//     same token twice.
//   - No hook outlives this process, however that dies; see package guard.
//
// The queue, in queue.go, is all of this without processes.
package hook
