package tenuretest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/faultstore"
)

// Link is the way of one process to the store, which can go wrong. Every fault
// is recorded, and each returns what ends it, which may be called more than
// once. Its methods may be called from many goroutines.
type Link struct {
	h    *History
	name string
	st   *faultstore.Store

	mu        sync.Mutex
	terms     []*tracked
	hits      map[string]int
	faults    map[*func()]struct{} // what ends each
	crashed   bool
	restarted bool // after a crash, by another link
}

// tracked is a term that is sampled.
type tracked struct {
	member   string
	election string
	term     tenure.Term
	missed   atomic.Int32 // how often it was not held
}

// afterwards is how often a term is asked once more after it was not held: it
// must stay so.
const afterwards = 3

func newLink(h *History, name string, st store.Store) *Link {
	return &Link{h: h, name: name, st: faultstore.New(st), hits: map[string]int{}, faults: map[*func()]struct{}{}}
}

// Store is the store as the process sees it.
func (l *Link) Store() store.Store { return l.st }

// Name is the name of the process.
func (l *Link) Name() string { return l.name }

// Inject makes something go wrong that none of the other methods does. The text
// names it in the history. Fault's Name and OnHit are overwritten.
func (l *Link) Inject(text string, f faultstore.Fault) (end func()) {
	var met atomic.Bool
	f.Name = text
	f.OnHit = func(faultstore.Call) {
		if t := l.inOffice(); t != nil && met.CompareAndSwap(false, true) {
			l.met(text, t)
		}
	}
	l.h.Record(Event{Kind: FaultBegan, Member: l.name, Text: text})
	remove := l.st.Inject(f)
	var once func()
	once = sync.OnceFunc(func() {
		remove()
		l.mu.Lock()
		delete(l.faults, &once)
		l.mu.Unlock()
		l.h.Record(Event{Kind: FaultEnded, Member: l.name, Text: text})
	})
	l.mu.Lock()
	l.faults[&once] = struct{}{}
	l.mu.Unlock()
	return once
}

// met notes that a fault has met a leader.
func (l *Link) met(text string, t *tracked) {
	l.mu.Lock()
	l.hits[text]++
	l.mu.Unlock()
	l.h.Record(Event{
		Kind: Note, Member: l.name, Text: fmt.Sprintf("%s meets the leader of %s, token %d", text, t.election, t.term.Token()),
	})
}

// inOffice returns a term that is held, or nil.
func (l *Link) inOffice() *tracked {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.terms {
		if t.term.Held() {
			return t
		}
	}
	return nil
}

// Partition holds up every call and every watch until it ends: nothing gets
// through, in either direction.
func (l *Link) Partition() (end func()) {
	return l.Inject("partition", faultstore.Fault{Kind: faultstore.Partition})
}

// Delay makes every call take that much longer.
func (l *Link) Delay(d time.Duration) (end func()) {
	return l.Inject("delay", faultstore.Fault{Kind: faultstore.Delay, Delay: d})
}

// Fail makes the given calls fail without effect.
func (l *Link) Fail(ops faultstore.Op) (end func()) {
	return l.Inject("failing calls", faultstore.Fault{Kind: faultstore.Fail, Ops: ops})
}

// LoseReplies lets the next n of the given calls take effect and loses the
// replies.
func (l *Link) LoseReplies(ops faultstore.Op, n int) (end func()) {
	return l.Inject("lost replies", faultstore.Fault{Kind: faultstore.LoseReply, Ops: ops, Count: n})
}

// LateEffects lets the next n of the given calls hang until their callers give
// up, and take effect after d, whether anybody waits for it or not.
func (l *Link) LateEffects(ops faultstore.Op, n int, d time.Duration) (end func()) {
	return l.Inject("late effects", faultstore.Fault{Kind: faultstore.Late, Ops: ops, Count: n, Delay: d, Hang: true})
}

// StallWatches holds back what watches deliver.
func (l *Link) StallWatches() (end func()) {
	return l.Inject("stalled watches", faultstore.Fault{Kind: faultstore.Stall})
}

// BreakWatches ends every running watch, and every other as it begins.
func (l *Link) BreakWatches() (end func()) {
	return l.Inject("broken watches", faultstore.Fault{Kind: faultstore.Break})
}

// Crash cuts the process off for good. To all others it is dead; the test still
// sees how it takes its end. Join restarts it.
func (l *Link) Crash() {
	l.mu.Lock()
	before := l.crashed
	l.crashed = true
	l.mu.Unlock()
	if before {
		return
	}
	l.h.Record(Event{Kind: FaultBegan, Member: l.name, Text: "crash"})
	if t := l.inOffice(); t != nil {
		l.met("crash", t)
	}
	l.st.Inject(faultstore.Fault{Kind: faultstore.Partition})
}

// replaced records that another start of a process that has crashed is there.
func (l *Link) replaced() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed && !l.restarted {
		l.restarted = true
		l.h.Record(Event{Kind: FaultEnded, Member: l.name, Text: "crash"})
	}
}

func (l *Link) isCrashed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.crashed
}

// heal ends all faults but a crash.
func (l *Link) heal() {
	l.mu.Lock()
	var ends []func()
	for end := range l.faults {
		ends = append(ends, *end)
	}
	l.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// Track lets the arena sample a term of an election. Terms that a Node's Lead
// and Campaign give are tracked already.
func (l *Link) Track(election string, term tenure.Term) {
	member := l.name
	if t, ok := term.(interface{ Member() string }); ok {
		member = t.Member()
	}
	l.mu.Lock()
	l.terms = append(l.terms, &tracked{member: member, election: election, term: term})
	l.mu.Unlock()
	l.sample()
}

// sample records of each term whether it is held.
func (l *Link) sample() {
	l.mu.Lock()
	l.terms = slices.DeleteFunc(l.terms, func(t *tracked) bool { return t.missed.Load() > afterwards })
	terms := slices.Clone(l.terms)
	l.mu.Unlock()
	for _, t := range terms {
		l.h.Sample(Event{Member: t.member, Election: t.election, Token: t.term.Token()}, func() bool {
			held := t.term.Held()
			if !held {
				t.missed.Add(1)
			}
			return held
		})
	}
}

func (l *Link) event(kind Kind, election string, token tenure.Token) Event {
	return Event{Kind: kind, Member: l.name, Election: election, Token: token}
}
