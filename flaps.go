package tenure

import (
	"math/rand/v2"
	"time"
)

// Of Options.FlapLimit.
const (
	flapWindow = 5 * time.Minute
	flapMin    = time.Second // to stand back for, doubled each further time
	flapMax    = time.Minute
)

// flaps are the ends of a member's terms of one election that it did not want, of
// late. They outlast sessions and candidacies. Member.mu guards them.
type flaps struct {
	ends  []time.Time
	until time.Time // it stands back
}

func (f *flaps) forget(now time.Time) {
	for len(f.ends) > 0 && now.Sub(f.ends[0]) > flapWindow {
		f.ends = f.ends[1:]
	}
}

// Flaps returns how many terms of an election have ended within the last 5 minutes
// against this member's will; see Options.FlapLimit.
func (m *Member) Flaps(election string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flaps[election]
	if f == nil {
		return 0
	}
	f.forget(time.Now())
	return len(f.ends)
}

// ResetFlaps forgets what Flaps has counted. A member that stands back does so no
// longer.
func (m *Member) ResetFlaps(election string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.flaps, election)
	if c := m.candidates[election]; c != nil && c.waiting() {
		ev := m.wish(c)
		ev.Aside, ev.Amend = -1, true
		m.post(ev)
	}
}

func (m *Member) forgetFlaps(election string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.flaps, election)
}

// flapped counts the end of a term that this member did not want. Member.mu is held.
func (m *Member) flapped(election string) {
	f := m.flaps[election]
	if f == nil {
		f = &flaps{}
		m.flaps[election] = f
	}
	now := time.Now()
	f.forget(now)
	f.ends = append(f.ends, now)
	over := len(f.ends) - m.opts.FlapLimit
	if over <= 0 || m.opts.FlapLimit < 0 {
		return
	}
	during := min(flapMin<<min(over-1, 10), flapMax)
	during += rand.N(during / 4) // members that fail together do not come back together
	f.until = now.Add(during)
	n := len(f.ends)
	m.note(func() {
		m.opts.Logger.Warn("standing back", "election", election, "member", m.opts.ID, "flaps", n, "during", during)
		if g := m.opts.Trace.StoodBack; g != nil {
			g(election, n, during)
		}
	})
}

// aside is for how long this member stands back from an election. Member.mu is held.
func (m *Member) aside(election string) time.Duration {
	if f := m.flaps[election]; f != nil {
		return max(0, time.Until(f.until))
	}
	return 0
}
