package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
)

// pages of a process that leads "mine".
func pages() Pages {
	return Pages{
		Standing: func(election string) Standing { return Standing{Election: election, Leads: election == "mine"} },
		Healthy:  func() error { return nil },
		Ready:    func(context.Context) error { return errors.New("has not joined yet") },
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics\n") }),
		Member:   func() (any, error) { return nil, NotFoundError("no member") },
		Elections: func(context.Context) (any, error) {
			return nil, errors.New("the store is away")
		},
		Election: func(_ context.Context, name string) (any, error) { return map[string]string{"election": name}, nil },
		Leader: func(_ context.Context, name string) (any, error) {
			return nil, &tenure.Error{Op: "read", Election: name, Err: tenure.ErrInvalid}
		},
	}
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:9100"
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := Handler(pages(), false)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/leader/mine", 200, `{"election":"mine","leads":true}`},
		{"/leader/other", 503, `{"election":"other","leads":false}`},
		{"/healthz", 200, `{"ok":true}`},
		{"/readyz", 503, `{"ok":false,"reason":"has not joined yet"}`},
		{"/metrics", 200, "metrics"},
		{"/v1/member", 404, `{"error":"no member"}`},
		{"/v1/elections", 503, `{"error":"the store is away"}`},
		{"/v1/elections/n", 200, `{"election":"n"}`},
		{"/v1/elections/n?whatever=1", 200, `{"election":"n"}`},
		{"/v1/elections/n/leader", 400, `{"error":"read \"n\": tenure: invalid"}`},
		{"/", 404, "no such page"},
		{"/v1", 404, "no such page"},
		{"/v1/elections/n/whatever", 404, "no such page"},
		{"/leader", 404, "no such page"},
		{"/leader/", 400, "empty election name"},
		{"//leader/mine", 404, "no such page"},
		{"/leader//mine", 404, "no such page"},
		{"/v1/elections/", 400, "empty election name"},
		{"/leader/../healthz", 404, "no such page"},
		{"/leader/mine/", 404, "no such page"},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			w := ask(h, method, c.path)
			if w.Code != c.status {
				t.Errorf("%s %s: %d, want %d", method, c.path, w.Code, c.status)
			}
			switch body := w.Body.String(); {
			case method == "OPTIONS" && (body != "" || w.Header().Get("Allow") != methods):
				t.Errorf("%s %s: body %q, allows %q", method, c.path, body, w.Header().Get("Allow"))
			case method == "GET" && !strings.Contains(body, c.body):
				t.Errorf("%s %s: %q, want %q", method, c.path, body, c.body)
			case method == "GET" && c.path != "/metrics" && !json.Valid(w.Body.Bytes()):
				t.Errorf("%s %s: %q is no JSON", method, c.path, body)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s may be kept", method, c.path)
			}
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "get"} {
			w := ask(h, method, c.path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != methods {
				t.Errorf("%s %s: %d, allows %q", method, c.path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

// A name is any text: it is taken out of the path before it is unescaped, once.
func TestNamesOfElections(t *testing.T) {
	t.Parallel()
	asked := ""
	p := pages()
	p.Standing = func(election string) Standing {
		asked = election
		return Standing{Leads: true}
	}
	h := Handler(p, false)
	for _, name := range []string{
		"n", "NAME", "a/b", "/a", "a/", "a//b", "/", ".", "..", "../healthz", "a b", "a+b", "a%2Fb", "%", "%25", "a?b", "a#b", "a;b", "a&b=c", "*", "{name}",
		"größe", "日本", "\U0001F600", `"\'`, "<script>", "a\nb", strings.Repeat("n", tenure.MaxName),
	} {
		escaped := url.PathEscape(name)
		if name == "." || name == ".." {
			escaped = strings.ReplaceAll(name, ".", "%2E")
		}
		w := ask(h, "GET", "/leader/"+escaped)
		if w.Code != http.StatusOK || asked != name {
			t.Errorf("%q: %d, asked for %q", name, w.Code, asked)
		}
	}
	for _, path := range []string{"%ff", "a%00b", strings.Repeat("n", tenure.MaxName+1)} {
		if w := ask(h, "GET", "/leader/"+path); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "election name") {
			t.Errorf("%.20q: %d, %s", path, w.Code, w.Body)
		}
	}
}

// FuzzPath: whatever is asked for, one answer comes that is no redirect.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/leader/a%2Fb", "/v1/elections/%2e%2e/leader", "//", "/leader/%ff", "*", "/metrics?x=%zz"} {
		f.Add(path)
	}
	h := Handler(pages(), true)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return // the server refuses it before any handler
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u, RequestURI: path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}})
		if w.Code >= 300 && w.Code < 400 || w.Code == http.StatusInternalServerError {
			t.Errorf("%q: %d", path, w.Code)
		}
	})
}

// A name that somebody else has resolve to this host must not open what listens on the
// loopback interface to the pages in a browser.
func TestOtherHostsAreRefused(t *testing.T) {
	t.Parallel()
	for host, ok := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9100": true, "localhost": true, "localhost:9100": true, "[::1]": true, "[::1]:9100": true, "": true,
		"evil.example": false, "evil.example:9100": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
	} {
		for _, anyHost := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
			r.Host = host
			w := httptest.NewRecorder()
			Handler(pages(), anyHost).ServeHTTP(w, r)
			want := http.StatusOK
			if !ok && !anyHost {
				want = http.StatusMisdirectedRequest
			}
			if w.Code != want {
				t.Errorf("host %q: %d, want %d", host, w.Code, want)
			}
		}
	}
}

func TestReadsAreFewAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		p := pages()
		p.Election = func(ctx context.Context, _ string) (any, error) { // a store that hangs
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p.Ready = func(context.Context) error { return nil }
		h := Handler(p, false)
		codes, began := make(chan int), time.Now()
		for range 20 {
			go func() { codes <- ask(h, "GET", "/v1/elections/n").Code }()
		}
		synctest.Wait()
		for _, path := range []string{"/readyz", "/healthz", "/leader/mine"} {
			if w := ask(h, "GET", path); w.Code != http.StatusOK {
				t.Errorf("%s meanwhile: %d, %s", path, w.Code, w.Body)
			}
		}
		got := map[int]int{}
		for range 20 {
			got[<-codes]++
		}
		if got[http.StatusGatewayTimeout]+got[http.StatusServiceUnavailable] != 20 || got[http.StatusServiceUnavailable] == 0 {
			t.Errorf("answers: %v", got)
		}
		if most.Load() != readsAtOnce || time.Since(began) > 2*readTimeout {
			t.Errorf("%d reads at once, and %v in all", most.Load(), time.Since(began))
		}
	})
}

func TestProbeOfAStoreThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pages()
		p.Ready = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		began := time.Now()
		w := ask(Handler(p, false), "GET", "/readyz")
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "has not answered within 2s") || time.Since(began) != probeTimeout {
			t.Errorf("%d after %v: %s", w.Code, time.Since(began), w.Body)
		}
	})
}

func serve(t *testing.T, h http.Handler) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, h, func(trouble string) { t.Errorf("trouble: %s", trouble) })
	t.Cleanup(s.Close)
	return s
}

// send writes what no client of Go's would, and returns the status of the answer.
func send(t *testing.T, s *Server, text string) (status int, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(requestTimeout / 2)); err != nil { // for who waits for a body, that one runs out
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.40q: %v", text, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Close
}

func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	s := serve(t, Handler(pages(), false))
	const host = "Host: 127.0.0.1\r\n"
	for text, want := range map[string]int{
		"GET /leader/mine HTTP/1.1\r\n" + host + "\r\n":                                                200,
		"GET /leader/mine HTTP/1.0\r\n\r\n":                                                            200,
		"OPTIONS * HTTP/1.1\r\n" + host + "\r\n":                                                       404,
		"GET http://127.0.0.1/leader/mine HTTP/1.1\r\n" + host + "\r\n":                                200,
		"GET http://evil.example/leader/mine HTTP/1.1\r\n" + host + "\r\n":                             421,
		"GET /leader/%zz HTTP/1.1\r\n" + host + "\r\n":                                                 400,
		"GET /leader/mine HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n": 431,
		"GET /leader/mine HTTP/1.1\r\n" + host + "Content-Length: 1000000000\r\n\r\n":                  400,
		"GET /leader/mine HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\n":                        400,
		"POST /leader/mine HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n":                 405,
		"GET /leader/mine HTTP/1.1\r\n" + host + "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n": 400,
	} {
		status, closed := send(t, s, text)
		if status != want {
			t.Errorf("%.60q: %d, want %d", text, status, want)
		}
		if strings.Contains(text, "Content-Length") && !closed {
			t.Errorf("%.60q: the connection stays, and somebody has to read the body", text)
		}
	}
}

func TestCloseEndsWhatIsAsked(t *testing.T) {
	t.Parallel()
	reading, p := make(chan struct{}), pages()
	p.Election = func(ctx context.Context, _ string) (any, error) {
		close(reading)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s := serve(t, Handler(p, false))
	silent, err := net.Dial("tcp", s.address) // says nothing, and does not go
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	status := make(chan int, 1)
	go func() {
		resp, err := http.Get(s.URL() + "/v1/elections/n")
		if err != nil {
			t.Error(err)
			close(status)
			return
		}
		defer resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-reading
	s.Close()
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("who was waiting got %d", got)
	}
	if conn, err := net.Dial("tcp", s.address); err == nil {
		_ = conn.Close()
		t.Error("the port is open")
	}
	s.Close() // changes nothing
}

func TestTroublesAreReported(t *testing.T) {
	t.Parallel()
	var reported bytes.Buffer
	p := pages()
	p.Standing = func(string) Standing { panic("a mistake") }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Handler(p, false), func(trouble string) { reported.WriteString(trouble) })
	if resp, err := http.Get(s.URL() + "/leader/n"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("a panic was answered with %d", resp.StatusCode)
	}
	s.Close()
	if !strings.Contains(reported.String(), "a mistake") {
		t.Errorf("reported: %q", reported.String())
	}
}
