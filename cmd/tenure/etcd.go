package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/etcdstore"
)

func openEtcd(secure bool) func(context.Context, string) (store.Store, error) {
	return func(ctx context.Context, rest string) (store.Store, error) {
		u, err := parseEtcd(rest)
		if err != nil {
			return nil, err
		}
		conf, err := u.config(secure, os.Getenv(passwordEnv))
		if err != nil {
			return nil, err
		}
		st, err := etcdstore.Open(ctx, conf)
		if err != nil {
			return nil, err
		}
		return st, nil
	}
}

// etcdURL is a URL taken apart: net/url knows no list of hosts.
type etcdURL struct {
	user  string
	hosts []string
	path  string // with the "/" before it, as it was
	query url.Values
}

var etcdParameters = []string{"cacert", "cert", "key"}

func parseEtcd(rest string) (u etcdURL, err error) {
	authority, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return u, errors.New("want etcd://HOST,.../PREFIX")
	}
	if _, _, found := passwordIn(authority); found { // before it is taken for a host, and shown
		return u, fmt.Errorf("has a password, which others could read; leave it out and set %s (a \"@\" of anything else is %%40)", passwordEnv)
	}
	authority, query, _ := strings.Cut(authority, "?")
	if slash := strings.IndexByte(authority, '/'); slash >= 0 {
		authority, u.path = authority[:slash], authority[slash:]
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if u.user, err = url.PathUnescape(authority[:at]); err != nil {
			return u, fmt.Errorf("the user name: %w", err)
		}
		authority = authority[at+1:]
	}
	if u.query, err = url.ParseQuery(query); err != nil {
		return u, fmt.Errorf("the parameters: %w", err)
	}
	for name, values := range u.query {
		switch {
		case !slices.Contains(etcdParameters, name):
			return u, fmt.Errorf("unknown parameter %q; want %s", name, strings.Join(etcdParameters, ", "))
		case len(values) > 1 || values[0] == "":
			return u, fmt.Errorf("parameter %q wants the name of one file", name)
		}
	}
	if authority == "" {
		return u, errors.New("no host; want etcd://HOST,.../PREFIX")
	}
	u.hosts = strings.Split(authority, ",")
	return u, nil
}

func (u etcdURL) config(secure bool, password string) (conf etcdstore.Config, err error) {
	conf.Endpoints = u.hosts
	if conf.Prefix, err = url.PathUnescape(strings.TrimPrefix(u.path, "/")); err != nil {
		return conf, fmt.Errorf("the prefix: %w", err)
	}
	if conf.Username = u.user; u.user != "" {
		if conf.Password = password; password == "" {
			return conf, fmt.Errorf("no password of user %q; set %s", u.user, passwordEnv)
		}
	}
	switch {
	case secure:
		conf.TLS, err = u.tls()
	case len(u.query) > 0:
		err = errors.New("certificates have no meaning without TLS; want etcds://")
	}
	return conf, err
}

// tls reads the files that the URL names.
func (u etcdURL) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := u.query.Get("cacert"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cacert: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("cacert: no certificate in %s; want PEM", file)
		}
	}
	cert, key := u.query.Get("cert"), u.query.Get("key")
	if (cert == "") != (key == "") {
		return nil, fmt.Errorf("only one of cert and key; give both, or none (%s)", cmp.Or(cert, key))
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// absoluteEtcd names the files of a URL so that any process finds them.
func absoluteEtcd(rest string) string {
	u, err := parseEtcd(rest)
	if err != nil || len(u.query) == 0 {
		return rest
	}
	for name, values := range u.query {
		u.query.Set(name, absolutePath(values[0]))
	}
	before, _, _ := strings.Cut(rest, "?")
	return before + "?" + u.query.Encode()
}
