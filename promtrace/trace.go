package promtrace

import (
	"context"
	"errors"
	"time"

	"github.com/tenure-go/tenure"
)

// The results of a renewal.
var results = []string{"success", "timeout", "error"}

// Trace is for the Options of the member. tenure.MultiTrace joins it to another.
func (m *Metrics) Trace() *tenure.Trace {
	return &tenure.Trace{
		SessionStarted: m.sessionStarted,
		SessionLost:    m.sessionLost,
		Round:          m.round,
		Elected:        m.elected,
		Ended:          m.termEnded,
		Warning:        func(t tenure.TermInfo, _ time.Duration) { m.election(t.Election).warnings.Inc() },
		Failed:         func(t tenure.TermInfo, _ error) { m.election(t.Election).failures.Inc() },
		StoodBack:      func(name string, _ int, _ time.Duration) { m.election(name).standBack.Inc() },
		Overrun:        func(t tenure.TermInfo, _ time.Duration) { m.election(t.Election).overruns.Inc() },
		Trouble:        func(_, request string, _ error) { m.all.requestsFailed.WithLabelValues(label(request)).Inc() },
	}
}

func (m *Metrics) sessionStarted(s tenure.SessionInfo) {
	m.all.started.Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	// Until the first renewal says so, at once most often, the least for which a session can be relied on:
	// drift and margin may take a quarter of the TTL.
	m.session = session{known: true, alive: true, ttl: s.TTL, until: now.Add(s.TTL - s.TTL/4), answered: now}
}

func (m *Metrics) sessionLost(_ tenure.SessionInfo, cause error) {
	m.all.lost.WithLabelValues(reasonOf(cause, sessionReasons)).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session.alive = false
}

func (m *Metrics) round(r tenure.RoundInfo) {
	result := "success"
	switch {
	case errors.Is(r.Err, context.DeadlineExceeded):
		result = "timeout"
	case r.Err != nil:
		result = "error"
	}
	m.renewed[result].Observe(r.Took.Seconds())
	m.all.lateness.Observe(r.Late.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session.until = r.Until
	if r.Err != nil {
		return
	}
	now := time.Now()
	m.all.interval.Observe(now.Sub(m.session.answered).Seconds())
	m.session.answered = now
}

func (m *Metrics) elected(t tenure.TermInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.electionLocked(t.Election)
	e.leading = true
	e.begun.Inc()
}

func (m *Metrics) termEnded(t tenure.TermInfo, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.electionLocked(t.Election)
	e.leading = false
	e.ended[reasonOf(cause, termReasons)].Inc()
}
