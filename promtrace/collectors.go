package promtrace

import "github.com/prometheus/client_golang/prometheus"

// collectors are the metrics that count.
type collectors struct {
	renewal                                  *prometheus.HistogramVec
	interval, lateness                       prometheus.Histogram
	started                                  prometheus.Counter
	lost, requestsFailed                     *prometheus.CounterVec
	begun, ended                             *prometheus.CounterVec
	warnings, failures, overruns, standBacks *prometheus.CounterVec
}

func newCollectors() *collectors {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &collectors{
		renewal: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenure_renewal_duration_seconds", Help: "From before a renewal of the session was sent until its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"result"}),
		interval: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenure_renewal_interval_seconds", Help: "Time between two renewals of the session that were answered.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1200}, // a third of any TTL
		}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenure_renewal_lateness_seconds", Help: "By how much a renewal was sent late, because this process or its host had stopped.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 60, 600},
		}),
		started:        prometheus.NewCounter(prometheus.CounterOpts{Name: "tenure_sessions_started_total", Help: "Sessions that the member has had."}),
		lost:           counters("tenure_sessions_lost_total", "Sessions that were lost, by reason.", "reason"),
		requestsFailed: counters("tenure_request_failures_total", "Requests that failed and are tried again.", "request"),
		begun:          counters("tenure_terms_total", "Terms that the member has begun.", "election"),
		ended:          counters("tenure_terms_ended_total", "Terms of the member that have ended, by reason.", "election", "reason"),
		warnings:       counters("tenure_term_warnings_total", "Times that a term was about to end without a renewal.", "election"),
		failures:       counters("tenure_term_failures_total", "Functions of terms that failed and are called again.", "election"),
		overruns:       counters("tenure_term_overruns_total", "Functions of ended terms that ran on after their drain time.", "election"),
		standBacks:     counters("tenure_stand_backs_total", "Times that the member stood back because its terms do not last.", "election"),
	}
}

func (c *collectors) kept() []prometheus.Collector {
	kept := []prometheus.Collector{c.renewal, c.interval, c.lateness, c.started, c.lost, c.requestsFailed}
	for _, vec := range c.byElection() {
		kept = append(kept, vec)
	}
	return kept
}

func (c *collectors) byElection() []*prometheus.CounterVec {
	return []*prometheus.CounterVec{c.begun, c.ended, c.warnings, c.failures, c.overruns, c.standBacks}
}

// What is computed at the scrape, because it changes while nothing happens.
var (
	sessionRemaining = prometheus.NewDesc("tenure_session_remaining_seconds", "Time for which the session is still relied on; 0: none is alive.", nil, nil)
	sessionTTL       = prometheus.NewDesc("tenure_session_ttl_seconds", "TTL of the session as the store has granted it.", nil, nil)

	isLeader      = prometheus.NewDesc("tenure_is_leader", "1 while the member leads.", []string{"election"}, nil)
	priority      = prometheus.NewDesc("tenure_priority", "Priority with which the member campaigns.", []string{"election"}, nil)
	termRemaining = prometheus.NewDesc("tenure_term_remaining_seconds", "Time for which the member's term lasts without a renewal.", []string{"election"}, nil)

	leaderInfo  = prometheus.NewDesc("tenure_leader_info", "1: who leads, and its endpoint.", []string{"election", "leader", "endpoint"}, nil)
	token       = prometheus.NewDesc("tenure_token", "Fencing token of the present leader's term, or of the last.", []string{"election"}, nil)
	transitions = prometheus.NewDesc("tenure_transitions_total", "Times that somebody was elected.", []string{"election"}, nil)
	leaderless  = prometheus.NewDesc("tenure_leaderless_seconds_total", "Time for which nobody was seen to lead.", []string{"election"}, nil)
	gaps        = prometheus.NewDesc("tenure_observation_gaps_total", "Times that changes of the leader may have been missed.", []string{"election"}, nil)

	computed = []*prometheus.Desc{sessionRemaining, sessionTTL, isLeader, priority, termRemaining, leaderInfo, token, transitions, leaderless, gaps}
)
