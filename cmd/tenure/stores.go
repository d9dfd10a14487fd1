package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/store/sqlitestore"
)

// openers opens a store by the scheme of its URL; rest is what follows "scheme:".
var openers = map[string]func(ctx context.Context, rest string) (store.Store, error){
	"sqlite": openSQLite,
	"mem":    refuseMemory,
}

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
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || strings.HasPrefix(path, "/") {
		return url
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return url // which could be opened, so that this does not happen
	}
	return "sqlite:" + abs
}

func openStore(ctx context.Context, url string) (store.Store, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	open := openers[scheme]
	if !ok || open == nil {
		return nil, fmt.Errorf("store %q: unknown scheme; want %s", url, schemes())
	}
	st, err := open(ctx, rest)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", url, err)
	}
	return st, nil
}

func schemes() string {
	var names []string
	for name := range openers {
		if name != "mem" {
			names = append(names, name+":...")
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func openSQLite(ctx context.Context, path string) (store.Store, error) {
	if abs, ok := strings.CutPrefix(path, "///"); ok {
		path = "/" + abs // sqlite:///path, as other programs write it
	}
	if path == "" {
		return nil, errors.New("no path; want sqlite:PATH")
	}
	st, err := sqlitestore.Open(ctx, path, sqlitestore.Options{})
	if err != nil {
		return nil, err
	}
	return st, nil
}

func refuseMemory(context.Context, string) (store.Store, error) {
	return nil, errors.New("a memory store lives in one process, so no other member could ever see this one; use sqlite:PATH for members of one host")
}
