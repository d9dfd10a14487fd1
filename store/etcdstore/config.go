package etcdstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/tenure-go/tenure/store"
)

const (
	// DefaultPrefix is the prefix of all keys unless the configuration says
	// otherwise.
	DefaultPrefix = "tenure/"
	// MaxPrefix is the longest prefix, in bytes, with the slash at its end.
	MaxPrefix = 1 << 10

	defaultDialTimeout = 5 * time.Second
	defaultPort        = "2379"
)

// Config is what Open needs to know. Endpoints are required.
type Config struct {
	// Endpoints are the members of the cluster, as "host", "host:port",
	// "http://host:port" or "https://host:port"; the port is 2379 if none is given.
	// One that answers is enough to open the store. All have the same scheme. With
	// https and no TLS the system's authorities are trusted; with TLS, https
	// is what no scheme means.
	Endpoints []string
	// Prefix of all keys; a slash at its end is added if it has none. The default
	// is DefaultPrefix. Stores of the same prefix are one store.
	Prefix string
	// Username and Password log in. They never appear in an error.
	Username string
	Password string `json:"-"`
	// TLS, if not nil, is how to speak it: authorities, a certificate to show. Each
	// server must prove the name that its endpoint has; ServerName is ignored.
	TLS *tls.Config `json:"-"`
	// DialTimeout bounds Open, as its context does. The default is 5 s.
	DialTimeout time.Duration
}

// String describes the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("etcd %s, prefix %q, user %q", strings.Join(c.Endpoints, ","), cmp.Or(c.Prefix, DefaultPrefix), c.Username)
}

// GoString is String, so that no verb of fmt prints the secrets.
func (c Config) GoString() string { return c.String() }

// complete returns the configuration with its defaults, and what is wrong with it.
func (c Config) complete() (Config, error) {
	var err error
	if c.Prefix, err = checkPrefix(c.Prefix); err != nil {
		return c, err
	}
	if c.Endpoints, err = checkEndpoints(c.Endpoints, c.TLS != nil); err != nil {
		return c, err
	}
	switch {
	case (c.Username == "") != (c.Password == ""):
		return c, fmt.Errorf("%w: etcd: only one of user name and password is given; give both, or none", store.ErrInvalid)
	case c.DialTimeout < 0:
		return c, fmt.Errorf("%w: etcd: a dial timeout of %v; it cannot be negative", store.ErrInvalid, c.DialTimeout)
	}
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	return c, nil
}

func checkPrefix(prefix string) (string, error) {
	if prefix == "" {
		return DefaultPrefix, nil
	}
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	switch {
	case len(prefix) > MaxPrefix:
		return "", fmt.Errorf("%w: etcd: a prefix of %d bytes, with the slash at its end; the limit is %d", store.ErrInvalid, len(prefix), MaxPrefix)
	case strings.IndexByte(prefix, 0) >= 0:
		return "", fmt.Errorf("%w: etcd: prefix %q has a NUL byte; choose another", store.ErrInvalid, prefix)
	}
	return prefix, nil
}

func checkEndpoints(endpoints []string, secure bool) ([]string, error) {
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("%w: etcd: no endpoints; give those of the cluster's members, as host:port", store.ErrInvalid)
	}
	scheme := ""
	var all []string
	for i, endpoint := range endpoints {
		u, err := parseEndpoint(endpoint, secure)
		if err != nil {
			// Its number: what cannot be parsed may hold a password.
			return nil, fmt.Errorf("%w: etcd: endpoint %d of %d: %w", store.ErrInvalid, i+1, len(endpoints), err)
		}
		if scheme != "" && u.Scheme != scheme {
			return nil, fmt.Errorf("%w: etcd: endpoints of both %s and %s; give all the same scheme", store.ErrInvalid, scheme, u.Scheme)
		}
		scheme = u.Scheme
		all = append(all, u.String())
	}
	if secure && scheme == "http" {
		return nil, fmt.Errorf("%w: etcd: TLS is configured, and the endpoints are of http, which would not use it; give https", store.ErrInvalid)
	}
	return all, nil
}

func parseEndpoint(endpoint string, secure bool) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		scheme := "http"
		if secure {
			scheme = "https"
		}
		endpoint = scheme + "://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errEndpoint
	case u.User != nil:
		return nil, errors.New("it has a user name; use Config.Username and Config.Password")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("its scheme is %q; want http or https", u.Scheme)
	case u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, errEndpoint
	}
	u.Path = ""
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), defaultPort)
	}
	return u, nil
}

var errEndpoint = errors.New("not an endpoint; want host:port, http://host:port or https://host:port")
