//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/internal/requirestore"
)

const etcdPassword = "correct horse:battery/staple@?"

func startEtcd(t *testing.T, opts etcdtest.Options) (c *etcdtest.Cluster, hosts string) {
	t.Helper()
	if _, err := etcdtest.Binary(); err != nil {
		requirestore.Skip(t, "etcd", err.Error())
	}
	c, err := etcdtest.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	var all []string
	for _, endpoint := range c.Endpoints() {
		_, host, _ := strings.Cut(endpoint, "://")
		all = append(all, host)
	}
	return c, strings.Join(all, ",")
}

// Members of many hosts, here of one, over a cluster that loses a server.
func TestEtcd(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{Members: 3})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/some/prefix")
	w.do("leader", "n").expect(exitNobody).says("")
	watch := w.start("watch", "n")
	watch.stdout.await(watch, "vacant\n")
	a := w.lead("a", append([]string{"n", "--ttl", "2s", "--endpoint", "10.0.0.1:80"}, forever...)...)
	b := w.member("b", append([]string{"n", "--ttl", "2s"}, forever...)...)
	w.do("leader", "n").expect(0).says("a\t10.0.0.1:80\n")
	for _, key := range w.keys() { // under the prefix
		if !strings.HasPrefix(key, "leaders/") && !strings.HasPrefix(key, "candidates/") &&
			!strings.HasPrefix(key, "sessions/") && !strings.HasPrefix(key, "members/") {
			t.Errorf("key %q", key)
		}
	}
	other := w.start("leader", "n", "--store", "etcd://"+hosts)
	other.expect(exitNobody)
	a.signal(syscall.SIGTERM)
	b.stdout.await(b, "works")
	a.expect(128 + 15)
	server, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	again := w.member("a", append([]string{"n", "--ttl", "2s"}, forever...)...)
	b.signal(syscall.SIGKILL)
	again.stdout.await(again, "works")
	s := decode[statusJSON](t, w.do("status", "n", "--json").expect(0).stdout.String())
	if s.Leader == nil || s.Leader.Leader != "a" {
		t.Errorf("status: %+v", s)
	}
	again.signal(syscall.SIGTERM)
	again.wait()
	watch.stdout.awaitTimes(watch, "\n", 6)
	watch.signal(syscall.SIGTERM)
	watch.expect(0)
	var events []string
	for l := range strings.Lines(watch.stdout.String()) {
		event, _, _ := strings.Cut(strings.TrimSpace(l), " token")
		events = append(events, event)
	}
	if got := strings.Join(events, ", "); got != "vacant, elected a, elected b, vacant, elected a, vacant" {
		t.Errorf("events: %s", got)
	}
	w.expectEmpty()
}

// CMD finds the same store from any folder, by certificates that were named
// relative to another, and nobody shows the password.
func TestEtcdWithCertificatesAndPassword(t *testing.T) {
	t.Parallel()
	c, hosts := startEtcd(t, etcdtest.Options{ClientCerts: true, Password: etcdPassword})
	dir := t.TempDir()
	for name, from := range map[string]string{"ca.pem": c.Certs.CA, "cert.pem": c.Certs.Client, "key.pem": c.Certs.ClientKey} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorldOver(t, dir, "etcds://root@"+hosts+"/p?cacert=ca.pem&cert=cert.pem&key=key.pem")
	w.env = append(w.env, passwordEnv+"="+etcdPassword)
	watch := w.start("watch", "n")
	watch.stdout.await(watch, "vacant\n")
	run := w.do("run", "n", "--id", "a", "--ttl", "2s", "--", "sh", "-c", `cd / && "$TENURE" leader n && echo "$TENURE_STORE"`)
	run.expect(0).says(fmt.Sprintf("a\netcds://root@%s/p?cacert=%s&cert=%s&key=%s\n", hosts,
		escaped(dir, "ca.pem"), escaped(dir, "cert.pem"), escaped(dir, "key.pem")))
	w.do("status").expect(0)
	watch.stdout.awaitTimes(watch, "vacant\n", 2)
	watch.signal(syscall.SIGTERM)
	watch.expect(0)

	const wrong = "not the password"
	w.command("status").setenv(passwordEnv + "=" + wrong).begin().expect(exitFailed)
	w.command("status").setenv(passwordEnv + "=").begin().expect(exitFailed)
	w.do("status", "--store", "etcds://root:"+wrong+"@"+hosts).expect(exitFailed)
	w.do("status", "--store", "etcds://nobody@"+hosts+"/p?cacert=ca.pem&cert=cert.pem&key=key.pem").expect(exitFailed)
	for i, says := range []string{"store: denied", passwordEnv, passwordEnv, "store: denied"} {
		p := w.procs[len(w.procs)-4+i]
		expectOneError(t, p, says)
	}
	for _, p := range w.procs {
		for _, out := range []string{p.stdout.String(), p.stderr.String()} {
			if strings.Contains(out, etcdPassword) || strings.Contains(out, wrong) {
				t.Errorf("%q shows a password:\n%s", p.cmd.Args[1:], out)
			}
		}
	}
}

func escaped(dir, name string) string {
	return strings.ReplaceAll(filepath.Join(dir, name), "/", "%2F")
}

func TestBadEtcdStores(t *testing.T) {
	t.Parallel()
	const secret = "s3cr:e/t"
	for _, c := range []struct {
		name, url string
		says      []string
	}{
		{"no slashes", "etcd:localhost", []string{`"etcd:localhost"`, "want etcd://HOST"}},
		{"no host", "etcd:///prefix", []string{"no host", "want etcd://HOST"}},
		{"an empty host", "etcd://a,,b", []string{"endpoint 2 of 3: not an endpoint"}},
		{"a bad port", "etcd://a:port", []string{"endpoint 1 of 1: not an endpoint"}},
		{"a password", "etcd://root:" + secret + "@localhost", []string{`"etcd://root:xxxxx@localhost"`, "has a password", "TENURE_ETCD_PASSWORD"}},
		{"a simple password", "etcds://root:s3cr@localhost", []string{`"etcds://root:xxxxx@localhost"`, "has a password", "TENURE_ETCD_PASSWORD"}},
		{"a password for another store", "redis://root:" + secret + "@localhost", []string{`"redis://root:xxxxx@localhost"`, "unknown scheme"}},
		{"a user without a password", "etcd://root@localhost", []string{`no password of user "root"; set TENURE_ETCD_PASSWORD`}},
		{"an unknown parameter", "etcds://localhost/?insecure=1", []string{`unknown parameter "insecure"; want cacert, cert, key`}},
		{"an empty parameter", "etcds://localhost/?cacert=", []string{`parameter "cacert" wants the name of one file`}},
		{"bad parameters", "etcds://localhost/?cacert=%zz", []string{"the parameters", "%zz"}},
		{"certificates without TLS", "etcd://localhost/?cacert=ca.pem", []string{"without TLS; want etcds://"}},
		{"no such file", "etcds://localhost/?cacert=none.pem", []string{"cacert: open none.pem: no such file"}},
		{"no certificate", "etcds://localhost/?cacert=/dev/null", []string{"no certificate in /dev/null; want PEM"}},
		{"a certificate without a key", "etcds://localhost/?cert=cert.pem", []string{"only one of cert and key", "cert.pem"}},
		{"no such key", "etcds://localhost/?cert=/dev/null&key=none.pem", []string{"cert and key: open none.pem: no such file"}},
		{"a bad prefix", "etcd://localhost/a%00b", []string{"has a NUL byte"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.expectRefused(t, c.url, c.says...)
			for _, p := range w.procs {
				if strings.Contains(p.stderr.String(), "s3cr") {
					t.Errorf("the password is shown: %s", p.stderr.String())
				}
			}
		})
	}
}

func TestEtcdThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w := newWorldOver(t, t.TempDir(), "etcd://"+nobody)
	expectOneError(t, w.do("status").expect(exitFailed).says(""), nobody, "no endpoint answers", "connection refused")
}

func TestOrdersOverEtcd(t *testing.T) {
	t.Parallel()
	_, hosts := startEtcd(t, etcdtest.Options{Members: 1})
	w := newWorldOver(t, t.TempDir(), "etcd://"+hosts+"/orders")
	args := append([]string{"n", "--ttl", "2s"}, forever...)
	a := w.lead("a", args...)
	b := w.member("b", args...)
	w.do("transfer", "n", "--to", "b", "--yes").expect(0).says(fmt.Sprintf("b leads, token %d\n", w.token("n")))
	b.stdout.await(b, "works")
	w.do("depose", "n", "--yes", "--wait", patience.String()).expect(0)
	a.stdout.awaitTimes(a, "works", 2)
	w.do("drain", "a", "--yes").expect(0)
	b.stdout.awaitTimes(b, "works", 2)
	w.do("pause", "n", "--yes").expect(0)
	w.do("undrain", "a").expect(0)
	w.do("unpause", "n").expect(0)
	w.awaitState("a", "waiting")
	b.signal(syscall.SIGTERM)
	a.stdout.awaitTimes(a, "works", 3)
}

// A password with a slash was taken for a host and a port, which errors show.
func TestAPasswordWithASlashIsNoHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("status", "--store", "etcd://root:1/s3cret@127.0.0.1:2379/p").expect(exitFailed).says("")
	expectOneError(t, p, "etcd://root:xxxxx@127.0.0.1:2379/p", passwordEnv, "%40")
	if text := p.stderr.String(); strings.Contains(text, "s3cret") || strings.Contains(text, "root:1") {
		t.Errorf("the password is shown: %s", text)
	}
}
