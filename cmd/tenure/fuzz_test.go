package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/internal/name"
)

// FuzzStoreURLs takes URLs apart as opening them would, and opens those that cannot be.
func FuzzStoreURLs(f *testing.F) {
	for _, url := range []string{
		"sqlite:tenure.db", "sqlite:///var/lib/tenure.db", "sqlite:", "mem:", "redis://x", "", ":", "etcd:",
		"etcd://a,b:2379/billing", "etcds://app@etcd-1,etcd-2/p%20q?cacert=ca.pem&cert=c.pem&key=/k.pem", "etcds://h?key=a&key=b",
		"etcd://h?x=1", "etcd://%zz@h/%", "etcd://@/", "etcds://h/?cacert=a;b", "etcd://u@h@i,[::1]:1/",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		abs := absolute(url)
		if again := absolute(abs); again != abs {
			t.Errorf("%q is %q absolutely, and that %q", url, abs, again)
		}
		if redacted(redacted(url)) != redacted(url) {
			t.Errorf("%q: redacted %q, and that %q", url, redacted(url), redacted(redacted(url)))
		}
		scheme, rest, _ := strings.Cut(url, ":")
		if openers[scheme] != nil && scheme != "mem" && scheme != "etcd" && scheme != "etcds" {
			return // a file, which any text names
		}
		u, err := parseEtcd(rest)
		if err != nil || scheme == "mem" || openers[scheme] == nil {
			if _, err := openStore(t.Context(), url); err == nil || !strings.HasPrefix(err.Error(), "store "+strconv.Quote(redacted(url))+": ") {
				t.Errorf("%q: %v", url, err)
			}
			return
		}
		if len(u.hosts) == 0 || strings.Contains(u.path, "?") || strings.ContainsAny(strings.Join(u.hosts, ","), "@/?") {
			t.Errorf("%q: hosts %q, path %q", url, u.hosts, u.path)
		}
		_, absRest, _ := strings.Cut(abs, ":")
		v, err := parseEtcd(absRest)
		if err != nil || v.user != u.user || !slices.Equal(v.hosts, u.hosts) || v.path != u.path || len(v.query) != len(u.query) {
			t.Errorf("%q is %+v; absolutely, %+v, %v", url, u, v, err)
		}
		if conf, err := (etcdURL{user: u.user, hosts: u.hosts, path: u.path}).config(false, "s3cret"); err == nil {
			if conf.Username != u.user || strings.Contains(conf.String(), "s3cret") && !strings.Contains(url, "s3cret") {
				t.Errorf("%q: %v", url, conf)
			}
		}
	})
}

// FuzzPasswords has a password stand in a URL, where it should not. No error shows it.
func FuzzPasswords(f *testing.F) {
	f.Add("etcd", "app", "s3cret", "etcd-1:2379/p")
	f.Add("etcds", "a@b", "p:a@s/s?w#d", "h?cacert=x")
	f.Add("redis", "", "://@", "")
	f.Add("mem", "\xff", "%zz%", "h")
	f.Fuzz(func(t *testing.T, scheme, user, password, host string) {
		if strings.ContainsAny(scheme, ":/") || scheme == "sqlite" || strings.Contains(user, ":") || strings.Contains(host, "@") {
			t.Skip("no password is there")
		}
		url := scheme + "://" + user + ":" + password + "@" + host
		if got, want := redacted(url), scheme+"://"+user+":xxxxx@"+host; got != want {
			t.Errorf("%q: redacted %q", url, got)
		}
		_, err := openStore(t.Context(), url)
		if err == nil {
			t.Fatalf("%q was opened", url)
		}
		shown := err.Error()
		if with := strings.ReplaceAll(shown, redactedIn(scheme, user, host), ""); len(password) >= 8 && strings.Contains(with, password) {
			t.Errorf("%q: %s", url, shown)
		}
	})
}

func redactedIn(scheme, user, host string) string {
	return strconv.Quote(scheme + "://" + user + ":xxxxx@" + host)
}

// FuzzNames holds what the command refuses against what the library does.
func FuzzNames(f *testing.F) {
	for _, text := range []string{"nightly", "", "a b", "\"quoted\"", "é\u200b", "\xff", "\x00", "-n", strings.Repeat("x", 1025), "\u2028"} {
		f.Add(text, "a")
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		if !strings.Contains(text, "\x00") { // no argument can have one
			for what, limit := range map[string]int{"name": cluster.MaxName, "key": cluster.MaxKey} {
				if here, there := checkText(what, text, 1, limit), name.Check(what, text, limit); (here == nil) != (there == nil) {
					t.Errorf("%q: the command says %v, the library %v", text, here, there)
				}
			}
			if here, there := checkName("name", text), name.Check("name", text, 1<<10); (here == nil) != (there == nil) {
				t.Errorf("%q: the command says %v, the library %v", text, here, there)
			}
		}
		shown := plain(text)
		if shown == "" || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", text, shown)
		}
		if (shown == plain(other)) != (text == other) {
			t.Errorf("%q and %q are shown as %q and %q", text, other, shown, plain(other))
		}
		if shown != text {
			if back, err := strconv.Unquote(shown); err != nil || back != text {
				t.Errorf("%q is shown as %s, which is %q, %v", text, shown, back, err)
			}
		}
		if typeable(text, "") && (shown != text || strings.ContainsAny(text, " \t\n$`\\\"'()<>|&;*?[]{}!#~")) {
			t.Errorf("%q is suggested to a shell", text)
		}
	})
}

// FuzzRunArguments takes the arguments of tenure run apart.
func FuzzRunArguments(f *testing.F) {
	for _, line := range []string{"n -- sh -c x", "-- -n -- sh", "--ttl 5s n -- a -- b", "n", "n --", "-- --", "n m -- a", "--id= n -- -x", "-q -- -- -- --"} {
		f.Add(line, "\x00")
	}
	f.Fuzz(func(t *testing.T, line, extra string) {
		args := append(strings.Split(line, " "), extra)
		var c common
		cmd := newRun(&c)
		if cmd.ParseFlags(args) != nil {
			return
		}
		election, argv, err := splitRunArgs(cmd, cmd.Flags().Args())
		if err != nil {
			if exit, ok := errors.AsType[*exitError](err); !ok || exit.code != exitRunFailed {
				t.Errorf("%q: %v", args, err)
			}
			return
		}
		if len(argv) == 0 || argv[0] == "" || len(args) < len(argv)+2 || !slices.Equal(args[len(args)-len(argv):], argv) || args[len(args)-len(argv)-1] != "--" {
			t.Errorf("%q: runs %q", args, argv)
		}
		if !slices.Contains(args[:len(args)-len(argv)], election) {
			t.Errorf("%q: election %q", args, election)
		}
	})
}

// FuzzStateFolder finds the folder of the default store in an environment.
func FuzzStateFolder(f *testing.F) {
	f.Add("/state", "/home/u")
	f.Add("relative", "/home/u")
	f.Add("", "")
	f.Add("\x00", "//")
	f.Fuzz(func(t *testing.T, base, home string) {
		dir := stateDir(base, home)
		switch {
		case filepath.IsAbs(base):
			if dir != base+"/tenure" {
				t.Errorf("%q, %q: %q", base, home, dir)
			}
		case (dir == "") != (home == "") || dir != "" && !strings.HasPrefix(dir, home):
			t.Errorf("%q, %q: %q", base, home, dir)
		}
	})
}
