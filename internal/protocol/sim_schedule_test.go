package protocol_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// schedule is a setting and what is done in it, all made from a seed before
// anything runs. So any part of it can be left out, and the rest still means
// something: that is how a schedule is made short.
type schedule struct {
	seed uint64
	setting
	ops []op
}

// op is one thing that a schedule does. Its numbers are taken modulo what there
// is.
type op struct {
	kind      opKind
	who, what uint8
	x         uint16
}

type opKind uint8

const (
	// Ordinary life.
	opServe opKind = iota
	opAnswer
	opDeliver
	opFlow
	opPass
	opCampaign
	opLeave
	opDrained
	opAsk
	opWrite
	opVerify
	opJoin
	opAnnounce
	opTransfer
	opBar
	// What operators do.
	opOrder
	opDepose
	opPauseElection
	opDrain
	// Faults.
	opLoseReply
	opLoseRequest
	opDelay
	opTwice
	opRepeatReply
	opLate
	opPause
	opSleep
	opSetClock
	opPartition
	opStall
	opCompact
	opCoalesce
	opRestart
	opCrash
	// What breaks the assumptions.
	opRevoke
	opDeleteSeat
	opOverwriteSeat
	opDeleteCandidate

	opKinds
)

var opNames = [opKinds]string{
	"request served", "reply delivered", "watch event delivered", "a member is up to date", "time passes",
	"campaign", "resign or withdraw", "function returns", "ask Held", "guarded write", "verify", "join again",
	"announce", "transfer by the leader", "policy flip", "transfer by an operator", "depose", "election paused", "drain",
	"reply lost", "request lost", "request delayed", "request applied twice", "reply repeated", "late effect",
	"pause", "host suspended", "wall clock set", "partition", "watch stalled", "history compacted", "changes coalesced",
	"store restarted", "crash",
	"lease revoked by another", "seat deleted by another", "seat overwritten by another", "candidate deleted by another",
}

func (k opKind) String() string { return opNames[k] }

// fault reports whether it is one.
func (k opKind) fault() bool { return k >= opLoseReply }

// in reports whether it belongs in schedules that break the assumptions, or in
// those that do not.
func (k opKind) in(abuse bool) bool { return abuse || k < opRevoke }

// weights say how often each is done; those of faults are scaled by the
// schedule's own rate.
var weights = [opKinds]float64{
	opServe: 14, opAnswer: 12, opDeliver: 10, opFlow: 16, opPass: 14,
	opCampaign: 4, opLeave: 5, opDrained: 6, opAsk: 1, opWrite: 2, opVerify: 0.5, opJoin: 4,
	opAnnounce: 1, opTransfer: 1, opBar: 1, opOrder: 1.5, opDepose: 1.5, opPauseElection: 0.7, opDrain: 1,

	opLoseReply: 2, opLoseRequest: 2, opDelay: 3, opTwice: 0.5, opRepeatReply: 0.5, opLate: 8,
	opPause: 1.5, opSleep: 0.7, opSetClock: 0.7, opPartition: 2.5, opStall: 2.5, opCompact: 1, opCoalesce: 0.5,
	opRestart: 0.3, opCrash: 1.2,

	opRevoke: 0.8, opDeleteSeat: 0.8, opOverwriteSeat: 0.8, opDeleteCandidate: 0.5,
}

// makeSchedule makes the schedule of a seed.
func makeSchedule(seed uint64, abuse bool, mut mutation) schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	s := schedule{seed: seed, setting: setting{
		abuse:     abuse,
		members:   2 + min(r.IntN(6), r.IntN(6)), // more often few
		elections: 1 + min(r.IntN(3), r.IntN(3)),
		margin:    pick(r, []time.Duration{time.Millisecond, simTTL / 50, simTTL / 10}),
		lag:       pick(r, []time.Duration{0, 0, simTTL / 10, simTTL}),
		near:      1 + int(seed%3),
		mutation:  mut,
		crossing:  seed%8 == 0,
	}}
	drift := simDrift / 2.01 // of any two, the rates differ by less than simDrift
	if abuse && r.IntN(2) == 0 {
		drift = 0.2
	}
	rate := func() float64 { return 1 + drift*(2*r.Float64()-1) }
	if r.IntN(2) == 0 {
		rate = func() float64 { return 1 + drift*float64(1-2*r.IntN(2)) } // as far apart as they may be
	}
	s.rate = rate()
	for range s.members {
		s.hosts = append(s.hosts, host{ttl: pick(r, []time.Duration{simTTL, simTTL, 2 * simTTL}), rate: rate(), sleeps: r.IntN(2) == 0})
	}
	w, total := weights, 0.0
	intensity := 3 * r.Float64() * r.Float64()
	for k := range w {
		switch kind := opKind(k); {
		case !kind.in(abuse):
			w[k] = 0
		case kind.fault():
			w[k] *= intensity
			if r.IntN(3) == 0 {
				w[k] = 0 // without some kinds of faults, others go deeper
			}
		}
		total += w[k]
	}
	s.ops = make([]op, 100+r.IntN(200))
	for i := range s.ops {
		at := r.Float64() * total
		kind := opKind(0)
		for ; kind < opKinds-1 && at >= w[kind]; kind++ {
			at -= w[kind]
		}
		v := r.Uint32()
		s.ops[i] = op{kind, uint8(v), uint8(v >> 8), uint16(v >> 16)}
	}
	return s
}

// run runs a schedule, and returns what it found wrong.
func (s schedule) run(c *coverage, tale *tale) (found *violation) {
	w := newWorld(s.setting, c, tale)
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			found = &v
		default:
			panic(v)
		}
	}()
	c.schedules++
	c.steps += len(s.ops)
	for i, m := range w.members {
		m.campaign(i % s.elections)
	}
	if s.seed%2 == 0 {
		w.settle() // so that what follows strikes members at work
	}
	for _, o := range s.ops {
		w.do(o)
	}
	w.calm()
	w.run(boundOf(w.setting))
	w.mustLead()
	w.mustWatch()
	w.tale.end()
	for _, m := range w.members {
		for i := range m.wants {
			m.leave(i, true)
		}
	}
	w.run(boundOf(w.setting))
	w.mustLead()
	w.mustBeEmpty()
	return w.found
}

// calm ends the faults. From now on functions drain as they are asked to, and
// what ended is begun again.
func (w *world) calm() {
	w.tale.calm()
	w.late = nil
	for _, e := range slices.Clone(w.kv.entries) {
		if strings.HasPrefix(e.Key, protocol.PausePrefix) || strings.HasPrefix(e.Key, protocol.DrainPrefix) {
			w.toggle(e.Key)
		}
	}
	for _, m := range w.members {
		m.cut, m.pausedTo = false, min(m.pausedTo, w.now)
		m.sleepsTo = min(m.sleepsTo, w.now)
		m.watch.stalled, m.orders.stalled, m.noLines = false, false, false
		for i := range m.barred {
			if m.barred[i] && m.running() {
				m.bar(i)
			}
			m.barred[i] = false
		}
	}
	w.calmed = true
}

// boundOf is how long after the faults somebody must lead: what ended in them must
// expire, its end be seen, and what had failed be tried again.
func boundOf(s setting) time.Duration {
	ttl := slices.MaxFunc(s.hosts, func(a, b host) int { return cmp.Compare(a.ttl, b.ttl) }).ttl
	if s.abuse {
		ttl = simLongest // a seat that nobody can read
	}
	return time.Duration(float64(ttl+s.lag)*1.3) + 2*ttl/3 + time.Duration(s.members)*ttl/50
}

// do does one thing.
func (w *world) do(o op) {
	m := w.victim(o)
	i := int(o.what) % len(w.elections)
	lines := o.what%2 == 1 // it is about the watches of the lines, or of what operators want
	x := int(o.x)
	switch o.kind {
	case opServe:
		if len(m.requests) > 0 && !m.cut {
			m.serve(x % len(m.requests))
		}
	case opAnswer:
		if len(m.replies) > 0 && m.running() && !m.cut {
			m.answer(x % len(m.replies))
		}
	case opDeliver:
		switch {
		case !m.running() || m.cut:
		case lines && x%2 == 0 && !m.orders.stalled:
			m.deliver(&m.orders)
		case lines && !m.noLines:
			m.followAny()
		case !lines && !m.watch.stalled:
			m.deliver(&m.watch)
		}
	case opFlow:
		m.flow()
	case opPass:
		w.pass(time.Duration(x) * (simTTL / 8) / (1 << 16))
	case opCampaign:
		if m.terms[i].token == 0 && m.running() {
			m.priority[i] = x % 2
			m.yields[i] = time.Duration(x/2%2) * simTTL / 4
			m.campaign(i)
		}
	case opLeave:
		if m.running() {
			m.leave(i, x%4 > 0)
		}
	case opDrained:
		if w.now >= m.pausedTo {
			m.drained(i, simTTL/2*time.Duration(max(0, x%8-5)))
		}
	case opAsk:
		m.ask(i)
	case opWrite:
		m.write(i)
	case opVerify:
		m.verify(i)
	case opJoin:
		if m.s == nil && w.now >= m.pausedTo {
			m.join()
		}
	case opAnnounce:
		m.announce(i)
	case opTransfer:
		if m.running() && m.terms[i].token != 0 {
			m.leaveTo(i, x%4 == 0, w.members[x%len(w.members)].name)
		}
	case opBar:
		if m.running() {
			m.bar(i)
		}
	case opOrder:
		w.order(i, m)
	case opDepose:
		w.depose(i, x%3 == 0)
	case opPauseElection:
		w.toggle(protocol.PauseKey(w.elections[i]))
	case opDrain:
		if w.toggle(protocol.DrainKey(m.name)) {
			w.happenedAll(hapDrain)
		}
	default:
		w.strike(o.kind, m, i, lines, x)
	}
}

// victim is the member that an op is about. Half of the faults look for a leader in
// office.
func (w *world) victim(o op) *member {
	at := int(o.who) % len(w.members)
	if o.kind.fault() && o.x&1 == 0 {
		for i := range w.members {
			if m := w.members[(at+i)%len(w.members)]; m.leads() {
				return m
			}
		}
	}
	return w.members[at]
}

// strike does what goes wrong, and counts whether it met a leader.
func (w *world) strike(kind opKind, m *member, i int, lines bool, x int) {
	inOffice := m.leads()
	struck, during := true, time.Duration(0)
	switch kind {
	case opLoseReply, opLoseRequest, opDelay, opTwice:
		if struck = len(m.requests) > 0; struck {
			w.spoil(kind, m, m.take(x%len(m.requests)))
		}
	case opRepeatReply:
		if struck = len(m.replies) > 0 && m.running(); struck {
			ev := m.replies[x%len(m.replies)].event
			m.answer(x % len(m.replies))
			m.step(ev)
		}
	case opLate:
		if struck = len(w.late) > 0; struck {
			w.takeEffect(x % len(w.late))
		}
	case opPause:
		during = time.Duration(x) * (2 * simTTL) / (1 << 16)
		m.pausedTo = w.now + int64(during)
	case opSleep:
		if struck = m.host.sleeps; struck {
			during = time.Duration(x) * (2 * simTTL) / (1 << 16)
			m.sleepsTo = w.now + int64(during)
			m.pausedTo = max(m.pausedTo, m.sleepsTo)
		}
	case opSetClock:
		if struck = !m.host.sleeps; struck {
			m.jump += int64(x-1<<15) * int64(2*simTTL) / (1 << 15)
		}
	case opPartition:
		m.cut = !m.cut
		struck = m.cut
	case opStall:
		stalled := &m.watch.stalled
		switch {
		case lines && x%4 < 2:
			stalled = &m.orders.stalled
		case lines:
			stalled = &m.noLines
		}
		*stalled = !*stalled
		struck = *stalled
	case opCompact:
		m.watch.broken, m.orders.broken = true, true
		for i := range m.lines {
			m.lines[i].broken = true
		}
	case opCoalesce:
		m.watch.coalesce()
		m.orders.coalesce()
		for i := range m.lines {
			m.lines[i].coalesce()
		}
	case opRestart:
		w.restart()
	case opCrash:
		if struck = m.s != nil; struck {
			m.crash()
		}
	case opRevoke:
		id := store.LeaseID(1 + x%len(w.kv.leases))
		if x%2 == 0 {
			id = m.lease
		}
		if struck = w.kv.alive(id); struck {
			w.expire(id)
		}
	case opDeleteSeat:
		w.third(store.Delete(w.seats[i]))
	case opOverwriteSeat:
		value := []byte("nobody can read this")
		lease := store.NoLease
		if e := w.kv.get(w.seats[i]); x%2 == 0 && e != nil {
			value, lease = e.Value, e.Lease // as it was, and yet another term
		}
		w.third(store.Put(w.seats[i], value, lease))
	case opDeleteCandidate:
		w.third(store.Delete(protocol.CandidateKey(w.elections[i], m.session)))
	}
	if struck {
		w.coverage.fault(kind, inOffice)
		w.tale.fault(kind, m, during)
	}
	w.check()
}

// spoil is what becomes of a request that goes wrong.
func (w *world) spoil(kind opKind, m *member, req request) {
	switch kind {
	case opLoseReply:
		if a, ok := req.action.(protocol.Commit); ok {
			w.happened(w.index(a.Election), hapLostReply)
		}
		w.handle(m, req, nil)
		m.replies = append(m.replies, w.handle(m, req, errLost))
	case opLoseRequest:
		m.replies = append(m.replies, w.handle(m, req, errLost))
	case opDelay:
		m.giveUp(req)
	case opTwice: // by a connection that sends again: the second reply is the one that counts
		if _, ok := req.action.(protocol.Commit); !ok {
			m.reply(req)
			w.neverKnown(req)
			return
		}
		w.handle(m, req, nil)
		m.reply(req)
	}
}

// third is somebody else's write, behind everybody's back.
func (w *world) third(op store.Op) {
	if events, err := w.kv.write([]store.Op{op}); err == nil {
		w.publish(events, false)
	}
}

// coalesce drops changes that a later one of the same key has overtaken; never a
// deletion.
func (wt *watch) coalesce() {
	for i := len(wt.queue) - 2; i >= 0; i-- {
		overtaken := slices.ContainsFunc(wt.queue[i+1:], func(ev store.Event) bool { return ev.Entry.Key == wt.queue[i].Entry.Key })
		if overtaken && !wt.queue[i].Deleted {
			wt.queue = slices.Delete(wt.queue, i, i+1)
		}
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
