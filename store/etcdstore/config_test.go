package etcdstore

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenure-go/tenure/store"
)

func TestBadConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	good := []string{"127.0.0.1:1"}
	for name, tt := range map[string]struct {
		conf Config
		says string
	}{
		"no endpoints":         {Config{}, "no endpoints; give"},
		"empty endpoint":       {Config{Endpoints: []string{"127.0.0.1:1", ""}}, "endpoint 2 of 2: not an endpoint"},
		"a path":               {Config{Endpoints: []string{"http://127.0.0.1:1/x"}}, "want host:port"},
		"another scheme":       {Config{Endpoints: []string{"ftp://127.0.0.1:1"}}, `its scheme is "ftp"; want http or https`},
		"a user in the URL":    {Config{Endpoints: []string{"http://root:" + secret + "@127.0.0.1:1"}}, "Config.Username"},
		"no URL":               {Config{Endpoints: []string{"http://root:" + secret + "@127.0.0.1:1\x7f"}}, "endpoint 1 of 1"},
		"a bad port":           {Config{Endpoints: []string{"127.0.0.1:" + secret}}, "endpoint 1 of 1: not an endpoint"},
		"two schemes":          {Config{Endpoints: []string{"http://a:1", "https://b:1"}}, "both http and https"},
		"TLS and http":         {Config{Endpoints: []string{"http://a:1"}, TLS: &tls.Config{}}, "give https"},
		"NUL in the prefix":    {Config{Endpoints: good, Prefix: "a\x00b"}, "NUL byte"},
		"a long prefix":        {Config{Endpoints: good, Prefix: strings.Repeat("p", MaxPrefix)}, "1025 bytes, with the slash at its end; the limit is 1024"},
		"a password alone":     {Config{Endpoints: good, Password: secret}, "only one of user name and password"},
		"a user name alone":    {Config{Endpoints: good, Username: "root"}, "only one of user name and password"},
		"negative DialTimeout": {Config{Endpoints: good, DialTimeout: -1}, "cannot be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(t.Context(), tt.conf)
			if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestEndpointsAreCompleted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		secure   bool
		in, want string
	}{
		{false, "a", "http://a:2379"},
		{false, "a:1", "http://a:1"},
		{true, "a:1", "https://a:1"},
		{false, "https://a", "https://a:2379"},
		{false, "http://a:1/", "http://a:1"},
		{true, "[::1]", "https://[::1]:2379"},
	} {
		got, err := checkEndpoints([]string{c.in}, c.secure)
		if err != nil || !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestConfigurationsKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	conf := Config{Endpoints: []string{"a:1"}, Username: "root", Password: password}
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprint(conf), fmt.Sprintf("%+v", conf), fmt.Sprintf("%#v", &conf), string(text)} {
		if strings.Contains(got, password) || !strings.Contains(got, "a:1") {
			t.Errorf("got %s", got)
		}
	}
}

func TestOpenOfAnEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{Endpoints: []string{"127.0.0.1:1"}}); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open: %v", err)
	}
	if _, err := New(ctx, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("New: %v", err)
	}
}
