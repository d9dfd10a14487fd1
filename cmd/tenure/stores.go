package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/sqlitestore"
)

// openers opens a store by the scheme of its URL; rest is what follows "scheme:".
var openers = map[string]func(ctx context.Context, rest string) (store.Store, error){
	"sqlite": openSQLite,
	"etcd":   openEtcd(false),
	"etcds":  openEtcd(true),
	"mem":    refuseMemory,
}

// forms are the URLs that one may choose from.
const forms = "sqlite:PATH, etcd://HOST,.../PREFIX or etcds://HOST,.../PREFIX"

// open opens the store that the flags name.
func (c *common) open(ctx context.Context) (store.Store, string, error) {
	url, err := c.storeURL()
	if err != nil {
		return nil, "", err
	}
	st, err := openStore(ctx, url)
	return st, absolute(url), err
}

// absolute is a URL that means the same in any working directory: CMD may choose
// its own.
func absolute(url string) string {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		return "sqlite:" + absolutePath(rest)
	case "etcds":
		return "etcds:" + absoluteEtcd(rest)
	}
	return url
}

func absolutePath(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path // which could be opened, so that this does not happen
	}
	return abs
}

func openStore(ctx context.Context, url string) (store.Store, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	open := openers[scheme]
	if !ok || open == nil {
		return nil, fmt.Errorf("store %q: unknown scheme; want %s", redacted(url), forms)
	}
	st, err := open(ctx, rest)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", redacted(url), err)
	}
	return st, nil
}

// redacted is a URL without the password that it should not have.
func redacted(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	user, at, found := passwordIn(rest)
	if !found {
		return url
	}
	return scheme + "://" + user + ":xxxxx" + rest[at:]
}

// passwordIn finds a password in what follows the "//" of a URL, and where it ends. It may
// hold anything, also what would end the host.
func passwordIn(rest string) (user string, at int, found bool) {
	at = strings.LastIndexByte(rest, '@')
	user, _, found = strings.Cut(rest[:max(at, 0)], ":")
	return user, at, found
}

func openSQLite(ctx context.Context, path string) (store.Store, error) {
	if path = sqlitePath(path); path == "" {
		return nil, errors.New("no path; want sqlite:PATH")
	}
	st, err := sqlitestore.Open(ctx, path, sqlitestore.Options{})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// sqlitePath is the file that a URL names, by what follows "sqlite:".
func sqlitePath(rest string) string {
	if abs, ok := strings.CutPrefix(rest, "///"); ok {
		return "/" + abs // sqlite:///path, as other programs write it
	}
	return rest
}

func refuseMemory(context.Context, string) (store.Store, error) {
	return nil, errors.New("a memory store lives in one process, so no other member could ever see this one; use sqlite:PATH for members of one host, etcd://HOST,... for several")
}
