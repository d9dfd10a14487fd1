//go:build !linux

package main

import (
	"errors"
	"testing"
)

// namespaces: there are network namespaces on Linux alone.
func namespaces(t *testing.T, test func(*testing.T)) {
	withProxies(t, errors.New("network namespaces are Linux's"))
	test(t)
}

func connect(t *testing.T, f *fleet) network { return newProxies(t, f) }
