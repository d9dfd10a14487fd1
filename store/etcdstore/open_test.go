package etcdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/tenure-go/tenure/internal/etcdtest"
	"github.com/tenure-go/tenure/store"
)

// deaf accepts connections and says nothing.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// closed is where nobody listens. A port that was free a moment ago may be the server of
// another test by now; this one is given to nobody.
const closed = "127.0.0.1:1"

func TestOpenSaysWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		endpoint string
		says     string
	}{
		"nobody there":    {closed, "connection refused"},
		"says nothing":    {deaf(t), ""},
		"no such address": {"no-such-host.invalid:1", ""},
	} {
		for _, user := range []string{"", "root"} {
			t.Run(name+user, func(t *testing.T) {
				t.Parallel()
				conf := Config{Endpoints: []string{tt.endpoint}, DialTimeout: 500 * time.Millisecond}
				if user != "" {
					conf.Username, conf.Password = user, password
				}
				begun := time.Now()
				_, err := Open(t.Context(), conf)
				if took := time.Since(begun); took > patience/2 {
					t.Errorf("it took %v", took)
				}
				if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
					!strings.Contains(err.Error(), tt.endpoint) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if _, err := Open(ctx, conf); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) {
					t.Errorf("with a deadline: %v", err)
				}
			})
		}
	}
}

func TestOneEndpointThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	conf := plain.config(t)
	conf.Endpoints = append([]string{closed, deaf(t)}, conf.Endpoints...)
	for i, endpoint := range conf.Endpoints {
		conf.Endpoints[i] = strings.TrimPrefix(endpoint, "http://")
	}
	put(t, opened(t, conf), "a", "1", store.NoLease)
}

func TestWrongCredentialsAreDenied(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"wrong password": func(c *Config) { c.Password = "not " + password },
		"unknown user":   func(c *Config) { c.Username = "nobody" },
		"none":           func(c *Config) { c.Username, c.Password = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := authorised.config(t)
			change(&conf)
			_, err := Open(t.Context(), conf)
			if !errors.Is(err, store.ErrDenied) || strings.Contains(err.Error(), password) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// expired is a server whose certificate has expired.
func expired(t *testing.T) string {
	t.Helper()
	certs := conforming["client certificates"].cluster(t).Certs
	pair, err := tls.LoadX509KeyPair(certs.Expired, certs.ExpiredKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).HandshakeContext(t.Context())
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func TestOpenSaysWhatIsWrongWithTLS(t *testing.T) {
	t.Parallel()
	lab := conforming["client certificates"]
	conf, certs := lab.config(t), lab.cluster(t).Certs
	for name, tt := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"unknown authority":  {func(c *Config) { c.TLS = &tls.Config{RootCAs: x509.NewCertPool()} }, "certificate signed by unknown authority"},
		"system authorities": {func(c *Config) { c.TLS = nil }, "certificate signed by unknown authority"},
		"expired":            {func(c *Config) { c.Endpoints = []string{"https://" + expired(t)} }, "certificate has expired"},
		"expired, of the client": {func(c *Config) {
			pair, err := tls.LoadX509KeyPair(certs.Expired, certs.ExpiredKey)
			if err != nil {
				t.Error(err)
			}
			c.TLS = &tls.Config{RootCAs: c.TLS.RootCAs, Certificates: []tls.Certificate{pair}}
		}, "CN=tenure test of yesterday has expired at "},
		"no certificate": {func(c *Config) { c.TLS = &tls.Config{RootCAs: c.TLS.RootCAs} }, "no endpoint answers"},
		"plain text": {func(c *Config) {
			c.TLS, c.Endpoints = nil, []string{strings.Replace(c.Endpoints[0], "https", "http", 1)}
		}, "no endpoint answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := conf
			tt.change(&conf)
			conf.DialTimeout = 3 * time.Second // all of which it takes; reading the system's authorities is a part of it
			_, err := Open(t.Context(), conf)
			host := strings.TrimPrefix(strings.TrimPrefix(conf.Endpoints[0], "https://"), "http://")
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), host) {
				t.Errorf("got %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestStoresOfOnePrefixAreOne(t *testing.T) {
	t.Parallel()
	conf := plain.config(t)
	client := newClient(t, conf)
	first, err := New(t.Context(), client, conf.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	rev := put(t, first, "a", "1", store.NoLease)
	for prefix, found := range map[string]bool{conf.Prefix: true, conf.Prefix + "/": true, conf.Prefix + "x": false, conf.Prefix[:8]: false} {
		conf := conf
		conf.Prefix = prefix
		l, err := opened(t, conf).List(t.Context(), store.Keys("a"))
		if err != nil || (l.Entry("a") != nil) != found {
			t.Errorf("under %s: %+v, %v", prefix, l, err)
		}
	}
	res, err := client.Get(t.Context(), conf.Prefix+"/a")
	if err != nil || len(res.Kvs) != 1 || res.Kvs[0].ModRevision != int64(rev) {
		t.Errorf("in etcd: %v, %v", res, err)
	}
}

func TestCloseLeavesTheCallersClientOpen(t *testing.T) {
	t.Parallel()
	client := newClient(t, plain.config(t))
	s, err := New(t.Context(), client, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(t.Context(), client, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, "", 0)
	rev := put(t, s, "a", "1", store.NoLease)
	w.event(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.end(t); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the watch ended with %v", err)
	}
	if _, err := s.List(t.Context(), store.Keys("a")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("List: %v", err)
	}
	if l, err := other.List(t.Context(), store.Keys("a")); err != nil || l.Entry("a").Modified != rev {
		t.Errorf("another store of the client: %+v, %v", l, err)
	}
	if _, err := client.Get(t.Context(), "a"); err != nil {
		t.Errorf("the client: %v", err)
	}
}

// Closing the client under a store is against the rules, and yet no reason to
// say that the cluster is away.
func TestAClosedClientIsAClosedStore(t *testing.T) {
	t.Parallel()
	client, err := clientv3.New(clientv3.Config{Endpoints: plain.config(t).Endpoints})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), client, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, "", 0)
	put(t, s, "a", "1", store.NoLease)
	w.event(t)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.end(t); !errors.Is(err, store.ErrClosed) {
		t.Errorf("the watch ended with %v", err)
	}
	if _, err := s.List(t.Context(), store.Keys("a")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("List: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A user who may touch the keys under the prefix, and nothing else, can do all;
// elsewhere every request is denied and has no effect.
func TestRightsUnderThePrefixAreEnough(t *testing.T) {
	t.Parallel()
	conf := authorised.config(t)
	root := newClient(t, conf)
	prefix := conf.Prefix + "/"
	ctx := t.Context()
	for what, err := range map[string]error{
		"user":  second(root.UserAdd(ctx, prefix, "little")),
		"role":  second(root.RoleAdd(ctx, prefix)),
		"right": second(root.RoleGrantPermission(ctx, prefix, prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermReadWrite))),
		"grant": nil,
	} {
		if err != nil {
			t.Fatal(what, err)
		}
	}
	if _, err := root.UserGrantRole(ctx, prefix, prefix); err != nil {
		t.Fatal(err)
	}
	conf.Username, conf.Password = prefix, "little"
	s := opened(t, conf)
	mayDo(t, s, nil)
	conf.Prefix = "elsewhere-" + prefix
	mayDo(t, opened(t, conf), store.ErrDenied)
	res, err := root.Get(ctx, "elsewhere-", clientv3.WithPrefix())
	if err != nil || res.Count != 0 {
		t.Errorf("elsewhere: %v, %v", res, err)
	}
}

func second[T any](_ T, err error) error { return err }

// mayDo makes every kind of request and wants each to end with the same error.
func mayDo(t *testing.T, s *Store, want error) {
	t.Helper()
	lease, err := s.Grant(t.Context(), time.Minute) // for which nobody needs any right
	if err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func() error{
		"write": func() error {
			return second(s.Commit(t.Context(), store.Tx{Then: []store.Op{store.Put("a", nil, lease.ID)}}))
		},
		"check": func() error { return second(s.Commit(t.Context(), store.Tx{If: []store.Cond{store.Absent("b")}})) },
		"empty": func() error { return second(s.Commit(t.Context(), store.Tx{})) },
		"list":  func() error { return second(s.List(t.Context(), store.Prefix(""))) },
		"rev":   func() error { return second(s.List(t.Context(), store.Query{})) },
		"watch": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for ch, err := range s.Watch(ctx, "", 0) {
				if err != nil || len(ch.Events) > 0 {
					return err
				}
				_, _ = s.Commit(ctx, store.Tx{Then: []store.Op{store.Put("a", nil, lease.ID)}})
			}
			return nil
		},
	} {
		if err := f(); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	put := func() error { return nil }
	if want == nil {
		put = func() error { return second(s.Renew(t.Context(), lease.ID)) }
	}
	if err := put(); err != nil {
		t.Error(err)
	}
	if err := s.Revoke(t.Context(), lease.ID); err != nil {
		t.Error(err)
	}
}

// A login ends by time, and with a restart of the server that gave it out.
func TestLoginsAreRenewed(t *testing.T) {
	t.Parallel()
	opts := etcdtest.Options{Password: password, TokenTTL: tokenTTL}
	c := newCluster(t, opts)
	s := opened(t, configOf(t, c, opts))
	lease, err := s.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, "", 0)
	all := func(when string) {
		t.Helper()
		rev := put(t, s, "a", when, lease.ID)
		if l, err := s.List(t.Context(), store.Keys("a")); err != nil || l.Entry("a").Modified != rev {
			t.Errorf("%s: %+v, %v", when, l, err)
		}
		if _, err := s.Renew(t.Context(), lease.ID); err != nil {
			t.Errorf("%s: renew: %v", when, err)
		}
		watch(t, s, "", rev-1).event(t)
	}
	all("at first")
	w.event(t)
	time.Sleep(2*tokenTTL + time.Second) // nothing happens, and the token ends
	all("its token has ended")
	w.event(t)
	c.Members[0].Kill()
	if err := w.end(t); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the watch ended with %v", err)
	}
	if err := c.Members[0].Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(t.Context(), c.Members[0]); err != nil {
		t.Fatal(err)
	}
	all("the server knows no token any more")
}

func TestShortestTTLIsTheServers(t *testing.T) {
	t.Parallel()
	slow := etcdtest.Options{ElectionTimeout: time.Second}
	for what, tt := range map[string]struct {
		conf Config
		min  time.Duration
	}{
		"500 ms": {plain.config(t), time.Second},
		"1 s":    {configOf(t, newCluster(t, slow), slow), 2 * time.Second},
	} {
		s := opened(t, tt.conf)
		if got := s.Capabilities().MinTTL; got != tt.min {
			t.Errorf("election timeout of %s: MinTTL is %v, want %v", what, got, tt.min)
		}
		for ask, want := range map[time.Duration]time.Duration{
			-1: tt.min, 0: tt.min, 1: tt.min, 2 * time.Second: 2 * time.Second, 2*time.Second + 1: 3 * time.Second, time.Hour: time.Hour,
		} {
			l, err := s.Grant(t.Context(), ask)
			if err != nil || l.TTL != want {
				t.Errorf("asked for %v, granted %v, %v; want %v", ask, l.TTL, err, want)
			}
			if ttl, err := s.Renew(t.Context(), l.ID); err != nil || ttl != want {
				t.Errorf("renewed for %v, %v; want %v", ttl, err, want)
			}
		}
		if _, err := s.Grant(t.Context(), 1<<63-1); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("the longest TTL: %v", err)
		}
	}
}
