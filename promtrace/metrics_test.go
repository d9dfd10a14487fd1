package promtrace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/requirestore"
	"github.com/tenure-go/tenure/promtrace"
	"github.com/tenure-go/tenure/store/faultstore"
	"github.com/tenure-go/tenure/store/memstore"
)

func newMetrics(t *testing.T, reg prometheus.Registerer, member string, opts promtrace.Options) *promtrace.Metrics {
	t.Helper()
	m, err := promtrace.New(reg, member, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// expect compares some metrics, written as Prometheus has them, without their help.
func expect(t *testing.T, g prometheus.Gatherer, want string) {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, family := range all {
		if _, err := expfmt.MetricFamilyToText(&got, family); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		absent, isAbsent := strings.CutPrefix(line, "!")
		switch {
		case line == "":
		case isAbsent && strings.Contains(got.String(), "\n"+absent):
			t.Errorf("there is %s", absent)
		case !isAbsent && !strings.Contains(got.String(), "\n"+line+"\n"):
			name, _, _ := strings.Cut(line, "{")
			t.Errorf("no %s but\n%s", line, grep(got.String(), name))
		}
	}
}

func grep(text, prefix string) string {
	var found strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			found.WriteString(line)
		}
	}
	return found.String()
}

func TestAMemberThatLeadsAndIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		metrics := newMetrics(t, reg, "a", promtrace.Options{Elections: []string{"n"}})
		expect(t, reg, `
			tenure_is_leader{election="n",member="a"} 0
			tenure_terms_total{election="n",member="a"} 0
			!tenure_session_remaining_seconds`)
		st := faultstore.New(memstore.New())
		m, err := tenure.Join(t.Context(), st, tenure.Options{ID: "a", TTL: 12 * time.Second, Trace: metrics.Trace()})
		if err != nil {
			t.Fatal(err)
		}
		metrics.SetPriority("n", -2)
		l, err := m.Campaign(t.Context(), "n", tenure.CampaignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		metrics.TrackTerm("n", l)
		synctest.Wait()
		expect(t, reg, `
			tenure_is_leader{election="n",member="a"} 1
			tenure_priority{election="n",member="a"} -2
			tenure_session_remaining_seconds{member="a"} 10.88
			tenure_session_ttl_seconds{member="a"} 12
			tenure_sessions_started_total{member="a"} 1
			tenure_term_remaining_seconds{election="n",member="a"} 10.88
			tenure_terms_total{election="n",member="a"} 1`)
		time.Sleep(9 * time.Second) // the first renewal is at once, the third was a second ago
		expect(t, reg, `
			tenure_renewal_duration_seconds_count{member="a",result="success"} 3
			tenure_renewal_interval_seconds_sum{member="a"} 8
			tenure_renewal_lateness_seconds_sum{member="a"} 0
			tenure_session_remaining_seconds{member="a"} 9.88
			tenure_term_remaining_seconds{election="n",member="a"} 9.88`)

		heal := st.Inject(faultstore.Fault{Kind: faultstore.Partition})
		time.Sleep(time.Second) // by the clock of the test
		expect(t, reg, `tenure_session_remaining_seconds{member="a"} 8.88`)
		<-l.Context().Done()
		synctest.Wait()
		expect(t, reg, `
			tenure_is_leader{election="n",member="a"} 0
			tenure_session_remaining_seconds{member="a"} 0
			!tenure_session_ttl_seconds
			tenure_sessions_lost_total{member="a",reason="session_expired"} 1
			tenure_term_remaining_seconds{election="n",member="a"} 0
			tenure_term_warnings_total{election="n",member="a"} 1
			tenure_terms_ended_total{election="n",member="a",reason="session_expired"} 1
			tenure_terms_ended_total{election="n",member="a",reason="deposed"} 0`)
		heal()
		time.Sleep(12 * time.Second) // for another session, by the clock of the test
		synctest.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}

		metrics.Forget("n")
		expect(t, reg, `
			!tenure_is_leader
			!tenure_terms
			tenure_sessions_started_total{member="a"} 2`)
		metrics.Close()
		if all, err := reg.Gather(); err != nil || len(all) > 0 {
			t.Errorf("after Close: %v, %v", all, err)
		}
	})
}

// events is a sequence that a test feeds.
func events(feed <-chan tenure.Event, end error) iter.Seq2[tenure.Event, error] {
	return func(yield func(tenure.Event, error) bool) {
		for ev := range feed {
			if !yield(ev, nil) {
				return
			}
		}
		yield(tenure.Event{}, end)
	}
}

func elected(member, endpoint string, token tenure.Token) tenure.Event {
	return tenure.Event{Kind: tenure.Elected, Leader: tenure.Leader{Member: member, Endpoint: endpoint, Token: token}}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		metrics := newMetrics(t, reg, "", promtrace.Options{})
		feed, ended, end := make(chan tenure.Event), make(chan error, 1), errors.New("the end")
		go func() { ended <- metrics.Observe("n", events(feed, end)) }()
		tell := func(ev tenure.Event) {
			feed <- ev
			synctest.Wait()
		}
		time.Sleep(time.Hour) // by the clock of the test
		expect(t, reg, "!tenure_leaderless_seconds_total\n!tenure_leader_info")
		tell(tenure.Event{Kind: tenure.Vacant})
		time.Sleep(3 * time.Second) // by the clock of the test
		expect(t, reg, `
			tenure_leaderless_seconds_total{election="n",member=""} 3
			tenure_transitions_total{election="n",member=""} 0
			!tenure_leader_info
			!tenure_is_leader`)
		tell(elected("a", "10.0.0.1:80", 7))
		time.Sleep(time.Hour) // by the clock of the test
		tell(tenure.Event{Kind: tenure.Gap, From: 7, To: 9})
		tell(elected("b\xff\n\"", "", 9)) // whatever others have written
		expect(t, reg, `
			tenure_leader_info{election="n",endpoint="",leader="b`+"\uFFFD"+`\n\"",member=""} 1
			!tenure_leader_info{election="n",endpoint="10
			tenure_leaderless_seconds_total{election="n",member=""} 3
			tenure_observation_gaps_total{election="n",member=""} 1
			tenure_token{election="n",member=""} 9
			tenure_transitions_total{election="n",member=""} 2`)
		tell(tenure.Event{Kind: tenure.Vacant})
		time.Sleep(time.Second)                 // by the clock of the test
		tell(tenure.Event{Kind: tenure.Vacant}) // not told twice, but if it were
		expect(t, reg, `
			tenure_leaderless_seconds_total{election="n",member=""} 4
			tenure_token{election="n",member=""} 9
			!tenure_leader_info`)
		if err := metrics.Observe("n", events(feed, end)); err == nil || errors.Is(err, end) {
			t.Errorf("a second Observe returned %v", err)
		}
		close(feed)
		if err := <-ended; !errors.Is(err, end) {
			t.Errorf("got %v, want %v", err, end)
		}
		expect(t, reg, "!tenure_leaderless_seconds_total\n!tenure_token")
	})
}

// Who comes later has seen nobody be elected.
func TestObserveFromTheMiddle(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	metrics := newMetrics(t, reg, "a", promtrace.Options{})
	feed, ended := make(chan tenure.Event), make(chan error, 1)
	go func() { ended <- metrics.Observe("n", events(feed, context.Canceled)) }()
	feed <- elected("b", "", 7)
	feed <- tenure.Event{Kind: tenure.Gap} // the first has been taken
	expect(t, reg, `
		tenure_leader_info{election="n",endpoint="",leader="b",member="a"} 1
		tenure_leaderless_seconds_total{election="n",member="a"} 0
		tenure_transitions_total{election="n",member="a"} 0`)
	close(feed)
	<-ended //nolint:errcheck // it is the one that was given
}

// Without a term to ask, the member leads for as long as its session is alive.
func TestRoleByTheTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		trace := newMetrics(t, reg, "a", promtrace.Options{}).Trace()
		trace.SessionStarted(tenure.SessionInfo{TTL: 4 * time.Second})
		trace.Elected(tenure.TermInfo{Election: "n"})
		expect(t, reg, `tenure_is_leader{election="n",member="a"} 1`)
		trace.Round(tenure.RoundInfo{Until: time.Now().Add(2 * time.Second)})
		time.Sleep(2 * time.Second) // by the clock of the test
		expect(t, reg, `
			tenure_is_leader{election="n",member="a"} 0
			tenure_session_remaining_seconds{member="a"} 0`)
		trace.Round(tenure.RoundInfo{Until: time.Now().Add(2 * time.Second), Took: time.Second, Err: context.DeadlineExceeded})
		trace.Round(tenure.RoundInfo{Until: time.Now().Add(2 * time.Second), Late: time.Second, Err: errors.New("trouble")})
		expect(t, reg, `
			tenure_is_leader{election="n",member="a"} 1
			tenure_renewal_duration_seconds_sum{member="a",result="timeout"} 1
			tenure_renewal_duration_seconds_count{member="a",result="error"} 1
			tenure_renewal_interval_seconds_count{member="a"} 1
			tenure_renewal_lateness_seconds_sum{member="a"} 1`)
		trace.Ended(tenure.TermInfo{Election: "n"}, tenure.ErrResigned)
		expect(t, reg, `tenure_is_leader{election="n",member="a"} 0`)
	})
}

func TestTwoMembersShareARegistry(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	a := newMetrics(t, reg, "a", promtrace.Options{Elections: []string{"n"}})
	newMetrics(t, reg, "b", promtrace.Options{Elections: []string{"n"}})
	a.Trace().Elected(tenure.TermInfo{Election: "n", Member: "a", Token: 1})
	expect(t, reg, `
		tenure_terms_total{election="n",member="a"} 1
		tenure_terms_total{election="n",member="b"} 0`)
	_, err := promtrace.New(reg, "a", promtrace.Options{})
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); !ok || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a second member %q: %v", "a", err)
	}
	a.Close()
	newMetrics(t, reg, "a", promtrace.Options{})
}

// A name that is no text would keep all metrics from being shown.
func TestNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	metrics := newMetrics(t, reg, "m\xff", promtrace.Options{Elections: []string{"\xfe", "\xff"}})
	metrics.Trace().Trouble("", "\xff", errors.New("trouble"))
	metrics.Trace().Elected(tenure.TermInfo{Election: "\xfd"})
	expect(t, reg, "tenure_terms_total{election=\"\uFFFD\",member=\"m\uFFFD\"} 1")
}

func TestReasons(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	trace := newMetrics(t, reg, "a", promtrace.Options{}).Trace()
	for cause, reason := range map[error]string{
		tenure.ErrResigned:                           "resigned",
		tenure.ErrClosed:                             "closed",
		tenure.ErrSessionExpired:                     "session_expired",
		tenure.ErrUnproven:                           "unproven",
		tenure.ErrDispossessed:                       "dispossessed",
		tenure.ErrDeposed:                            "deposed",
		fmt.Errorf("%w to b", tenure.ErrTransferred): "transferred",
		tenure.ErrPreempted:                          "preempted",
		tenure.ErrDrained:                            "drained",
		tenure.ErrIneligible:                         "ineligible",
		tenure.ErrUnhealthy:                          "unhealthy",
		tenure.ErrConditionFailed:                    "condition_failed",
		context.Canceled:                             "stopped",
		errors.New("of the user's"):                  "other",
	} {
		trace.Ended(tenure.TermInfo{Election: reason}, cause)
		expect(t, reg, fmt.Sprintf("tenure_terms_ended_total{election=%q,member=\"a\",reason=%q} 1", reason, reason))
	}
}

// full is a registry in which every metric has a series.
func full(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	metrics := newMetrics(t, reg, "a", promtrace.Options{Elections: []string{"n"}})
	metrics.Trace().SessionStarted(tenure.SessionInfo{TTL: time.Second})
	metrics.Trace().Trouble("", "renew", errors.New("trouble"))
	metrics.SetPriority("n", 1)
	metrics.TrackTerm("n", ended{})
	feed, observed := make(chan tenure.Event), make(chan error, 1)
	go func() { observed <- metrics.Observe("n", events(feed, context.Canceled)) }()
	feed <- elected("a", "10.0.0.1:80", 1)
	feed <- elected("a", "10.0.0.1:80", 1) // the first has been taken
	t.Cleanup(func() {
		close(feed)
		<-observed //nolint:errcheck // it is the one that was given
	})
	return reg
}

// ended is a term that is held no more.
type ended struct{ tenure.Term }

func (ended) Held() bool { return false }

func TestMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(full(t))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	all, err := full(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, family := range all {
		kinds[family.GetName()] = strings.ToLower(family.GetType().String())
	}
	for line := range strings.Lines(string(doc)) {
		if f := strings.Fields(line); len(f) > 2 && kinds[f[1]] == f[2] {
			delete(kinds, f[1])
		}
	}
	for name, kind := range kinds {
		t.Errorf("no line in doc.go: %s %s", name, kind)
	}
}

// What the documentation shows is what Prometheus takes.
func TestDocumentedConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		requirestore.Skip(t, "prometheus", err.Error())
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, first string) {
		_, rest, ok := strings.Cut(string(doc), "//\n//\t"+first+":\n")
		block, _, _ := strings.Cut(rest, "\n//\n")
		block, _, _ = strings.Cut(block, "\npackage ")
		if !ok {
			t.Fatalf("doc.go has no %s", first)
		}
		text := first + ":\n" + strings.ReplaceAll(strings.TrimPrefix(block, "//\t"), "\n//\t", "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("prometheus.yml", "global")
	write("tenure-rules.yml", "groups")
	out, err := exec.CommandContext(t.Context(), "promtool", "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2 rules found") {
		t.Errorf("%v\n%s", err, out)
	}
}
