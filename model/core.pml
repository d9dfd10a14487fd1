/* The election protocol as internal/protocol has it: one election, one process per
 * session, one store. README.md says what is in it; a -D knob breaks one rule.
 *
 * Time is left out: trust says that a session's deadline is still ahead, may be
 * lost at any moment, and only then may the lease end. evidence.pml has the clocks.
 */
#ifndef N
#define N 2		/* sessions at the start */
#endif
#ifndef BJ
#define BJ 0		/* sessions made anew, after another is over */
#endif
#define NS (N+BJ)
/* -DLED: the first leads from the start, and the others wait in line. */

/* How often each thing may happen. */
#ifndef BR
#define BR 0		/* a leader resigns */
#endif
#ifndef BW
#define BW 0		/* a candidate withdraws */
#endif
#ifndef BC
#define BC 0		/* somebody campaigns again */
#endif
#ifndef BX
#define BX 0		/* a session's deadline passes */
#endif
#ifndef BE
#define BE 0		/* the deadline of a term's evidence passes */
#endif
#ifndef BU
#define BU 0		/* a reply or a request is lost, or comes late */
#endif
#ifndef BV
#define BV 0		/* a watch event is delivered late */
#endif
#ifndef BD
#define BD 0		/* a watch stalls for ever */
#endif
#ifndef BO
#define BO 0		/* a round's answer comes late */
#endif
#ifndef BH
#define BH 0		/* a third party deletes the seat */
#endif
#ifndef BF
#define BF 0		/* somebody deposes the leader */
#endif
#ifndef BP
#define BP 0		/* somebody pauses the election, or ends the pause */
#endif
#ifndef BT
#define BT 0		/* a leader resigns in favour of a named one */
#endif

/* Candidate keys; WAITING also says "stays in line" in what a move leaves. */
#define NONE    0
#define WAITING 1
#define HELD    2	/* offered or leading */
#define MARK    3	/* withdrawn */
#define ASIDE   4	/* was deposed, and stands back for a while */
/* Phases. */
#define OUTSIDE  0
#define LEADING  1
#define DRAINING 2
/* Whose the seat is, as far as a session knows. */
#define FREE   0
#define OURS   1
#define OTHERS 2
#define VACANT 3	/* another's vacancy; one that names ourselves is ours, to be cleared */
/* What is in the seat: nobody (0), a session, or its vacancy. */
#define vacancyOf(x) (NS + (x))
#define isVacancy(x) ((x) > NS)
#define victim(x) ((x) - NS)
/* Requests. A vacancy is outlived after a wait, or because the victim's candidate key is gone.
 * It is cleared by a hand-over or a release at its own revision. */
mtype = { OUTLIVE_GONE, OUTLIVE, WITHDRAW, RELEASE, HANDOVER, TAKE, ENROL, LOOK };	/* LOOK is 1, the others follow */

#if BH > 0 || (BF > 0 && N == 2)
#define GONE		/* for more, too many states */
#endif

typedef Session {
	/* In the store: the lease, our candidate key, the mirror of our seat. */
	bit lease; byte cs; byte cm; byte mirror;
	/* The session. */
	bit born; bit over; bit trust; byte seen;
	byte unsettled;
	/* The election: wish, phase, term. */
	bit el; bit wanted; bit clean; bit fn; byte phase;
	byte token; byte ended;
	bit aside; byte to;	/* to: whom the resigned term is to go to */
	/* Its facts. */
	bit known; bit due;
	byte sh; byte stok; byte srev;
	byte cst; byte crev; byte contested;
	byte q; byte qm; bit ahead;
	bit vgone; bit paused;	/* the last look has shown the victim's candidate key gone; the election is paused */
	/* The request in flight: whether the store has had it, and its reply. */
	byte rq; bit served; bit ok; byte rrev; byte leaves;
#ifdef NON_ATOMIC
	bit checked;
#endif
	byte ls; byte lm; byte lc; byte lcs; byte lcm; byte lq; byte lqm; bit lahead;
	bit lvgone; bit lpaused;
	/* A round whose answer is late. */
	bit ron; bit rasked; byte rmirror; byte rs; byte rm; byte rc;
	/* The watches: stalled for ever; and an event that is late, as long as vc is not 0. */
	bit deaf; byte vs; byte vm; byte vc;
	/* A commit that nobody waits for any longer, and that may still take effect. */
	byte zt; byte zg; byte ztok; byte zb; byte zbm; byte zleaves;
	/* The last token of ours that a third party deleted. */
	byte broken;
	/* A vacancy of ours that somebody has waited out: no term from before it has any evidence left. */
	byte out;
#ifdef GONE
	/* Where others may take a seat away: the newest revision at which we have read that it is not ours. */
	byte gone;
#endif
};
Session s[NS+1];

/* The store's revision; the seat, its token, and the revision of its last change.
 * A read's revision matters only for the seat, so reads carry that one. */
byte rev = 1;
byte S = 0, Sm = 0, Sc = 0;
bit P = 0;		/* the election is paused */

byte last = 0;		/* the newest token begun */
byte bR = BR, bW = BW, bC = BC, bX = BX, bE = BE, bU = BU, bV = BV, bD = BD, bO = BO, bH = BH, bJ = BJ,
	bF = BF, bP = BP, bT = BT;

/* Between two steps these mean nothing: counters, what was heard of the seat (h), what is to
 * be done with it (f). */
byte j;
hidden byte k, m, hs, hm, hc, hmirror, htoken;
hidden byte done_, hasked, f_settle, f_seen, f_sighted, f_advance;

/* What must never be. The names are what a failed run prints. */
hidden byte two_holders, token_not_above, not_drained, older_write, left_behind, ended_for_nothing,
	begun_when_gone, elected_while_paused, nobody_leads, seat_stranded, not_in_line;

#define me s[i]
#define live(x) (s[x].born && !s[x].over && s[x].trust)
#ifdef NO_DEADLINE
#define believes(x) (s[x].born && !s[x].over)
#else
#define believes(x) live(x)
#endif
#if N > 2
#define someOver (s[1].over || s[2].over || s[3].over)
#else
#define someOver (s[1].over || s[2].over)
#endif
/* A term that a third party has broken is outside the first guarantee. */
#define sound(x) (s[x].token != s[x].broken)
#define held(x) (believes(x) && s[x].phase == LEADING && sound(x))
/* Who has waited a vacancy out waits for no function. */
#define drains(x) (live(x) && s[x].fn && s[x].clean && s[x].phase != LEADING && sound(x) && s[x].token >= s[x].out)

/* ---- The store ---- */

/* leave: what becomes of the candidate key of x. */
inline leave(x, what) {
	s[x].cs = what;
	if :: what == NONE -> s[x].cm = 0 :: else -> s[x].cm = rev fi
}

inline seat(x) {
	S = x; Sm = rev; Sc = rev; s[x].mirror = rev; s[x].cs = HELD; s[x].cm = rev
}

#define mayPut(x, what) (what == NONE || s[x].lease)
#ifdef ENROL_UNGUARDED
#define asKnownEnrol(x, g) (s[x].cs != HELD)
#else
#define asKnownEnrol(x, g) (s[x].cm == g)
#endif
#ifdef TAKE_UNGUARDED
#define asKnownTake(x, g) (1)
#else
#define asKnownTake(x, g) (s[x].cm == g)
#endif
#ifdef WITHDRAW_UNGUARDED
#define asKnownWithdraw(x, g) (1)
#else
#define asKnownWithdraw(x, g) (s[x].cm == g)
#endif
#ifdef TAKE_OVER
#define seatFree (1)
#else
#define seatFree (S == 0)
#endif
#ifdef HANDOVER_NO_TOKEN
#define atTokenHandOver(t) (1)
#else
#define atTokenHandOver(t) (S != 0 && Sm == t)
#endif
#ifdef RELEASE_NO_TOKEN
#define atTokenRelease(t) (S != 0)
#else
#define atTokenRelease(t) (S != 0 && Sm == t)
#endif
#ifdef HANDOVER_NO_CANDIDATE
#define asListed(b, bm) (1)
#else
#define asListed(b, bm) (s[b].cm == bm)
#endif
#define atVacancy(t) (isVacancy(S) && Sm == t)
#ifdef OUTLIVE_PRESENT
#define OUTLIVE_UNGUARDED
#define seenGone (1)
#else
#define seenGone (s[victim(S)].cs == NONE)
#endif
#ifdef OUTLIVE_UNGUARDED
#define victimGone (1)
#else
#define victimGone (s[victim(S)].cs == NONE)
#endif
#ifdef TAKE_PAUSED
#define mayTake (1)
#else
#define mayTake (!P)
#endif

/* allowed: the conditions of a move of x, guarded by its own candidate key at g,
 * the seat at t, the successor b listed at bm. */
#define allowed(x, move, g, t, b, bm, what) ( \
	(move == ENROL    && s[x].lease && asKnownEnrol(x, g)) || \
	(move == TAKE     && s[x].lease && asKnownTake(x, g) && seatFree && mayTake) || \
	(move == OUTLIVE  && s[x].lease && asKnownTake(x, g) && atVacancy(t) && !P) || \
	(move == OUTLIVE_GONE && s[x].lease && asKnownTake(x, g) && atVacancy(t) && victimGone && !P) || \
	(move == HANDOVER && s[b].lease && !P && mayPut(x, what) && atTokenHandOver(t) && asListed(b, bm)) || \
	(move == RELEASE  && mayPut(x, what) && atTokenRelease(t)) || \
	(move == WITHDRAW && mayPut(x, what) && asKnownWithdraw(x, g)))

inline write(x, move, b, what) {
	rev++;
	printf("%d: %e is applied at revision %d\n", x, move, rev);
	elected_while_paused = P && (move == TAKE || move == OUTLIVE || move == OUTLIVE_GONE || move == HANDOVER);
	assert(!elected_while_paused);
	not_drained = S == vacancyOf(x) && s[x].phase == DRAINING && (move == HANDOVER || move == RELEASE);
	assert(!not_drained);
	if
	:: move == ENROL -> s[x].mirror = 0; s[x].cs = (what == ASIDE -> ASIDE : WAITING); s[x].cm = rev
	:: move == TAKE || move == OUTLIVE || move == OUTLIVE_GONE -> seat(x)
	:: move == HANDOVER -> s[x].mirror = 0; leave(x, what); seat(b)
	:: move == RELEASE -> S = 0; Sm = 0; Sc = rev; s[x].mirror = 0; leave(x, what)
	:: move == WITHDRAW -> s[x].mirror = 0; leave(x, what)
	fi
}

/* depose: the vacancy names x, and hangs on no lease. The mirror stays: a round so tells
 * who never learnt of the offer that his candidate key is not as he knows it. */
inline depose(x) {
	rev++;
	printf("%d is deposed at revision %d\n", x, rev);
#ifdef DEPOSE_MIRROR
	s[x].mirror = 0;
#endif
	S = vacancyOf(x); Sm = rev; Sc = rev	/* last: x may be S */
}

inline apply(x, move, g, t, b, bm, what) {
	done_ = 0;
	if
	:: allowed(x, move, g, t, b, bm, what) -> write(x, move, b, what); done_ = 1
	:: else -> printf("%d: %e is refused\n", x, move)
	fi
}

/* ---- The session ---- */

/* What nobody who has left may leave. */
#define inLine(c) (c == WAITING || c == HELD || c == ASIDE)

#ifdef NO_MARK
#define mayBeThere(x) (s[x].crev != 0)
#else
#define mayBeThere(x) (s[x].crev != 0 || s[x].unsettled > 0)
#endif
#ifdef NON_ATOMIC
#define halfway(x) (s[x].checked)
#else
#define halfway(x) (0)
#endif
#define isTake(m) (m == TAKE || m == OUTLIVE || m == OUTLIVE_GONE)
/* In line, and not where an unanswered enrolment or withdrawal of ours may still strike. */
#define enrolled(x) (s[x].cst == WAITING && s[x].crev != s[x].contested)
#define absentGuarded(x) (s[x].crev == 0 && (s[x].rq == ENROL || isTake(s[x].rq)))
#define ourTurn(x) (enrolled(x) || !s[x].ahead)
/* waitedOut: the vacancy has been known for the victim's TTL. evidence.pml shows that no term
 * from before it is held then; and none is to begin any more: out. */
#ifdef OUTLIVE_AT_ONCE
#define waitedOut(x) (1)
#else
#define waitedOut(x) (Sm != s[x].stok || !(believes(victim(S)) && s[victim(S)].phase == LEADING))
#endif

inline answered(x) {
	s[x].rq = 0; s[x].served = 0; s[x].ok = 0; s[x].rrev = 0; s[x].leaves = 0;
	s[x].ls = 0; s[x].lm = 0; s[x].lc = 0; s[x].lcs = 0; s[x].lcm = 0; s[x].lq = 0; s[x].lqm = 0; s[x].lahead = 0;
	s[x].lvgone = 0; s[x].lpaused = 0
}

/* later: a commit that is not waited for any longer is still under way. */
inline later(x) {
	s[x].zt = s[x].rq; s[x].zg = s[x].crev; s[x].ztok = s[x].stok;
	s[x].zb = s[x].q; s[x].zbm = s[x].qm; s[x].zleaves = s[x].leaves
}

inline send(x, move) {
	s[x].rq = move;
	if
	:: s[x].wanted -> s[x].leaves = (s[x].aside -> ASIDE : WAITING)
#ifdef NO_MARK
	:: else -> s[x].leaves = NONE
#else
	:: else -> if :: s[x].unsettled > 0 -> s[x].leaves = MARK :: else -> s[x].leaves = NONE fi
#endif
	fi;
	if :: isTake(move) || (move == ENROL && !s[x].aside) -> s[x].leaves = NONE :: else -> skip fi;
	if :: absentGuarded(x) -> s[x].unsettled++ :: else -> skip fi
}

inline passOn(x) {
	if :: s[x].q != 0 && !s[x].paused -> send(x, HANDOVER) :: else -> send(x, RELEASE) fi
}

/* forget: the facts and the election itself are gone. */
inline forget(x) {
	s[x].el = 0; s[x].wanted = 0; s[x].clean = 0; s[x].fn = 0; s[x].phase = OUTSIDE; s[x].ended = 0;
	s[x].aside = 0; s[x].to = 0; s[x].vgone = 0; s[x].paused = 0;
	s[x].known = 0; s[x].due = 0; s[x].sh = FREE; s[x].stok = 0; s[x].srev = 0;
	s[x].cst = NONE; s[x].crev = 0; s[x].contested = 0; s[x].q = 0; s[x].qm = 0; s[x].ahead = 0;
	s[x].rasked = 0
}

/* appear: a watch or a round shows a term of an election that nobody campaigns in here. */
inline appear(x) {
	printf("%d: an election appears\n", x);
	s[x].el = 1; s[x].ended = s[x].seen
}

#define saw(x, r) s[x].seen = (r > s[x].seen -> r : s[x].seen)

inline endTerm(x, c) {
#ifndef ENDED_AGAIN
	if :: s[x].token > s[x].ended -> s[x].ended = s[x].token :: else -> skip fi;
#endif
	s[x].phase = DRAINING; s[x].clean = c; s[x].known = 0; s[x].due = 0
}

/* toClear: a vacancy at r names x. No term begins from it. */
inline toClear(x, r) {
	printf("%d: is to clear the vacancy at %d\n", x, r);
	s[x].sh = OURS; s[x].aside = 1;
#ifndef CLEAR_BEGINS
	if :: r > s[x].ended -> s[x].ended = r :: else -> skip fi
#endif
}

inline dispossessed(x) {
	printf("%d: is dispossessed\n", x);
	ended_for_nothing = (S == x && Sm == s[x].token);
	assert(!ended_for_nothing);
	endTerm(x, 0);
	if :: hs == vacancyOf(x) -> s[x].aside = 1 :: else -> skip fi
}

inline begin(x) {
	printf("%d: BEGINS at %d\n", x, s[x].stok);
	s[x].phase = LEADING; s[x].token = s[x].stok; s[x].clean = 0; s[x].fn = 1;
	s[x].q = 0; s[x].qm = 0; s[x].ahead = 0;
	s[x].aside = 0; s[x].to = 0; s[x].vgone = 0; s[x].paused = 0; s[x].out = 0;
	k = 1;
	do
	:: k <= NS && k != x ->
		two_holders = held(x) && held(k);
		assert(!two_holders);
		not_drained = sound(x) && drains(k);
		assert(!not_drained);
		k++
	:: k <= NS && k == x -> k++
	:: k > NS -> break
	od;
#ifdef GONE
	begun_when_gone = s[x].token < s[x].gone;
	assert(!begun_when_gone);
#endif
	token_not_above = sound(x) && s[x].token <= last;
	assert(!token_not_above);
	if :: s[x].token > last -> last = s[x].token :: else -> skip fi
}

/* void: an offer at or below our enrolment, what is known of the seat, or what ended here. */
#ifdef STALE_OFFER
#define newToken(x, t) (1)
#define STALE_SEAT
#define STALE_CANDIDATE
#else
#define newToken(x, t) (t > s[x].ended)
#endif
#ifdef STALE_SEAT
#define newerThanSeat(x, t) (1)
#else
#define newerThanSeat(x, t) (t > s[x].srev)
#endif
#ifdef STALE_CANDIDATE
#define newerThanCandidate(x, t) (1)
#else
#define newerThanCandidate(x, t) (t > s[x].crev)
#endif
#define void(x, t) (!(newToken(x, t) && newerThanSeat(x, t) && newerThanCandidate(x, t)))

/* offered: the round has shown the seat ours. A mirror outlives a seat that a third party deletes. */
#ifdef MIRROR_OFFER
#define offered(x) (1)
#else
#define offered(x) (hasked && hs == x && hm == hmirror)
#endif

/* newReply: a watch has not shown anything newer of the seat than what our commit made of it. */
#ifdef OLD_REPLY
#define newReply(x) (1)
#else
#define newReply(x) (s[x].rrev >= s[x].srev)
#endif

/* asks: a round asks for the seats that are held or waited for. */
#define asks(x) (!(s[x].phase == OUTSIDE && !s[x].wanted))
/* What a round tells. One that tells nothing new would only hide that nothing is left to do. */
#define news(x) (s[x].phase == LEADING && !(S == x && Sm == s[x].token) && Sc > s[x].token)
#ifdef MIRROR_ONLY
#define tellsLeader(x) (s[x].phase == LEADING && s[x].mirror != s[x].token)
#else
#define tellsLeader(x) news(x)
#endif
#ifdef ROUND_NO_SEATS
#define tellsSeat(x) (0)
#else
#define tellsSeat(x) (Sc > s[x].srev)
#endif
#define tellsWaiting(x) (s[x].phase == OUTSIDE && s[x].wanted && tellsSeat(x) && \
	!(S == x && Sm <= s[x].ended && s[x].sh == OURS))
#define tellsMirror(x) (s[x].phase == OUTSIDE && s[x].mirror > s[x].ended && \
	s[x].mirror > s[x].srev && s[x].mirror > s[x].crev)
#define tellsLeft(x) (s[x].phase == OUTSIDE && s[x].mirror != 0 && s[x].sh != OURS && s[x].cm != s[x].crev)
#ifdef NO_ROUND
#define roundTells(x) (0)
#else
#define roundTells(x) (tellsLeader(x) || tellsWaiting(x) || tellsMirror(x) || tellsLeft(x))
#endif

#ifdef NO_ROUND
#define pauseTold(x) (!s[x].deaf)
#else
#define pauseTold(x) (1)
#endif

#ifdef GONE
#define learn(x, who, r) if :: who != x && r > s[x].gone -> s[x].gone = r :: else -> skip fi
#else
#define learn(x, who, r) skip
#endif

proctype M(byte i) {
end:	do
	:: atomic {
	if
	/* ---- the user's wishes ---- */
	:: live(i) && !me.el && bC > 0 -> bC--; printf("%d: campaigns again\n", i);
		me.el = 1; me.wanted = 1;
#ifndef NO_SEEN
		me.ended = me.seen;
#endif
		f_advance = 1
	:: live(i) && me.el && me.phase == OUTSIDE && !me.wanted && bC > 0 -> bC--;
		printf("%d: wants again, before it is out\n", i);
		me.wanted = 1; f_advance = 1
	:: live(i) && me.el && me.phase == OUTSIDE && me.wanted && bW > 0 -> bW--; printf("%d: is to withdraw\n", i);
		me.wanted = 0; me.due = 0; f_advance = 1
	:: live(i) && me.phase == LEADING && bR > 0 -> bR--; printf("%d: resigns\n", i);
		endTerm(i, 1);
#ifdef NO_DRAIN
		me.phase = OUTSIDE; me.wanted = 0;
#endif
		f_advance = 1
	:: live(i) && me.phase == LEADING && bT > 0 -> bT--;
		endTerm(i, 1);
		if
		:: i != 1 -> me.to = 1
		:: i != 2 -> me.to = 2
#if NS > 2
		:: i != 3 -> me.to = 3
#endif
		fi;
		printf("%d: resigns in favour of %d\n", i, me.to);
		f_advance = 1
	/* the evidence of a term that was deposed runs out, whatever its watch shows */
	:: live(i) && me.phase == LEADING && S == vacancyOf(i) -> printf("%d: its evidence runs out\n", i);
		endTerm(i, 0); f_advance = 1
	/* it has stood back for long enough */
	:: live(i) && me.aside && me.phase == OUTSIDE && me.cst == ASIDE -> printf("%d: stands aside no longer\n", i);
		me.aside = 0; f_advance = 1
	/* it has waited for the victim's TTL */
	:: live(i) && me.phase == OUTSIDE && me.wanted && !me.aside && me.rq == 0 && me.known && !me.due &&
	   me.sh == VACANT && !me.paused && ourTurn(i) && waitedOut(i) -> d_step {
		printf("%d: has waited out the vacancy at %d\n", i, me.stok);
#ifndef OUTLIVE_AT_ONCE
		if :: Sm == me.stok && live(victim(S)) -> s[victim(S)].out = Sm :: else -> skip fi;
#endif
		send(i, OUTLIVE) }
	/* the evidence runs out; the seat may still be ours */
	:: live(i) && me.phase == LEADING && bE > 0 -> bE--; printf("%d: its evidence runs out\n", i);
		endTerm(i, 0); f_advance = 1
	:: live(i) && me.phase == DRAINING ->
		if
		:: me.clean -> me.wanted = 0
		:: me.clean && bC > 0 -> bC--; me.wanted = 1
		:: !me.clean -> me.wanted = 1
		:: !me.clean && bW > 0 -> bW--; me.wanted = 0
		fi;
		if :: !me.clean -> me.known = 0 :: else -> skip fi;
		printf("%d: has drained, campaigns again: %d\n", i, me.wanted);
		me.phase = OUTSIDE; me.clean = 0; me.fn = 0; me.due = 0; f_advance = 1

	/* ---- the store takes a request ---- */
	:: (me.rq == LOOK && !me.served && me.trust) -> d_step {
		printf("%d: looks, sees the seat %d at %d\n", i, S, Sm);
		me.served = 1;
		me.ls = S; me.lm = Sm; me.lc = Sc; me.lcs = me.cs; me.lcm = me.cm;
		k = 1;
		do
		:: k <= NS ->
			if
			:: k != i && s[k].cs == WAITING ->
				if :: me.lq == 0 || s[k].cm < me.lqm -> me.lq = k; me.lqm = s[k].cm :: else -> skip fi;
				if :: me.cs != WAITING || s[k].cm < me.cm -> me.lahead = 1 :: else -> skip fi
			:: else -> skip
			fi;
			k++
		:: else -> break
		od;
		if
		:: me.to != 0 && (s[me.to].cs == WAITING || s[me.to].cs == ASIDE) -> me.lq = me.to; me.lqm = s[me.to].cm
		:: else -> skip
		fi;
		me.lvgone = isVacancy(S) && S != vacancyOf(i) && seenGone;
		me.lpaused = P }
#ifdef NON_ATOMIC
	:: me.rq > LOOK && !me.served && !me.checked ->
		if
		:: allowed(i, me.rq, me.crev, me.stok, me.q, me.qm, me.leaves) -> me.checked = 1
		:: else -> me.served = 1
		fi
	:: me.checked -> me.checked = 0; me.served = 1; me.ok = 1; write(i, me.rq, me.q, me.leaves); me.rrev = rev
#else
	:: me.rq > LOOK && !me.served -> d_step {
		apply(i, me.rq, me.crev, me.stok, me.q, me.qm, me.leaves);
		me.served = 1; me.ok = done_;
		if :: done_ -> me.rrev = rev :: else -> skip fi }
#endif
	:: me.zt != 0 -> d_step {
		printf("%d: the %e that was late arrives\n", i, me.zt);
		apply(i, me.zt, me.zg, me.ztok, me.zb, me.zbm, me.zleaves);
		me.zt = 0; me.zg = 0; me.ztok = 0; me.zb = 0; me.zbm = 0; me.zleaves = 0 }

	/* ---- a reply ---- */
	:: live(i) && me.rq == LOOK && me.served -> d_step {
		printf("%d: has the look's reply\n", i);
		saw(i, me.lc); learn(i, me.ls, me.lc);
		me.cst = me.lcs; me.crev = me.lcm; me.q = me.lq; me.qm = me.lqm; me.ahead = me.lahead;
		me.vgone = me.lvgone; me.paused = me.lpaused;
		if
#ifdef OLD_LOOK
		:: 1 ->
#else
		:: me.lc >= me.srev ->
#endif
			me.srev = me.lc; me.known = 1;
			if
			:: me.ls == 0 -> me.sh = FREE
			:: me.ls == i -> me.sh = OURS; me.stok = me.lm
			:: me.ls == vacancyOf(i) -> toClear(i, me.lm); me.stok = me.lm
			:: isVacancy(me.ls) && me.ls != vacancyOf(i) -> me.sh = VACANT; me.stok = me.lm
			:: else -> me.sh = OTHERS
			fi
		:: else -> skip
		fi;
		if
		:: me.phase != DRAINING && me.known && (me.sh == FREE || (me.sh == VACANT && me.vgone)) &&
		   !me.paused && me.wanted && enrolled(i) && me.ahead -> me.due = 1
		:: else -> skip
		fi;
		answered(i); f_advance = 1 }
	:: live(i) && me.rq > LOOK && me.served -> d_step {
		printf("%d: has the reply to %e\n", i, me.rq);
		saw(i, me.rrev);
		if :: absentGuarded(i) -> me.unsettled-- :: else -> skip fi;
		if
		:: !me.ok -> me.known = 0
		:: else ->
			if
			:: me.rq == ENROL ->
				me.cst = (me.leaves == ASIDE -> ASIDE : WAITING); me.crev = me.rrev;
				if :: me.sh == FREE || me.sh == VACANT -> me.known = 0 :: else -> skip fi
			:: isTake(me.rq) -> me.cst = HELD; me.crev = me.rrev
			:: else ->
				me.cst = me.leaves;
				if :: me.leaves == NONE -> me.crev = 0 :: else -> me.crev = me.rrev fi
			fi;
			if
			:: me.rq == ENROL || me.rq == WITHDRAW -> skip
			:: else ->
				if
				:: !newReply(i) -> me.known = 0
				:: newReply(i) && isTake(me.rq) ->
					me.sh = OURS; me.stok = me.rrev; me.srev = me.rrev; me.known = me.wanted
				:: newReply(i) && me.rq == HANDOVER -> me.sh = OTHERS; me.srev = me.rrev; me.known = 1
				:: newReply(i) && me.rq == RELEASE ->
					me.sh = FREE; me.srev = me.rrev; me.known = !me.wanted
				fi
			fi
		fi;
		answered(i); f_advance = 1 }
	/* no reply: the request is lost, or only the reply, or it comes later */
	:: live(i) && me.rq > LOOK && bU > 0 && !halfway(i) -> bU--;
		if
		:: me.served -> printf("%d: the reply to %e is lost\n", i, me.rq)
		:: !me.served -> printf("%d: %e is lost\n", i, me.rq)
		:: !me.served && me.zt == 0 -> printf("%d: %e comes later\n", i, me.rq); later(i)
		fi;
#ifndef NO_CONTESTED
		if :: me.rq == ENROL || me.rq == WITHDRAW -> me.contested = me.crev :: else -> skip fi;
#endif
		answered(i); me.known = 0; me.due = 1
	/* the next try, or our place in line */
	:: live(i) && me.due -> me.due = 0; f_advance = 1

	/* ---- the watches ---- */
	:: live(i) && me.el && !me.deaf &&
	   (news(i) || (me.phase == OUTSIDE && Sc > me.srev && !(S == i && Sm <= me.ended))) ->
		printf("%d: its watch shows the seat %d at %d\n", i, S, Sm);
		hs = S; hm = Sm; hc = Sc; htoken = hm; f_seen = (hs != i); f_sighted = (hs == i)
	:: live(i) && !me.deaf && me.phase == DRAINING && me.clean && S == vacancyOf(i) && Sc > me.srev ->
		printf("%d: its watch shows the vacancy at %d\n", i, Sm);
		hs = S; hm = Sm; hc = Sc; f_seen = 1
	/* the pause, by a watch or a round; or as it was, late */
	:: live(i) && pauseTold(i) && me.phase == OUTSIDE && me.wanted && me.paused != P ->
		printf("%d: learns of the pause: %d\n", i, P);
		me.paused = P; if :: !P -> me.known = 0; f_advance = 1 :: else -> skip fi
	:: live(i) && !me.deaf && me.phase == OUTSIDE && me.wanted && me.paused == P && bP < BP && bV > 0 -> bV--;
		printf("%d: learns of the pause as it was: %d\n", i, !P);
		me.paused = !P; if :: P -> me.known = 0; f_advance = 1 :: else -> skip fi
	/* one that is late; those after it may overtake it, for there are two watches */
	:: live(i) && !me.deaf && me.vc == 0 && bV > 0 && Sc != 0 && (S == i || Sc > me.srev) -> bV--;
		printf("%d: a watch event is on its way: the seat %d at %d\n", i, S, Sm);
		me.vs = S; me.vm = Sm; me.vc = Sc
	:: live(i) && me.vc != 0 ->
		printf("%d: the watch event arrives: the seat %d at %d\n", i, me.vs, me.vm);
		hs = me.vs; hm = me.vm; hc = me.vc; htoken = hm;
		if :: !me.el && hs == i && hm > me.seen -> appear(i) :: else -> skip fi;
		f_seen = me.el && hs != i; f_sighted = me.el && hs == i;
		me.vs = 0; me.vm = 0; me.vc = 0
	:: live(i) && !me.deaf && bD > 0 -> bD--; printf("%d: its watches stall\n", i); me.deaf = 1

	/* ---- a round: only one that has something to tell, answered at once ---- */
	:: live(i) && me.el && roundTells(i) ->
		printf("%d: a round shows the seat %d at %d, the mirror %d\n", i, S, Sm, me.mirror);
		hasked = asks(i); hmirror = me.mirror; hs = S; hm = Sm; hc = Sc;
		saw(i, hc); f_settle = 1
	/* and one whose answer is late */
	:: live(i) && me.el && bO > 0 && !me.ron -> bO--;
		printf("%d: a round is on its way, with the seat %d at %d, the mirror %d\n", i, S, Sm, me.mirror);
		me.ron = 1; me.rasked = asks(i);
		me.rmirror = me.mirror; me.rs = S; me.rm = Sm; me.rc = Sc
	:: live(i) && me.ron ->
		printf("%d: the round arrives\n", i);
		hasked = me.rasked; hmirror = me.rmirror; hs = me.rs; hm = me.rm; hc = me.rc;
		saw(i, hc);
		if :: !me.el && hmirror != 0 -> appear(i) :: else -> skip fi;
		f_settle = me.el;
		me.ron = 0; me.rasked = 0; me.rmirror = 0; me.rs = 0; me.rm = 0; me.rc = 0

	/* ---- a session ends, another begins ---- */
	:: live(i) && bX > 0 -> bX--; me.trust = 0; printf("%d: its deadline passes\n", i)
	:: live(i) && !me.lease -> me.trust = 0	/* a round says so; no lease ends that early, but with a knob */
	:: me.born && !me.over && !me.trust ->	/* noticed at any time: it may have been paused */
		if
		:: me.rq > LOOK && !me.served && me.zt == 0 -> later(i)
		:: skip
		fi;
		printf("%d: its session is over\n", i);
		answered(i); forget(i);
		me.over = 1; me.seen = 0; me.unsettled = 0;
		me.ron = 0; me.rasked = 0; me.rmirror = 0; me.rs = 0; me.rm = 0; me.rc = 0;
		me.deaf = 0; me.vs = 0; me.vm = 0; me.vc = 0
#ifdef EARLY_LEASE
	:: me.lease && (!me.trust || bX > 0) ->
		if :: me.trust -> bX-- :: else -> skip fi;
#else
	:: me.lease && !me.trust ->
#endif
		printf("%d: its lease ends at revision %d\n", i, rev+1);
		me.lease = 0; rev++;
		me.cs = NONE; me.cm = 0; me.mirror = 0;
		if :: S == i -> S = 0; Sm = 0; Sc = rev :: else -> skip fi
#if BJ > 0
	:: i > N && !me.born && bJ > 0 && someOver -> bJ--;
		printf("%d: joins\n", i);
		me.born = 1; me.trust = 1; me.lease = 1; me.el = 1; me.wanted = 1; f_advance = 1
#endif

	/* ---- what must never be ---- */
	/* a write of the user's, under the guard of its term, by whoever had one, however late */
#ifdef WRITE_UNGUARDED
	:: me.token != 0 && me.phase == LEADING && me.token < last ->
#else
	:: me.token != 0 && S != 0 && Sm == me.token && me.token < last ->
#endif
		older_write = 1; assert(!older_write)
	:: live(i) && !me.el && (inLine(me.cs) || S == i || S == vacancyOf(i)) -> left_behind = 1; assert(!left_behind)
	fi;

	d_step {
	/* ---- what a round has shown: Session.settle ---- */
	if :: (f_settle && hasked) || f_seen -> learn(i, hs, hc) :: else -> skip fi;
	if
	:: f_settle && me.phase != OUTSIDE ->
		if
#ifdef OLD_ROUND
		:: !hasked -> skip
		:: hasked && me.phase == LEADING ->
#else
		:: hc < me.token || !hasked -> skip
		:: hc >= me.token && hasked && me.phase == LEADING ->
#endif
			if
#ifdef MIRROR_ONLY
			:: hmirror == me.token -> skip
#else
			:: hmirror == me.token && hs == i && hm == me.token -> skip
#endif
			:: else -> dispossessed(i)
			fi
		:: else -> skip
		fi
	:: f_settle && me.phase == OUTSIDE && !void(i, hmirror) && offered(i) -> f_sighted = 1; htoken = hmirror
	:: f_settle && me.phase == OUTSIDE && !(!void(i, hmirror) && offered(i)) ->
		/* a seat of ours that nobody here knows of, or what is left of one */
		if :: hmirror != 0 && me.sh != OURS -> me.known = 0; f_advance = 1 :: else -> skip fi;
#ifndef ROUND_NO_SEATS
		if :: hasked -> f_seen = 1 :: else -> skip fi
#endif
	:: else -> skip
	fi;

	/* ---- what is learnt of the seat: Session.seatSeen ---- */
	if
	:: f_seen && me.phase == LEADING && hc > me.token && !(hs == i && hm == me.token) -> dispossessed(i)
	:: f_seen && me.phase == DRAINING && hc > me.srev && hs == vacancyOf(i) -> me.srev = hc; me.known = 0; f_advance = 1
	:: f_seen && me.phase == OUTSIDE && hc > me.srev ->
		if
		:: isVacancy(hs) ->
			if :: hs == vacancyOf(i) -> toClear(i, hm) :: else -> me.sh = VACANT fi;
			me.srev = hc; me.known = 0; me.due = 0; f_advance = 1	/* its revision is for the look to say */
		:: hs == i -> f_sighted = 1; htoken = hm
		:: hs == 0 -> me.sh = FREE; me.srev = hc; me.known = 0; me.due = 0; f_advance = 1
		:: hs != i && hs != 0 && !isVacancy(hs) -> me.sh = OTHERS; me.srev = hc; me.due = 0; f_advance = 1
		fi
	:: else -> skip
	fi;

	/* ---- the seat is ours: Session.sighted ---- */
	if
	:: f_sighted && me.phase == OUTSIDE && !void(i, htoken) ->
		if
		:: me.rq > LOOK && me.served && absentGuarded(i) -> me.unsettled--
		:: me.rq > LOOK && !me.served && me.zt == 0 -> later(i)
		:: else -> skip
		fi;
		answered(i);
		me.sh = OURS; me.stok = htoken; me.srev = htoken;
		me.cst = HELD; me.crev = htoken;
		me.known = me.wanted; me.due = 0; f_advance = 1
	:: f_sighted && me.phase == LEADING && htoken > me.token -> dispossessed(i)
	:: else -> skip
	fi;

	/* ---- what follows: election.advance ---- */
	if
	:: f_advance && me.rq == 0 && me.phase != LEADING && !me.due ->
		if :: me.known && me.sh != OURS -> me.to = 0 :: else -> skip fi;
		if
		:: me.phase == DRAINING ->
			if
			:: me.clean && !me.known -> send(i, LOOK)
#ifdef CLEAR_EARLY
			:: me.known && me.sh == OURS && me.stok > me.token -> passOn(i)
#endif
			:: else -> skip
			fi
		:: else ->
			if
			:: !me.known -> send(i, LOOK)
			:: me.known && me.sh == OURS ->
				if
				:: me.wanted && newToken(i, me.stok) && me.stok >= me.out -> begin(i)
				:: me.wanted && newToken(i, me.stok) && me.stok < me.out -> me.known = 0; send(i, LOOK)
				:: else ->
#ifndef ENDED_AGAIN
					if :: me.stok > me.ended -> me.ended = me.stok :: else -> skip fi;
#endif
					passOn(i)
				fi
			:: me.known && me.sh != OURS && !me.wanted ->
				if
				:: me.cst != MARK && mayBeThere(i) -> send(i, WITHDRAW)
				:: else -> forget(i)
				fi
			:: me.known && me.sh != OURS && me.wanted ->
				if
				:: me.aside -> if :: me.cst != ASIDE -> send(i, ENROL) :: else -> skip fi
				:: !me.aside && me.sh == FREE && !me.paused && ourTurn(i) -> send(i, TAKE)
				:: !me.aside && me.sh == VACANT && me.vgone && !me.paused && ourTurn(i) -> send(i, OUTLIVE_GONE)
				:: else -> if :: !enrolled(i) -> send(i, ENROL) :: else -> skip fi
				fi
			fi
		fi
	:: else -> skip
	fi;
	f_settle = 0; f_seen = 0; f_sighted = 0; f_advance = 0
	}
	}
	od
}

/* Third parties, and the end of all faults. */
proctype World() {
end:	do
	:: atomic { bH > 0 && S != 0 && !isVacancy(S) -> bH--;
		printf("a third party deletes the seat at revision %d\n", rev+1);
		s[S].broken = Sm; rev++; S = 0; Sm = 0; Sc = rev }
	/* Who deposes has read the seat before, and the commit may come late. But the token
	 * that it requires never comes back: late it deposes who still holds it, or nobody. */
#ifdef DEPOSE_NO_TOKEN
	:: atomic { bF > 0 && S != 0 && !isVacancy(S) -> bF--; printf("%d is to be deposed\n", S); j = S }
	:: atomic { j != 0 -> depose(j); j = 0 }
#else
	:: atomic { bF > 0 && S != 0 && !isVacancy(S) -> bF--; depose(S) }
#endif
	:: atomic { bP > 0 -> bP--; P = !P; printf("the election is paused: %d\n", P) }
	:: atomic { bR + bW + bC + bX + bE + bU + bV + bD + bO + bH + bJ + bF + bP + bT > 0 ->
		printf("faults and wishes end\n");
		bR = 0; bW = 0; bC = 0; bX = 0; bE = 0; bU = 0; bV = 0; bD = 0; bO = 0; bH = 0; bJ = 0;
		bF = 0; bP = 0; bT = 0 }
	od
}

/* When nothing is left to do. */
proctype Finally() {
	atomic { timeout ->
		printf("nothing is left to do\n");
		seat_stranded = (S != 0 && !isVacancy(S) && !(held(S) && s[S].token == Sm && s[S].mirror == Sm));
		assert(!seat_stranded);
		m = 0; k = 1;
		do
		:: k <= NS ->
			if :: live(k) && s[k].el && s[k].wanted -> m = 1 :: else -> skip fi;
			not_in_line = (live(k) && s[k].el && s[k].wanted && s[k].phase != LEADING && s[k].cs != WAITING);
			assert(!not_in_line);
			left_behind = (live(k) && (!s[k].wanted) && (s[k].el || inLine(s[k].cs)));
			assert(!left_behind);
			k++
		:: else -> break
		od;
		nobody_leads = (m == 1 && S == 0 && !P);
		assert(!nobody_leads);
		seat_stranded = (isVacancy(S) && (live(victim(S)) || (m == 1 && !P)));
		assert(!seat_stranded);
		k = 1;
		do
		:: k <= NS ->
			seat_stranded = (live(k) && s[k].phase == LEADING && !(S == k && Sm == s[k].token));
			assert(!seat_stranded);
			k++
		:: else -> break
		od
	}
}

init {
	atomic {
		j = 1;
		do
		:: j <= NS ->
			if
			:: j <= N -> s[j].born = 1; s[j].trust = 1; s[j].lease = 1; s[j].el = 1; s[j].wanted = 1; s[j].due = 1
			:: else -> skip
			fi;
#ifdef LED
			if
			:: j == 1 ->
				rev++; seat(j); last = rev;
				s[j].phase = LEADING; s[j].fn = 1; s[j].token = rev; s[j].sh = OURS; s[j].stok = rev; s[j].cst = HELD
			:: j > 1 && j <= N ->
				rev++; s[j].cs = WAITING; s[j].cm = rev; s[j].sh = OTHERS; s[j].cst = WAITING
			:: else -> skip
			fi;
			if :: j <= N -> s[j].known = 1; s[j].due = 0; s[j].crev = rev; s[j].srev = Sc; s[j].seen = rev :: else -> skip fi;
#endif
			run M(j); j++
		:: else -> break
		od;
		run World(); run Finally(); j = 0
	}
}
