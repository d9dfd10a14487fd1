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
//     LeadOptions.ReleaseOverrun is the other choice. On a forced end (lost, or
//     deposed) the context is cancelled before the store can elect another, but
//     nobody waits for the function.
//  4. Take-over is prompt. After a clean end: one commit and one watch event.
//     After a crash: the TTL, the store's lag in ending the lease, one read and
//     one commit. A wake-up that was lost heals within a third of the TTL.
//     Options.Bounds has the numbers, and says when a clean end takes a read.
//  5. Nothing is silent. Every term ends once, with a cause that errors.Is can
//     test. Observers get the present state first, then every transition in the
//     order of tokens; what could not be learnt is one Gap.
//
// And the reverse: a process that was paused may believe that it leads until it
// runs again. Between asking Held and acting there is always a moment in which
// the answer may grow old. That is why guarantee 2 exists: give the token to
// whatever can refuse a lower one.
//
// # Assumptions
//
//   - The store keeps the contract of package store. It is linearizable, forgets
//     nothing that it has acknowledged, and ends no lease before its TTL is over,
//     counted from the moment the last renewal was sent. After a restore to an
//     older state tokens go back, and guarantees 1 and 2 end.
//   - The clock of a holder and the one by which the store times leases run at
//     rates that differ by no more than Options.Drift. No other two clocks
//     matter. Bounds.Drift says how much more the Margin absorbs. Over a store
//     of one host there is only one clock.
//   - Of the two clocks of a host, monotonic and wall, one at least goes on while
//     the process or the machine is stopped. Terms end when either says so. A
//     virtual machine that goes on from a snapshot, with both clocks set back to
//     it, may believe that it leads for up to Bounds.Trust.
//   - Nobody else writes under leaders/, candidates/, sessions/, members/ and
//     control/, and no two live processes share a member's ID. Join refuses the second.
//   - A function whose term was lost stops soon after the end of its context. Where
//     the store was out of reach it has the Options.Margin; nobody waits for it.
//   - Trace callbacks and log handlers return.
//
// # Words
//
// A Member is a process with an identity and a session, which is one lease in
// the store. Members compete in elections, which are names. The winner holds the
// election's seat for a term, with a token. See docs/design.md for the protocol.
//
// # The states of a member in an election
//
//	          Campaign, Lead             elected
//	outside ------------------> waiting ---------> leading
//	 ^   ^                       |   ^                |
//	 |   |  context ended,       |   |                |  clean end, or loss
//	 |   |  Close, error         |   |                |
//	 |   +-----------------------+   |                v
//	 |                               +----------- draining
//	 |                             after a loss,      |
//	 |                             in Lead            |
//	 +------------------------------------------------+
//	        after a clean end, or, in Campaign, a loss
//
// Waiting has a place in line: the highest priority first, then the longest
// wait. It outlasts sessions: a member whose session was lost makes a new one
// and waits again, at the end of the line.
//
// Leading is what Held reports. It ends cleanly when the function given to Lead
// returns or Resign is called (the cause is ErrResigned), when the context given
// to Lead ends (the cause of that context), with Member.Close (ErrClosed), and, before
// anybody works in it, where a condition of its campaign does not hold
// (ErrConditionFailed). It ends as cleanly when others want it to, with a cause that is
// ErrYielded: a transfer, a drain, a higher priority, a Policy, a Health check. All
// other causes are ErrLost.
//
// Draining is not held. Things happen in this order: Held is false, the term's
// context is cancelled with the cause, the function returns, the seat is passed
// on. A term won by Campaign has no function, so the seat is passed on at once, or,
// where others have ended it, when Resign says that nobody works under it any more.
// After a loss others do not wait for the function either.
//
// A candidate that waits may stand back for a while (it has flapped, or was deposed),
// be not eligible (by its Policy or Health), or drained. It then has no place in line,
// and gets a new one, at the end, when that is over. One that stands back may be named
// by a transfer.
//
// # What fails
//
// Round, Trust, Patience, Crash, Clean and Grace are fields of Bounds. The store's
// own times come on top of them; Bounds says which. Wherever a term is lost, Lead
// campaigns again.
//
//	what fails                who notices        when                         what the user's code sees
//	------------------------  -----------------  ---------------------------  -------------------------------
//	leader dies               the store          the TTL after its last       nothing; another is elected
//	                                             renewal                      within Crash
//
//	leader is paused, or its  the store; the     the TTL; as soon as it runs  Held false, then
//	host sleeps               leader             again                        ErrSessionExpired; another is
//	                                                                          elected within Crash
//
//	renewal fails, or hangs   the member         at once, and again after     Trace.Trouble and Trace.Round;
//	                                             Round/4; or the next is      one costs nothing, and slow
//	                                             sent beside it               ones nothing up to Patience
//
//	store is out of the       the leader         Trust after its last         ErrSessionExpired, also from
//	leader's reach                               renewal: Patience or more    Healthy; another is elected,
//	                                             after the store fell silent  the Margin later or more,
//	                                                                          within Crash
//
//	store is away for all     every leader       as above                     as above; until it is back
//	                                                                          nobody leads, and no campaign
//	                                                                          ends
//
//	store renews, but cannot  the leader         Trust after the last read    ErrUnproven; nobody is elected
//	be read                                                                   until it can be read
//
//	store refuses the member  the member         at once                      Trace.Trouble with ErrDenied of
//	(password, rights)                                                        package store; else as out of
//	                                                                          reach, until it is let in
//
//	store takes more than a   nobody             never                        no campaign is won and no seat
//	Round to answer                                                           handed over; terms last as
//	                                                                          above
//
//	store is away at a clean  the member         at its next request          Resign obeys its context, Lead
//	end                                                                       returns within Trust; another
//	                                                                          is elected within Crash
//
//	watch is silent           nobody has to      at the next round            offers and vacancies are seen
//	                                                                          up to a Round late
//
//	watch breaks              the member         at once; made anew within 3  Trace.Trouble
//	                                             s
//
//	history is compacted      the observer       when its watch is made anew  one Gap, then the present state
//	under a watch
//
//	reply is lost             the member         a Round after the request,   nothing: it looks before it
//	                                             at most                      acts; from Commit an error that
//	                                                                          leaves the outcome unknown
//
//	lease is revoked by       the leader         at once; within a Round if   ErrSessionExpired or
//	somebody else                                its watch is silent          ErrDispossessed; another is
//	                                                                          elected at once
//
//	seat is deleted or        the leader         at once; within a Round if   ErrDispossessed
//	overwritten                                  its watch is silent
//
//	seat cannot be read       who campaigns or   at once                      ErrCorrupt, in Trace.Trouble
//	                          reads                                           and from views; nobody is
//	                                                                          elected until it is gone, or
//	                                                                          has hung on no lease for MaxTTL
//
//	store shows an older      who campaigns      at once; asked again every   ErrWentBack, in Trace.Trouble;
//	state than before                            Round, at most               a leader: ErrUnproven. No one
//	                                                                          that saw the newer one is
//	                                                                          elected until it is surpassed
//
//	function fails or panics  Lead               at once                      Lead returns its error, or a
//	                                                                          PanicError; another is elected
//	                                                                          within Clean. With
//	                                                                          LeadOptions.Retry Trace.Failed
//
//	function hangs, and the   a Health check;    after HealthGrace; when it   ErrUnhealthy, and the seat stays
//	session is renewed        an operator        is deposed                   taken; ErrDeposed, and another
//	                                                                          is elected the TTL x (1 + Drift)
//	                                                                          later, at the latest
//
//	terms end again and       the member         at the fourth within 5       Trace.StoodBack; another is
//	again                                        minutes                      elected
//
//	a Policy cannot tell      the member         after the TTL                ErrIneligible; it takes no seat
//	                                                                          until it can
//
//	function overruns its     Lead               DrainTimeout after the end   Trace.Overrun; the seat stays
//	drain time                                   of its context               taken, not held.
//	                                                                          ErrDrainTimeout with
//	                                                                          ReleaseOverrun, and in Close
//
//	first in line is dead     the next in line   a Grace later; a Round       nothing
//	too                                          later, if the first three
//	                                             are
//
//	successor dies as it is   the store          the TTL after its last       nothing; another is elected
//	handed the seat                              renewal                      within Crash
//
//	member restarts with the  Join               at once                      Trace.DuplicateWait; it waits
//	ID that it had                                                            for the old session to end
//
//	ID belongs to another     Join               after that one's TTL, with   ErrDuplicateMember
//	live process                                 Drift, and 1 s
//
//	ID was taken by another   the member         when it is back              ErrDuplicateMember, from
//	during an outage                                                          Healthy and from campaigns
//
//	wall clock is set         the leader         forward, past a deadline:    ErrSessionExpired, too early;
//	                                             at once; back: never         nothing
//
//	clock rates differ by     nobody             never                        two may report Held; Commit and
//	more than Bounds.Drift                                                    tokens still tell them apart
//
//	store is closed under a   the member         Trust after its last         ErrSessionExpired, then
//	member                                       renewal                      store.ErrClosed from Healthy
//	                                                                          and campaigns
//
//	Trace callback blocks     nobody             never                        no more callbacks and log
//	                                                                          lines; Close waits for it
//
// # Limits
//
//	name of an election, ID    1 byte to MaxName (1 KiB), UTF-8, without NUL
//	endpoint                   up to MaxEndpoint (4 KiB), UTF-8
//	TTL                        MinTTL (100 ms) to MaxTTL (1 h), and not below the store's shortest
//	Drift                      up to 0.1
//	Margin and TTL x Drift     together up to TTL/4
//	elections of a member      any number; with more than 100 each round reads the seats of all
//	                           elections in the store, and not its own alone
//	requests under way         64 for the elections of a member, and 3 rounds
//	a request's time           a Round; 10 s for those of a View, for Drain and for Survey
//	a Reason's By and Why      up to MaxReason (1 KiB) each, UTF-8
//	announcement               up to MaxAnnouncement (64 KiB)
//	conditions of a campaign   one fewer than the store takes in a transaction
//	history of an election     the last 100 terms, fewer where they take more than 128 KiB or than the
//	                           store's longest value; 256 bytes of an endpoint and of a cause
//
// Not promised:
//
//   - That a leader works. One whose function hangs leads for as long as its
//     process renews the session, unless a Health check notices, or somebody who
//     deposes it.
//   - That the highest priority leads. Priority says who is next; it displaces
//     nobody but those who let it (PreemptAfter).
//   - That a vacancy goes from the store when its victim is gone and nobody else
//     campaigns. Who comes next outlives it.
//   - Every transition, over a store whose watch does not show every change
//     (store.Capabilities.EveryChange): a term that was over at once may be
//     missing there, without a Gap.
//   - That a history (Options.History) is complete. A term whose member crashed or was
//     closed while the store was away may be missing, or lack its end.
//   - That a seat written by a newer version is understood by an older one. What
//     cannot be read counts as taken.
package tenure
