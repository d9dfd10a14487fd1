// Package tenure elects one leader among processes, tells everyone who it is,
// and makes sure that a process which lost its leadership can do no harm.
//
//	err := tenure.Lead(ctx, st, "nightly", func(ctx context.Context, t tenure.Term) error {
//		return work(ctx) // at most one process at a time is here
//	})
//
// # Guarantees
//
//  1. One holder. At any instant at most one term of an election reports Held,
//     if (a) the store is linearizable and is not restored to an older state,
//     (b) the clock rates of two hosts differ by no more than Options.Drift, and
//     (c) leases end only by their holder or by time, and nobody writes Tenure's
//     keys behind its back. No host's wall clock is ever compared with
//     another's. Where (c) is broken the holder steps down as soon as it sees
//     it, at the latest when its evidence runs out, and guarantee 2 still holds.
//  2. Fencing needs no clock. Tokens rise with every term of an election, over
//     resignation, expiry, restart and compaction. A transaction committed
//     through a term (Leadership.Commit) takes effect only if that term is
//     current.
//  3. Drain before release. On a clean end the term's context is cancelled, the
//     function given to Lead returns, and only then may another be elected. One
//     that overruns its drain time keeps the seat, not held, and is reported;
//     LeadOptions.ReleaseOverrun is the other choice. On a forced end the
//     context is cancelled before the store can elect another, but nobody waits
//     for the function.
//  4. Take-over is prompt. After a clean end: one commit and one watch event.
//     After a crash: the TTL, the store's lag in ending the lease, one commit. A
//     wake-up that was lost heals within a third of the TTL.
//  5. Nothing is silent. Every term ends once, with a cause that errors.Is can
//     test. Observers get the present state first, then every transition in the
//     order of tokens; what could not be learnt is one Gap.
//
// And the reverse: a process that was paused may believe that it leads until it
// runs again. Between asking Held and acting there is always a moment in which
// the answer may grow old. That is why guarantee 2 exists: give the token to
// whatever can refuse a lower one.
//
// # Words
//
// A Member is a process with an identity and a session, which is one lease in
// the store. Members compete in elections, which are names. The winner holds the
// election's seat for a term, with a token. See docs/design.md for the protocol.
//
// # What ends a term
//
//	what happens                     the user's code sees                 another leads after
//	-------------------------------  -----------------------------------  --------------------------
//	function returns, Resign, ctx    ErrResigned, or the cause of ctx     one commit
//	Member.Close                     ErrClosed                            one commit
//	process dies                     nothing                              TTL + the store's lag
//	process is paused for long       Held false once it runs again, then  TTL + the store's lag
//	                                 ErrSessionExpired
//	store cannot be reached          ErrSessionExpired, before the TTL    TTL + the store's lag
//	store renews, but does not read  ErrUnproven, before the TTL          one commit, once it reads
//	lease revoked by somebody else   ErrSessionExpired or ErrDispossessed at once
//	seat deleted or overwritten      ErrDispossessed                      at once
//
// Everything in the last six rows is ErrLost. Lead then campaigns again.
package tenure
