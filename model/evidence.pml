/* The two deadlines of a term, on a clock: one session A, and what the rest of the
 * world does to its seat. README.md says what is in it; a -D knob breaks one rule.
 *
 * Nothing has to happen at any time: A may be paused, a request or its reply may take
 * for ever, a watch may stall. Others are free to offer A the seat, to take it when it
 * is free, to depose A, and to delete the seat behind A's back.
 */
#ifndef T
#define T 2		/* TTL, in ticks */
#endif
#ifndef END
#define END 5		/* time stops here */
#endif
#ifndef BH
#define BH 1		/* deletions by a third party */
#endif
#ifndef BF
#define BF 0		/* depositions */
#endif
#ifndef BG
#define BG 1		/* terms that A may get */
#endif
#ifndef ROUNDS
#define ROUNDS 1	/* in flight at once */
#endif
#ifndef BQ
#define BQ 0		/* rounds that were sent while nobody wanted the seat, and do not ask for it */
#endif
#ifndef BP
#define BP 0		/* requests of the user's under the term's guard */
#endif
#define MAXREV 12
#define KEPT 255	/* not lost */

#define FREE 0
#define A 1
#define B 2
#define VACANT 3	/* A's vacancy */

/* So long somebody else must have known a vacancy before he takes the seat. */
#ifdef OUTLIVE_EARLY
#define WAIT (T-1)
#else
#define WAIT T
#endif

/* How far a request has come. */
#define IDLE    0
#define RENEW   1	/* of a round alone: sent, and renewed */
#define RENEWED 2
#define SENT    3
#define SERVED  4

#define LOOK  1
#define ENROL 2
#define TAKE  3

/* The store. */
byte now = 0;
byte rev = 1;
byte S = B, Sm = 1, mirror = 0;
byte cm = 1; bit waiting = 1;
byte expires = T; bit lease = 1;
byte lost[MAXREV] = KEPT;	/* when a token of A's left the seat */
byte vacated, deposed, outlived;	/* when the vacancy was written, of which token; the last that was outlived */

/* A. */
byte deadline = T, until = 0;
bit leading, over, known = 1;
byte token, ended, crev = 1, srev = 1, stok, sh = B; bit enrolled = 1;
byte ssent, srevp, esent, erev = 1;	/* proofs: of the last round, of the last look or enrolment */
bit lapsed;				/* somebody has seen a deadline passed */

typedef Round { byte state; bit asked; byte sent; byte at; byte s; byte m; byte mirror };
Round r[ROUNDS];
byte rq, state, sent, at, ls, lm, lcm; bit lwaiting, ok;
byte late;			/* the send time of a take that a watch has overtaken, and 1 */
byte event;			/* an offer that a watch is to deliver */
byte pstate, psent, pat; bit pcurrent;
byte bH = BH, bF = BF, bG = BG, bQ = BQ, bP = BP;

hidden byte k, from, best;
hidden byte held_past_lease, held_past_evidence, held_again, held_when_outlived;

#ifdef NO_EVIDENCE
#define HELD (leading && now < deadline)
#else
#define HELD (leading && now < deadline && now < until)
#endif

#ifdef FROM_REPLY
#define counted(t) now
#else
#define counted(t) (t)
#endif

/* open: A may still lead, or come to lead. Nothing else is of interest. */
#if ROUNDS > 1
#define shown (r[0].mirror > ended || r[1].mirror > ended)
#else
#define shown (r[0].mirror > ended)
#endif
#define open (!over && (leading || bG > 0 || (S == A && Sm > ended) || \
	mirror > ended || event > ended || shown || lm > ended))

inline check() {
	held_past_lease = HELD && (!lease || now >= expires);
	assert(!held_past_lease);
	held_past_evidence = HELD && lost[token] != KEPT && now >= lost[token] + T;
	assert(!held_past_evidence);
	held_when_outlived = HELD && token <= outlived;
	assert(!held_when_outlived);
	held_again = HELD && lapsed;
	assert(!held_again)
}

inline lose() {
	leading = 0; known = 0; lapsed = 0; until = 0; lost[token] = KEPT; late = 0;
	pstate = IDLE; psent = 0; pat = 0; pcurrent = 0;	/* what proves an ended term proves nothing */
	if :: token > ended -> ended = token :: else -> skip fi;
	token = 0
}

inline answered() {
	rq = 0; state = IDLE; sent = 0; at = 0; ls = 0; lm = 0; lcm = 0; lwaiting = 0; ok = 0
}

/* Session.expire: passing a deadline is final, whatever is learnt after it. */
#ifdef NOT_FINAL
inline expire() { skip }
#else
inline expire() {
	if :: now >= deadline -> over = 1; leading = 0 :: else -> skip fi;
	if :: leading && now >= until -> lose() :: else -> skip fi
}
#endif

inline extend(t) {
	if :: counted(t) + T > until -> until = counted(t) + T :: else -> skip fi
}

/* begin, on evidence sent at t; one that has run out is none. */
inline begin(t) {
	if
	:: counted(t) + T > now ->
		leading = 1; token = stok; until = counted(t) + T; lapsed = 0;
		printf("%d: A begins at %d, until %d and %d\n", now, token, until, deadline)
	:: else -> known = 0
	fi
}

/* sighted: the seat is ours at token v, by evidence sent at t. */
inline sighted(v, t) {
	if
	:: !leading && v > ended && v > crev && v > srev ->
		if :: rq == TAKE && state == SERVED && ok && at == v -> late = sent + 1 :: else -> skip fi;
		answered();
		sh = A; stok = v; srev = v; crev = v; enrolled = 0; known = 1;
		begin(t)
	:: else -> skip
	fi
}

/* proofBefore: the newest proof from before the offer v. */
inline proofBefore(v) {
	best = 0;
#ifdef PROOF_ANY
	if :: ssent > best -> best = ssent :: else -> skip fi;
	if :: esent > best -> best = esent :: else -> skip fi
#elif defined(PROOF_NOW)
	best = now
#else
	if :: srevp < v && ssent > best -> best = ssent :: else -> skip fi;
	if :: erev < v && esent > best -> best = esent :: else -> skip fi
#endif
}

inline idle(x) {
	r[x].state = IDLE; r[x].asked = 0; r[x].sent = 0; r[x].at = 0; r[x].s = 0; r[x].m = 0; r[x].mirror = 0
}

#ifdef MIRROR_OFFER
#define offered(x) (1)
#else
#define offered(x) (r[x].asked && r[x].s == A && r[x].m == r[x].mirror)
#endif

/* toClear: a vacancy at v names A. No term begins from it. */
inline toClear(v) {
#ifndef CLEAR_BEGINS
	if :: v > ended -> ended = v :: else -> skip fi
#else
	skip
#endif
}

/* settle: what round x has shown. */
inline settle(x) {
	if :: r[x].sent >= ssent -> ssent = counted(r[x].sent); srevp = r[x].at :: else -> skip fi;
	if
	:: leading ->
		if
		:: r[x].at < token || !r[x].asked -> skip
#ifdef MIRROR_ONLY
		:: r[x].at >= token && r[x].asked && r[x].mirror == token -> extend(r[x].sent)
#else
		:: r[x].at >= token && r[x].asked && r[x].mirror == token && r[x].s == A && r[x].m == token -> extend(r[x].sent)
#endif
		:: else -> lose()
		fi
	:: !leading && r[x].mirror > ended && offered(x) -> sighted(r[x].mirror, r[x].sent)
	:: else ->
		/* a seat of ours that nobody here knows of, or what is left of one */
		if :: !leading && r[x].mirror != 0 && sh != A -> known = 0 :: else -> skip fi;
		if
		:: !leading && r[x].asked && r[x].at > srev && r[x].s != A ->
			sh = r[x].s; srev = r[x].at;
			if :: sh == FREE || sh == VACANT -> known = 0 :: else -> skip fi;
			if :: sh == VACANT -> toClear(r[x].m) :: else -> skip fi
		:: else -> skip
		fi
	fi
}

inline renewal(x) {
	r[x].state = RENEWED;
#ifdef EARLY_LEASE
	if :: now + T - 1 > expires -> expires = now + T - 1 :: else -> skip fi
#else
	if :: now + T > expires -> expires = now + T :: else -> skip fi
#endif
}
inline list(x) { r[x].state = SERVED; r[x].at = rev; r[x].s = S; r[x].m = Sm; r[x].mirror = mirror }

/* The second is used only beside the first: which is which does not matter. */
#define free(x) (r[x].state == IDLE && (x == 0 || r[0].state != IDLE))

inline roundOf(x) {
	if
	:: free(x) -> r[x].state = RENEW; r[x].sent = now; r[x].asked = 1
	:: free(x) && !leading && bQ > 0 -> bQ--; r[x].state = RENEW; r[x].sent = now
	:: r[x].state == RENEWED ->
		if :: counted(r[x].sent) + T > deadline -> deadline = counted(r[x].sent) + T :: else -> skip fi;
		r[x].state = SENT; r[x].sent = now
	:: r[x].state == SERVED ->
		printf("%d: A has a round sent at %d: the seat %d at %d, the mirror %d\n",
			now, r[x].sent, r[x].s, r[x].m, r[x].mirror);
		settle(x); idle(x)
	:: r[x].state != IDLE -> idle(x)	/* lost */
	fi
}

/* What was sent a TTL ago proves nothing any longer, whenever it was. */
#define age(t) t = (t + T > now -> t : 0)

active proctype Clock() {
end:	do
	:: atomic { open && now < END ->
		if :: leading && !HELD -> lapsed = 1 :: else -> skip fi;
		now++;
		age(esent); age(ssent); age(sent); age(psent); age(r[0].sent);
#if ROUNDS > 1
		age(r[1].sent);
#endif
		if :: leading && !HELD -> lapsed = 1 :: else -> skip fi;
		check() }
	od
}

active proctype World() {
end:	do
	/* by B's hand-over, or by a take of A's own that comes late */
	:: atomic { open && S != A && S != VACANT && waiting && lease && now < expires && bG > 0 -> bG--;
		rev++; S = A; Sm = rev; mirror = rev; cm = rev; waiting = 0;
		printf("%d: A is offered the seat at %d\n", now, rev);
		event = rev }
	:: atomic { open && S == A && bH > 0 -> bH--;
		printf("%d: a third party deletes the seat\n", now);
		lost[Sm] = now; rev++; S = FREE; Sm = 0 }
	:: atomic { open && S == A && bF > 0 -> bF--;
		printf("%d: somebody deposes A\n", now);
		lost[Sm] = now; vacated = now; deposed = Sm; rev++; S = VACANT; Sm = rev;
#ifdef DEPOSE_MIRROR
		mirror = 0
#endif
		}
	:: atomic { open && S == VACANT && now >= vacated + WAIT ->
		printf("%d: B outlives the vacancy\n", now);
		rev++; S = B; Sm = rev; outlived = deposed; vacated = 0; deposed = 0;
		check() }
	/* cleared, once A has drained */
	:: atomic { open && S == VACANT && !leading && !over && ended >= Sm ->
		rev++; vacated = 0; deposed = 0; mirror = 0; cm = rev; waiting = 1;
		if :: S = B; Sm = rev :: S = FREE; Sm = 0 fi;
		printf("%d: A clears the vacancy, the seat is %d\n", now, S) }
	:: atomic { open && S == FREE && rev < MAXREV - 4 -> rev++; S = B; Sm = rev; printf("%d: B takes the seat\n", now) }
	:: atomic { open && lease && now >= expires ->
		printf("%d: the lease ends\n", now);
		lease = 0; mirror = 0; cm = 0; waiting = 0;
		if :: S == A -> lost[Sm] = now; rev++; S = FREE; Sm = 0 :: else -> skip fi;
		check() }
	/* a watch delivers late, or never: nothing forces it */
	od
}

/* What the store does with A's requests, at any moment; and what is lost. */
active proctype Store() {
end:	do
	:: atomic { open && rq != 0 && state == SENT ->
		state = SERVED;
		if
		:: rq == LOOK -> at = rev; ls = S; lm = (S == A || S == VACANT -> Sm : 0); lcm = cm; lwaiting = waiting
		:: rq == ENROL && lease && cm == crev -> rev++; cm = rev; waiting = 1; mirror = 0; at = rev; ok = 1
		:: rq == TAKE && lease && cm == crev && S == FREE && bG > 0 -> bG--;
			rev++; cm = rev; waiting = 0; S = A; Sm = rev; mirror = rev; at = rev; ok = 1;
			printf("%d: A takes the seat at %d\n", now, rev);
			event = rev
		:: else -> at = rev
		fi }
	:: atomic { open && pstate == SENT -> pstate = SERVED; pat = rev; pcurrent = (S == A && Sm == token) }
	:: atomic { open && r[0].state == RENEW && lease && now < expires -> renewal(0) }
	:: atomic { open && r[0].state == SENT -> list(0) }
#if ROUNDS > 1
	:: atomic { open && r[1].state == RENEW && lease && now < expires -> renewal(1) }
	:: atomic { open && r[1].state == SENT -> list(1) }
#endif
	od
}

active proctype Session() {
end:	do
	:: atomic { open -> expire();
		if
		:: !over ->
			if
			:: roundOf(0)
#if ROUNDS > 1
			:: roundOf(1)
#endif
			/* Tick: the next request of an election that is outside a term */
			:: rq == 0 && !leading ->
				sent = now; state = SENT;
				if
				:: !known -> rq = LOOK
				:: known && sh == FREE -> rq = TAKE
				:: known && sh != FREE && sh != VACANT && !enrolled -> rq = ENROL
				:: known && sh == VACANT -> rq = LOOK	/* the clear is the world's; then somebody else has the seat */
				:: else -> sent = 0; state = IDLE
				fi
			:: rq != 0 && state == SERVED ->
				from = sent;
				if
				:: rq == LOOK ->
					esent = counted(from); erev = at; crev = lcm; enrolled = lwaiting;
					if
					:: at >= srev -> srev = at; sh = ls; known = 1;
						if
						:: ls == A -> stok = lm
						:: ls == VACANT -> toClear(lm)
						:: else -> skip
						fi
					:: else -> skip
					fi;
					answered();
					if
					:: known && sh == A && stok > ended -> begin(from)
					:: known && sh == A && stok <= ended -> known = 0	/* not reached: nothing is left on purpose */
					:: else -> skip
					fi
				:: rq == ENROL && ok -> enrolled = 1; crev = at; esent = counted(from); erev = at; answered()
				:: rq == TAKE && ok ->
					k = at; answered();
					crev = k; enrolled = 0;
					if
					:: k >= srev -> sh = A; stok = k; srev = k; begin(from)
					:: else -> known = 0
					fi
				:: else -> known = 0; answered()
				fi
			:: rq != 0 -> known = 0; answered()	/* unknown */
			/* the reply of a take that its watch event has overtaken */
			:: late != 0 -> if :: leading && stok == token -> extend(late-1) :: else -> skip fi; late = 0
			:: late != 0 -> late = 0
			/* an offer, seen late */
			:: event != 0 && !leading -> k = event; event = 0; proofBefore(k);
				printf("%d: A sees the offer at %d, proof sent at %d\n", now, k, best);
				sighted(k, best)
			/* a request of the user's under the term's guard */
			:: leading && pstate == IDLE && bP > 0 -> bP--; pstate = SENT; psent = now
			:: pstate == SERVED ->
				if
				:: leading && pcurrent && pat >= token -> extend(psent)
				:: leading && !pcurrent && pat > token -> lose()
				:: else -> skip
				fi;
				pstate = IDLE; psent = 0; pat = 0; pcurrent = 0
			/* its watch shows that the seat is gone */
			:: leading && !(S == A && Sm == token) -> lose()
			fi
		:: else -> skip
		fi;
		check() }
	od
}
