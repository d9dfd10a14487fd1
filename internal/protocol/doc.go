// Package protocol is Tenure's election protocol as a pure state machine: no
// goroutine, no clock, no store and no randomness is inside it. Events go in
// with the time at which they happened, actions come out:
//
//	actions := session.Step(now, event)
//
// The shell (package tenure) owns goroutines, timers and store calls; it turns
// replies, watch events and the user's wishes into events, and carries out
// actions in the order given.
//
// # What one Session knows
//
// A Session has a deadline of its own, moved by renewals, and any number of
// elections. Of each election it keeps a phase, three facts and at most one
// request in flight:
//
//	phase      outside    no term of ours that the user knows of
//	           leading    a term is held, as long as both deadlines are ahead
//	           draining   the term has ended; the user's function still runs
//
//	seat       free, ours at a token, another's, or vacant; as of a revision
//	candidate  our own key: absent, or what it says; and its last Modified
//	queue      the candidates that wait, as of the last look
//
// Facts come from looks (one List of the seat and of all candidates), from
// rounds, from watches and from the replies to our own commits; a fact of an
// older revision never replaces one of a newer. When a reply is lost or a
// condition refused, nothing is guessed: the facts count as unknown until the
// next look.
//
// Of the line, a session knows whether it is among the first (Config.Near). They,
// and the holder, have all seats watched (WatchSeats), which shows offers, too. The
// others watch their own terms, for offers, and ask in each round after a witness
// half-way to the head; when he is gone, they look again.
// The holder of a few elections whose terms last follows their queues, too
// (WatchLine), until it has passed them on, which so takes no look. All of that is
// about promptness alone: what a watch tells, a round or a look tells later.
//
// # What it does
//
// Everything outside a term follows from one table (election.advance), read
// from top to bottom whenever no request is in flight:
//
//	facts unknown                          look
//	seat ours, token new here, wanted,     begin the term
//	  and we may lead
//	seat ours                              hand over to who was named or is first in line, or release
//	not wanted, candidate key there or     withdraw (delete it, or mark it: P3)
//	  perhaps still to come
//	not wanted                             done
//	not enrolled, and others go first      enrol, as who waits, stands aside, is not eligible or drained
//	seat free or outlived, our turn        take
//	seat free or outlived                  wait our place in line x grace
//	not enrolled                           enrol
//	enrolled                               wait for a watch event or a round
//
// A seat that is ours also is a vacancy that names us: its token has ended, and so it
// is passed on. Who deposes needs no session (Depose), and neither does who orders a
// transfer (Transfer). While an election is paused nobody is seated, and what is passed
// on is released; see control.go.
//
// # Invariants
//
//	P1  The seat is the truth. A term begins only from a commit, a read or an
//	    offer that shows the seat ours at a token above every token that ended
//	    here, and above everything seen when the campaign began.
//	P2  Held means two deadlines ahead, each on two clocks: the session's and
//	    the evidence's. Each counts from before the request was sent. A reply
//	    moves a deadline only while the old one is ahead; passing one is final.
//	P3  Each write names the state it replaces: our candidate key at its last
//	    known Modified, the seat absent or at its token. So a request whose
//	    reply was lost either takes effect on the state it was meant for, or
//	    never. The one exception, a key guarded as absent, is why leaving then
//	    writes a mark instead of deleting the key. And a place in line counts as
//	    one only if no such request may still take effect on it: whoever comes
//	    back while his withdrawal is unresolved enrols anew.
package protocol
