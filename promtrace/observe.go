package promtrace

import (
	"fmt"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenure-go/tenure"
)

// observation is what has been seen of an election's leader.
type observation struct {
	begun       bool // the present state has been told
	leader      *tenure.Leader
	token       tenure.Token
	transitions int
	gaps        int
	vacant      time.Duration // in former times without a leader
	since       time.Time     // of the present one, if there is no leader
}

// Observe follows the leader of an election with what View.Observe yields, until that
// ends, and returns its error. The series that come of it end with it.
//
// It returns at once if the election is observed already.
func (m *Metrics) Observe(name string, events iter.Seq2[tenure.Event, error]) error {
	o := &observation{}
	m.mu.Lock()
	if m.observed[label(name)] != nil {
		m.mu.Unlock()
		return fmt.Errorf("promtrace: election %q is observed already", name)
	}
	m.observed[label(name)] = o
	m.mu.Unlock()
	defer m.unobserve(name)
	for ev, err := range events {
		if err != nil {
			return err
		}
		m.mu.Lock()
		o.take(ev, time.Now())
		m.mu.Unlock()
	}
	return nil
}

func (m *Metrics) unobserve(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.observed, label(name))
}

func (o *observation) take(ev tenure.Event, now time.Time) {
	switch ev.Kind {
	case tenure.Gap:
		o.gaps++
		return // who leads comes with the next event
	case tenure.Elected:
		if o.leader == nil && o.begun {
			o.vacant += now.Sub(o.since)
		}
		if o.begun {
			o.transitions++
		}
		o.leader, o.token = &ev.Leader, ev.Leader.Token
	case tenure.Vacant:
		if o.leader != nil || !o.begun {
			o.since = now
		}
		o.leader = nil
	}
	o.begun = true
}

func (o *observation) now(now time.Time, election string) []prometheus.Metric {
	if !o.begun {
		return nil // nothing has been seen
	}
	vacant := o.vacant
	var metrics []prometheus.Metric
	if o.leader == nil {
		vacant += now.Sub(o.since)
	} else {
		metrics = append(metrics, gauge(leaderInfo, 1, election, label(o.leader.Member), label(o.leader.Endpoint)))
	}
	return append(metrics,
		gauge(token, float64(o.token), election),
		counter(transitions, float64(o.transitions), election),
		counter(leaderless, vacant.Seconds(), election),
		counter(gaps, float64(o.gaps), election),
	)
}
