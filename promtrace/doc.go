// Package promtrace turns what a member and an election tell into metrics for Prometheus.
//
//	id := tenure.NewID()
//	metrics, err := promtrace.New(registry, id, promtrace.Options{})
//	m, err := tenure.Join(ctx, st, tenure.Options{ID: id, Trace: metrics.Trace()})
//	go metrics.Observe("nightly", tenure.NewView(st, "nightly").Observe(ctx))
//
// A member is given [Metrics.Trace], and has the first two tables. [Metrics.Observe] follows the
// leader of an election, with or without a member, and has the third. There is no global
// registry: several members may share one, for each series has the label member.
//
// Of the session:
//
//	tenure_renewal_duration_seconds    histogram  from before a renewal was sent until its answer; result is
//	                                              success, timeout or error
//	tenure_renewal_interval_seconds    histogram  between two renewals that were answered
//	tenure_renewal_lateness_seconds    histogram  by how much a renewal was sent late: more than next to nothing is
//	                                              a process that was stopped or starved
//	tenure_session_remaining_seconds   gauge      for which the session is still relied on, as of the scrape; 0: none is alive
//	tenure_session_ttl_seconds         gauge      as the store has granted it
//	tenure_sessions_started_total      counter
//	tenure_sessions_lost_total         counter    by reason
//	tenure_request_failures_total      counter    requests that are tried again, by request
//
// Of the elections in which the member takes part, each with the label election:
//
//	tenure_is_leader                   gauge      1 while the member leads, as of the scrape
//	tenure_priority                    gauge      with SetPriority
//	tenure_term_remaining_seconds      gauge      up to Term.Until, as of the scrape, with TrackTerm
//	tenure_terms_total                 counter    terms begun
//	tenure_terms_ended_total           counter    by reason: resigned, closed, stopped, session_expired, unproven,
//	                                              dispossessed, deposed, transferred, preempted, drained, ineligible,
//	                                              unhealthy, condition_failed or other
//	tenure_term_warnings_total         counter    terms that were about to end without a renewal
//	tenure_term_failures_total         counter    functions that failed, and are called again
//	tenure_term_overruns_total         counter    functions that ran on after their drain time
//	tenure_stand_backs_total           counter    times that the member stood back because it flaps
//
// Of the elections that are observed, each with the label election:
//
//	tenure_leader_info                 gauge      1, with the labels leader and endpoint; none while nobody leads
//	tenure_token                       gauge      of the present leader, or the last; exact up to 2^53
//	tenure_transitions_total           counter    times that somebody was elected since
//	tenure_leaderless_seconds_total    counter    for which nobody was seen to lead, up to the scrape
//	tenure_observation_gaps_total      counter    times that changes may have been missed
//
// Where the store does not answer, who was seen last is still shown as the leader: such a
// time is in tenure_session_remaining_seconds of the members. Series do not become more
// with time: there is one leader_info of an election, that of the present leader. A program whose elections come and go
// calls [Metrics.Forget].
//
// # Prometheus
//
// A configuration that scrapes two members, with rules for what somebody should know of:
//
//	global:
//	  scrape_interval: 15s
//	rule_files: [tenure-rules.yml]
//	scrape_configs:
//	  - job_name: tenure
//	    static_configs:
//	      - targets: ["10.0.0.1:9100", "10.0.0.2:9100"]
//
// and tenure-rules.yml:
//
//	groups:
//	  - name: tenure
//	    rules:
//	      - alert: NobodyLeads
//	        # More than half of the last two minutes, as whoever sees the least of it sees it.
//	        expr: min by (election) (rate(tenure_leaderless_seconds_total[2m])) > 0.5
//	        annotations:
//	          summary: "nobody leads {{ $labels.election }}"
//	      - alert: SessionLost
//	        expr: tenure_session_remaining_seconds == 0
//	        for: 1m
//	        annotations:
//	          summary: "{{ $labels.member }} has no session"
package promtrace
