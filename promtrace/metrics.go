package promtrace

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenure-go/tenure"
)

// Options are the settings of Metrics. The zero value works.
type Options struct {
	// Elections have their series from the start. Those of others begin with the first
	// thing that happens in them, of which Prometheus then sees no increase.
	Elections []string
}

// Metrics are those of one member, or of one who only observes. All methods may be
// called from many goroutines.
type Metrics struct {
	reg prometheus.Registerer
	all *collectors

	renewed map[string]prometheus.Observer // the duration by result

	mu        sync.Mutex
	session   session
	elections map[string]*election    // in which the member takes part
	observed  map[string]*observation // by the label of the election
}

// New registers the metrics of a member with reg; its id is a label of each. Who only
// observes may have none, if it is the only one at reg.
//
// Errors: prometheus.AlreadyRegisteredError for a second member of the same id.
func New(reg prometheus.Registerer, member string, opts Options) (*Metrics, error) {
	all := newCollectors()
	m := &Metrics{
		reg:       prometheus.WrapRegistererWith(prometheus.Labels{"member": label(member)}, reg),
		all:       all,
		renewed:   map[string]prometheus.Observer{},
		elections: map[string]*election{},
		observed:  map[string]*observation{},
	}
	for _, result := range results {
		m.renewed[result] = all.renewal.WithLabelValues(result)
	}
	for _, reason := range sessionReasons {
		all.lost.WithLabelValues(reason)
	}
	for _, name := range opts.Elections {
		m.election(name)
	}
	if err := m.reg.Register(m); err != nil {
		return nil, fmt.Errorf("promtrace: metrics of member %q: %w; give each member an id, or a registerer, of its own", member, err)
	}
	return m, nil
}

// Close takes the metrics off the registry.
func (m *Metrics) Close() { m.reg.Unregister(m) }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all.kept() {
		c.Describe(ch)
	}
	for _, d := range computed {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all.kept() {
		c.Collect(ch)
	}
	for _, metric := range m.now() { // not under the lock: Prometheus may be slow to take them
		ch <- metric
	}
}

// now is what is computed for a scrape.
func (m *Metrics) now() []prometheus.Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	metrics := m.session.now(now)
	for _, e := range m.elections {
		metrics = append(metrics, e.now(m.session.remaining(now) > 0)...)
	}
	for name, o := range m.observed {
		metrics = append(metrics, o.now(now, name)...)
	}
	return metrics
}

// session is what is known of the member's session.
type session struct {
	known    bool // there has been one
	alive    bool
	ttl      time.Duration
	until    time.Time
	answered time.Time // when the last renewal was, or the session began
}

func (s *session) now(now time.Time) []prometheus.Metric {
	if !s.known {
		return nil
	}
	metrics := []prometheus.Metric{gauge(sessionRemaining, s.remaining(now).Seconds())}
	if s.alive {
		metrics = append(metrics, gauge(sessionTTL, s.ttl.Seconds()))
	}
	return metrics
}

// remaining is for how long the session is still relied on.
func (s *session) remaining(now time.Time) time.Duration {
	if !s.alive {
		return 0
	}
	return left(now, s.until)
}

// left is the time from now until a moment, by whichever clock says less, as terms have
// it: one of the two stops while the host sleeps.
func left(now, until time.Time) time.Duration {
	return max(0, min(until.Sub(now), until.Round(0).Sub(now.Round(0))))
}

// election is what is known of the member in one election.
type election struct {
	label                                          string
	begun, warnings, failures, overruns, standBack prometheus.Counter
	ended                                          map[string]prometheus.Counter // by reason

	leading  bool        // by the trace
	term     tenure.Term // that is tracked, or nil
	priority *int
}

// election returns the election of a name, and makes it known.
func (m *Metrics) election(name string) *election {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.electionLocked(name)
}

func (m *Metrics) electionLocked(name string) *election {
	name = label(name)
	if e := m.elections[name]; e != nil {
		return e
	}
	e := &election{
		label:     name,
		begun:     m.all.begun.WithLabelValues(name),
		warnings:  m.all.warnings.WithLabelValues(name),
		failures:  m.all.failures.WithLabelValues(name),
		overruns:  m.all.overruns.WithLabelValues(name),
		standBack: m.all.standBacks.WithLabelValues(name),
		ended:     map[string]prometheus.Counter{},
	}
	for _, reason := range termReasons {
		e.ended[reason] = m.all.ended.WithLabelValues(name, reason)
	}
	m.elections[name] = e
	return e
}

// Forget takes away the series of an election in which the member takes part no longer, for
// programs whose elections come and go. Those of an Observe end with it.
func (m *Metrics) Forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.elections, label(name))
	for _, vec := range m.all.byElection() {
		vec.DeletePartialMatch(prometheus.Labels{"election": label(name)})
	}
}

// SetPriority shows a priority with which the member campaigns.
func (m *Metrics) SetPriority(name string, priority int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.electionLocked(name).priority = &priority
}

// TrackTerm shows how much of a term of this member's is left, until it is held no more.
// Of an election one term is tracked, the last. With it, tenure_is_leader is
// Term.Held at the moment of the scrape; without, what the trace has told, as long as the
// session is alive.
func (m *Metrics) TrackTerm(name string, t tenure.Term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.electionLocked(name).term = t
}

func (e *election) now(inSession bool) []prometheus.Metric {
	held := e.leading && inSession
	var metrics []prometheus.Metric
	if e.term != nil {
		remaining := 0.0
		if held = e.term.Held(); held {
			remaining = max(0, time.Until(e.term.Until()).Seconds())
		}
		metrics = append(metrics, gauge(termRemaining, remaining, e.label))
	}
	metrics = append(metrics, gauge(isLeader, number(held), e.label))
	if e.priority != nil {
		metrics = append(metrics, gauge(priority, float64(*e.priority), e.label))
	}
	return metrics
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// label is a text from outside as the value of a label, which must be UTF-8: of one that is
// not, the registry would show nothing at all.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
