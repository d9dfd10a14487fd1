//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/requirestore"
	"github.com/tenure-go/tenure/promtrace"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/memstore"
)

// listening are the flags of a member that answers HTTP on a free port.
var listening = []string{"--ttl", "2s", "--listen", "127.0.0.1:0"}

// need skips a test for which a program is missing.
func need(t *testing.T, store string, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			requirestore.Skip(t, store, err.Error())
		}
	}
}

// tool prepares another program, which the world ends.
func (w *world) tool(name string, args ...string) *proc {
	w.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.command(args...)
	p.cmd.Path, p.cmd.Args[0] = path, name
	return p
}

// site is what a process answers over HTTP.
type site struct {
	t   testing.TB
	url string
}

// site waits until a member says where it listens.
func (p *proc) site() site {
	p.t.Helper()
	const says = "listening on "
	p.stderr.await(p, says)
	_, rest, _ := strings.Cut(p.stderr.String(), says)
	url, _, _ := strings.Cut(rest, "\n")
	return site{p.t, url}
}

var client = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// ask returns the status and the body of an answer.
func (s site) ask(method, path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (s site) status(path string) int {
	s.t.Helper()
	code, _ := s.ask("GET", path)
	return code
}

// read decodes an answer.
func read[T any](s site, path string) T {
	s.t.Helper()
	code, body := s.ask("GET", path)
	if code != http.StatusOK {
		s.t.Fatalf("%s: %d, %s", path, code, body)
	}
	return decode[T](s.t, body)
}

func (s site) awaitStatus(path string, want int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d of %s", want, path), func() bool { return s.status(path) == want })
}

// expectClosed fails if anybody listens.
func (s site) expectClosed() {
	s.t.Helper()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		_ = conn.Close()
		s.t.Errorf("%s is open", s.url)
	}
}

func args(words ...any) []string {
	var all []string
	for _, w := range words {
		switch w := w.(type) {
		case string:
			all = append(all, w)
		case []string:
			all = append(all, w...)
		}
	}
	return all
}

// What a load balancer sees: one member of two has the leader's page, and another after a
// hand-over. The name is any text.
func TestCurlFollowsAHandOver(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	w := newWorld(t)
	const name, page = "jobs/größe 7", "/leader/jobs%2Fgr%C3%B6%C3%9Fe%207"
	a := w.lead("a", args(name, listening, "--endpoint", "10.0.0.1:80", forever)...)
	a.stdout.await(a, "works")
	b := w.member("b", args(name, listening, forever)...)
	curl := func(s site) int {
		return w.tool("curl", "-f", "-s", "-o", "/dev/null", s.url+page).begin().wait()
	}
	const refused = 22 // of an answer from 400 on
	siteA, siteB := a.site(), b.site()
	eventually(t, "curl -f succeeds on a", func() bool { return curl(siteA) == 0 })
	if got := curl(siteB); got != refused {
		t.Errorf("curl -f of b: exit code %d, want %d", got, refused)
	}
	if _, body := siteB.ask("GET", page); !strings.Contains(body, `"leader":"a","endpoint":"10.0.0.1:80"`) || !strings.Contains(body, "another member leads") {
		t.Errorf("b says %s", body)
	}
	for _, method := range []string{"HEAD", "OPTIONS"} {
		for s, want := range map[site]int{siteA: 200, siteB: 503} {
			if code, body := s.ask(method, page); code != want || body != "" {
				t.Errorf("%s: %d, %q; want %d", method, code, body, want)
			}
		}
	}
	if got := siteA.status("/leader/jobs"); got != http.StatusServiceUnavailable {
		t.Errorf("an election in which a does not take part: %d", got)
	}
	w.do("transfer", name, "--to", "b", "--yes").expect(0)
	eventually(t, "curl -f succeeds on b", func() bool { return curl(siteB) == 0 })
	if got := curl(siteA); got != refused {
		t.Errorf("curl -f of a, after the hand-over: exit code %d, want %d", got, refused)
	}
	b.signal(syscall.SIGTERM)
	b.expect(128 + 15)
	siteB.expectClosed()
	eventually(t, "curl -f succeeds on a again", func() bool { return curl(siteA) == 0 })
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	w.expectEmpty()
}

// fakeTerm is a term whose end a test decides.
type fakeTerm struct {
	tenure.Term
	held bool
}

func (t *fakeTerm) Held() bool          { return t.held }
func (t *fakeTerm) Token() tenure.Token { return 7 }
func (t *fakeTerm) Until() time.Time    { return time.Now() }

// The page asks the term, not what has been told of it.
func TestTheLeadersPageIsTrueOnlyWhileTheTermIsHeld(t *testing.T) {
	t.Parallel()
	metrics, err := promtrace.New(prometheus.NewRegistry(), "a", promtrace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &memberSite{election: "n", opts: tenure.Options{ID: "a"}, view: tenure.NewView(memstore.New(), "n"), metrics: metrics}
	if s.standing("n").Leads {
		t.Error("it leads before anything")
	}
	term := &fakeTerm{held: true}
	ends := s.works(term)
	if got := s.standing("n"); !got.Leads || got.Token != 7 || got.Leader != "a" {
		t.Errorf("it works: %+v", got)
	}
	if s.standing("other").Leads {
		t.Error("it leads another election")
	}
	term.held = false // and nobody has been told
	if s.standing("n").Leads {
		t.Error("it leads in a term that is lost")
	}
	term.held = true
	ends()
	if s.standing("n").Leads {
		t.Error("it leads after its work")
	}
}

// Load balancers send nothing to a leader that is not ready.
func TestACampaignLeadsForLoadBalancersWhenItsHookHasSucceeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(args("campaign", "n", "--id", "a", listening, "--on-elected", "echo preparing; while ! [ -e go ]; do sleep 0.01; done")...)
	p.stdout.await(p, "preparing")
	s := p.site()
	if code, body := s.ask("GET", "/leader/n"); code != http.StatusServiceUnavailable {
		t.Errorf("while the hook runs: %d, %s", code, body)
	}
	if err := os.WriteFile(w.path("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.awaitStatus("/leader/n", http.StatusOK)
	w.do("depose", "n", "--yes").expect(0)
	s.awaitStatus("/leader/n", http.StatusServiceUnavailable)
	p.signal(syscall.SIGTERM)
	p.expect(0)
	s.expectClosed()
	w.expectEmpty()
}

// Commands end with their process, which closes anything.
func TestCloseOfAMemberClosesItsPort(t *testing.T) {
	t.Parallel()
	ports, err := etcdtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s := site{t, fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	f := memberFlags{id: "a", ttl: time.Second, listen: listenFlags{address: strings.TrimPrefix(s.url, "http://")}}
	st, tell := memstore.New(), teller{election: "n", quiet: true}
	m, err := f.join(t.Context(), st, "mem:", tell, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.awaitStatus("/readyz", http.StatusOK)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	s.expectClosed()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.join(t.Context(), st, "mem:", tell, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("over a store that is closed: %v", err)
	}
	s.expectClosed()
}

func TestPagesOfAMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", args("n", listening, "--endpoint", "10.0.0.1:80", "--priority", "3", forever)...)
	b := w.member("b", args("n", listening, forever)...)
	s := a.site()
	s.awaitStatus("/leader/n", http.StatusOK)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := s.ask("GET", path); code != http.StatusOK || body != "{\"ok\":true}\n" {
			t.Errorf("%s: %d, %s", path, code, body)
		}
	}
	m := read[memberJSON](s, "/v1/member")
	if len(m.Terms) != 1 || m.Terms[0].Token != w.token("n") || m.Member != "a" || m.Endpoint != "10.0.0.1:80" || m.TTL != "2s" || !m.Healthy {
		t.Errorf("member: %+v", m)
	}
	if m := read[memberJSON](b.site(), "/v1/member"); len(m.Terms) != 0 {
		t.Errorf("member: %+v", m)
	}
	// What "tenure status" and "tenure leader" print.
	for path, command := range map[string][]string{
		"/v1/elections/n":        {"status", "n", "--json"},
		"/v1/elections/n/leader": {"leader", "n", "--json"},
	} {
		want := w.do(command...).expect(0).stdout.String()
		if _, got := s.ask("GET", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	want := "{\"elections\":[" + strings.TrimSpace(w.do("status", "--json").expect(0).stdout.String()) + "]}\n"
	if _, got := s.ask("GET", "/v1/elections"); got != want {
		t.Errorf("elections: %s, want %s", got, want)
	}
	eventually(t, "the history", func() bool {
		want := "{\"terms\":[" + strings.TrimSpace(w.do("history", "n", "--json").expect(0).stdout.String()) + "]}\n"
		_, got := s.ask("GET", "/v1/elections/n/history")
		return got == want && strings.Contains(got, `"member":"a"`)
	})
	if _, got := s.ask("GET", "/v1/elections/nobody/history"); got != "{\"terms\":[]}\n" {
		t.Errorf("the history of an election that never was: %s", got)
	}
	if code, body := s.ask("GET", "/v1/elections/nobody/leader"); code != http.StatusNotFound || body != "{\"error\":\"nobody leads\"}\n" {
		t.Errorf("an election without a leader: %d, %s", code, body)
	}
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	s.expectClosed()
}

// The port is told, and belongs to nobody else: not to CMD, nor to its guard, which would
// keep it when tenure run is killed.
func TestListenerIsNotInherited(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("this system does not show the files of a process")
	}
	w := newWorld(t)
	p := w.do(args("run", "n", listening, "--", "sh", "-c", "ls -l /proc/$$/fd /proc/$PPID/fd")...).expect(0)
	p.site().expectClosed()
	if out := p.stdout.String(); strings.Contains(out, "socket:") || strings.Count(out, "/proc/") < 2 {
		t.Errorf("files of CMD and its guard:\n%s", out)
	}
	w.expectEmpty()
}

func TestBadListeners(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"9100":            `--listen "9100"; want HOST:PORT`,
		"localhost":       `--listen "localhost"; want HOST:PORT`,
		"localhost:http":  `port "http"; want one from 0 to 65535`,
		"localhost:65536": `port "65536"; want one from 0 to 65535`,
		"localhost:-1":    `port "-1"; want one from 0 to 65535`,
		":9100":           `--listen ":9100" can be reached from other hosts; listen on 127.0.0.1, or allow it with --listen-anywhere`,
		"0.0.0.0:9100":    "can be reached from other hosts",
		"[::]:9100":       "can be reached from other hosts",
		"192.0.2.1:9100":  "can be reached from other hosts",
		"example.com:80":  "can be reached from other hosts",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			expectOneError(t, w.do("run", "n", "--listen", address, "--", "true").expect(exitRunFailed).says(""), says)
			expectOneError(t, w.do("serve", "--name", "a", "--data", w.path("data"), "--listen", address).expect(exitUsage).says(""), says)
			if files := w.files(); len(files) > 0 {
				t.Errorf("left %q", files)
			}
		})
	}
}

func TestListenAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.lead("a", args("n", "--listen", "0.0.0.0:0", "--listen-anywhere", forever)...)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.site().url, "http://"), "]:")
	s := site{t, "http://127.0.0.1:" + port}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "node-1.example" // by which others know it
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("answered %s", resp.Status)
	}
}

// A port that is in use is noticed before anybody counts on the member.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", args("n", listening, forever)...)
	address := strings.TrimPrefix(a.site().url, "http://")
	p := w.do(args("run", "n", "--id", "b", "--listen", address, "--", "true")...).expect(exitRunFailed).says("")
	expectOneError(t, p, fmt.Sprintf("--listen %q", address), "address already in use")
	if keys := w.keys(); slices.Contains(keys, "members/b") {
		t.Errorf("it has joined: %q", keys)
	}
}

// A member that waits to join is not to be replaced, and nobody should count on it.
func TestPagesOfAMemberThatWaitsToJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", args("n", "--ttl", "2s", forever)...)
	a.signal(syscall.SIGKILL)
	a.wait()
	again := w.start(args("run", "n", "--id", "a", listening, forever)...)
	s := again.site()
	if code, body := s.ask("GET", "/readyz"); code == http.StatusServiceUnavailable && !strings.Contains(body, "has not joined yet") {
		t.Errorf("/readyz: %d, %s", code, body)
	}
	if got := s.status("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	s.awaitStatus("/readyz", http.StatusOK)
	s.awaitStatus("/leader/n", http.StatusOK)
}

func TestPagesWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts)
	a := w.lead("a", args("n", listening, forever)...)
	s := a.site()
	s.awaitStatus("/leader/n", http.StatusOK)
	server, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s.awaitStatus("/leader/n", http.StatusServiceUnavailable)
	s.awaitStatus("/healthz", http.StatusServiceUnavailable)
	s.awaitStatus("/readyz", http.StatusServiceUnavailable)
	if code, body := s.ask("GET", "/v1/elections"); code < 500 || !strings.Contains(body, `"error"`) {
		t.Errorf("the elections: %d, %s", code, body)
	}
	if _, body := s.ask("GET", "/metrics"); !strings.Contains(body, "\ntenure_session_remaining_seconds{member=\"a\"} 0\n") ||
		!strings.Contains(body, "\ntenure_is_leader{election=\"n\",member=\"a\"} 0\n") {
		t.Errorf("the metrics:\n%s", body)
	}
	if err := server.Cont(); err != nil {
		t.Fatal(err)
	}
	s.awaitStatus("/healthz", http.StatusOK)
	s.awaitStatus("/leader/n", http.StatusOK)
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	s.expectClosed()
}

// A thousand clients that read what they can do not cost the leader its term.
func TestManyClientsDoNotDelayRenewals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", args("n", "--ttl", "4s", "--listen", "127.0.0.1:0", forever)...)
	s := a.site()
	s.awaitStatus("/leader/n", http.StatusOK)
	token := w.token("n")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // longer than a term without a renewal lasts
	defer cancel()
	done := make(chan int)
	for range 50 {
		go func() {
			n := 0
			for ctx.Err() == nil {
				for _, path := range []string{"/v1/elections", "/metrics", "/leader/n"} {
					req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
					if resp, err := client.Do(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						n++
					}
				}
			}
			done <- n
		}()
	}
	answers := 0
	for range 50 {
		answers += <-done
	}
	t.Logf("%d answers", answers)
	if got := w.token("n"); got != token || count(a, "lost") > 0 {
		t.Errorf("the term of token %d was lost; now it is %d:\n%s", token, got, a.stderr.String())
	}
}

// promtool is content with the metrics of a member that has led and of one that waits.
func TestPromtoolChecksTheMetrics(t *testing.T) {
	t.Parallel()
	need(t, "prometheus", "promtool")
	w := newWorld(t)
	a := w.lead("a", args("n", listening, forever)...)
	b := w.member("b", args("n", listening, forever)...)
	a.site().awaitStatus("/leader/n", http.StatusOK)
	for _, p := range []*proc{a, b} {
		_, metrics := p.site().ask("GET", "/metrics")
		for _, want := range []string{"tenure_build_info{", "go_goroutines ", "tenure_renewal_duration_seconds_bucket{"} {
			if !strings.Contains(metrics, "\n"+want) {
				t.Errorf("no %s", want)
			}
		}
		tool := w.tool("promtool", "check", "metrics")
		tool.cmd.Stdin = strings.NewReader(metrics)
		tool.begin().expect(0)
		if out := tool.stdout.String() + tool.stderr.String(); out != "" {
			t.Errorf("promtool says %s", out)
		}
	}
}

// A Prometheus scrapes two members, and knows who leads.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	need(t, "prometheus", "prometheus")
	w := newWorld(t)
	a := w.lead("a", args("n", listening, "--endpoint", "10.0.0.1:80", forever)...)
	b := w.member("b", args("n", listening, forever)...)
	ports, err := etcdtest.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("scrape_configs:\n- {job_name: tenure, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: [%q, %q]}]}\n",
		strings.TrimPrefix(a.site().url, "http://"), strings.TrimPrefix(b.site().url, "http://"))
	if err := os.WriteFile(w.path("prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p := w.tool("prometheus", "--config.file", w.path("prometheus.yml"), "--storage.tsdb.path", w.path("tsdb"), "--web.listen-address", address).begin()
	p.stderr.await(p, "ready to receive web requests")
	prom := prometheusAPI{site{t, "http://" + address}}
	for query, want := range map[string]string{
		"sum by (member) (tenure_is_leader == 1)":          `{member="a"} 1`,
		`count by (leader, endpoint) (tenure_leader_info)`: `{endpoint="10.0.0.1:80", leader="a"} 2`,
		`count(up == 1)`: `{} 2`,
		`count(tenure_session_remaining_seconds > 0)`:                         `{} 2`,
		`min by (election) (rate(tenure_leaderless_seconds_total[1m])) < 0.5`: `{election="n"}`,
	} {
		eventually(t, query+" is "+want, func() bool { return strings.HasPrefix(prom.query(query), want) })
	}
	w.do("transfer", "n", "--to", "b", "--yes").expect(0)
	eventually(t, "Prometheus sees the hand-over", func() bool {
		return prom.query("count by (leader) (tenure_leader_info)") == `{leader="b"} 2`
	})
	eventually(t, "Prometheus counts it", func() bool {
		return prom.query(`sum by (member) (tenure_terms_ended_total{reason="transferred"} > 0)`) == `{member="a"} 1`
	})
	p.signal(syscall.SIGTERM)
	p.expect(0)
}

type prometheusAPI struct{ site }

// query returns the one series that answers a query, with its value; "" if there is not one.
func (p prometheusAPI) query(query string) string {
	p.t.Helper()
	_, body := p.ask("GET", "/api/v1/query?query="+url.QueryEscape(query))
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		p.t.Fatalf("%v: %s", err, body)
	}
	if len(answer.Data.Result) != 1 {
		return ""
	}
	var labels []string
	for name, value := range answer.Data.Result[0].Metric {
		labels = append(labels, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(labels)
	return fmt.Sprintf("{%s} %v", strings.Join(labels, ", "), answer.Data.Result[0].Value[1])
}

func TestPagesOfServers(t *testing.T) {
	t.Parallel()
	s := newServing(t, "a", "b", "c")
	for _, name := range []string{"a", "b", "c"} {
		s.args[name] = append(s.args[name], "--listen", "127.0.0.1:0", "--json")
	}
	a := s.begin("a")
	a.stderr.await(a, "msg=listening")
	_, rest, _ := strings.Cut(a.stderr.String(), "url=")
	page := site{t, strings.TrimSpace(rest[:strings.IndexByte(rest, '\n')])}
	if code, body := page.ask("GET", "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "does not serve yet") {
		t.Errorf("before it serves: %d, %s", code, body)
	}
	if got := page.status("/healthz"); got != http.StatusOK {
		t.Errorf("before it serves: %d", got)
	}
	s.begin("b")
	s.begin("c")
	a.stdout.await(a, "\n")
	if got := decode[servingJSON](t, a.stdout.String()); got.Listen != page.url {
		t.Errorf("it printed %+v, and listens on %s", got, page.url)
	}
	page.awaitStatus("/readyz", http.StatusOK)
	s.w.lead("m", args("n", "--ttl", "1s", forever)...)
	if got := read[leaderJSON](page, "/v1/elections/n/leader"); got.Leader != "m" {
		t.Errorf("leader: %+v", got)
	}
	if code, body := page.ask("GET", "/leader/n"); code != http.StatusServiceUnavailable || !strings.Contains(body, "is a server") {
		t.Errorf("/leader/n: %d, %s", code, body)
	}
	if got := page.status("/v1/member"); got != http.StatusNotFound {
		t.Errorf("/v1/member: %d", got)
	}
	_, metrics := page.ask("GET", "/metrics")
	for _, want := range []string{"tenure_build_info{", "go_goroutines ", "etcd_server_has_leader 1"} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	s.kill("b", "c") // and with them the majority
	page.awaitStatus("/readyz", http.StatusServiceUnavailable)
	if got := page.status("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz of a server without a majority: %d", got)
	}
	a.signal(syscall.SIGTERM)
	a.expect(0)
	page.expectClosed()
}
