package etcdstore

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func FuzzConfig(f *testing.F) {
	f.Add("10.0.0.1,etcd-2:2379", "app/", "", "", false)
	f.Add("https://[::1]:2379/", "", "root", "s3cret", true)
	f.Add("http://user:hunter2@host", "p\x00", "u", "", false)
	f.Add("https://a,http://b", strings.Repeat("p", MaxPrefix), "", "only", true)
	f.Add("host:port,%zz,[::1,:0,://,http://?q#f", "/", "u", "hunter2", false)
	f.Fuzz(func(t *testing.T, endpoints, prefix, user, password string, secure bool) {
		conf := Config{Endpoints: strings.Split(endpoints, ","), Prefix: prefix, Username: user, Password: password}
		if secure {
			conf.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		got, err := conf.complete()
		others := endpoints + prefix + user
		if len(password) >= 8 && !strings.Contains(fmt.Sprintf("%[1]s %[1]q", others), password) { // shorter ones occur in any text
			for _, text := range []string{fmt.Sprintf("%v %+v %#v", conf, conf, got), fmt.Sprint(err)} {
				if strings.Contains(text, password) && !strings.Contains(fmt.Sprint(errEndpoint, DefaultPrefix), password) {
					t.Errorf("the password %q is in %q", password, text)
				}
			}
		}
		if err != nil {
			return
		}
		for _, endpoint := range got.Endpoints {
			u, err := url.Parse(endpoint)
			if err != nil || u.Hostname() == "" || u.Port() == "" || u.User != nil || (u.Scheme == "https") != (secure || strings.Contains(endpoints, "https://")) {
				t.Errorf("%q has become %q, %v", endpoints, endpoint, err)
			}
		}
		if !strings.HasSuffix(got.Prefix, "/") || len(got.Prefix) > MaxPrefix {
			t.Errorf("prefix %q has become %q", prefix, got.Prefix)
		}
		if again, err := got.complete(); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%+v has become %+v, %v", got.Endpoints, again.Endpoints, err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	for _, text := range []string{"3.5.13", "3.6.0-rc.1", "3.7.0+git", "3.5", "a.b.c", "-1.0.0", "3.5.13.1", "99999999999999999999.0.0", " 3.5.13", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, ok := parseVersion(text)
		if !ok {
			return
		}
		again, ok := parseVersion(fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]))
		if !ok || again != v || slices.Min(v[:]) < 0 {
			t.Errorf("%q is %v, and that %v, %v", text, v, again, ok)
		}
	})
}
