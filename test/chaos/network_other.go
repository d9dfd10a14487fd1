//go:build unix && !linux

package main

import (
	"errors"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// There are network namespaces on Linux alone.
type (
	network struct {
		address string
		workers []*host
	}
	host struct{}
)

var errNoNamespaces = errors.New("network namespaces are Linux's")

func enter() (int, error) { return 0, errNoNamespaces }

func entered() bool { return false }

func newNetwork(int, int) (*network, error) { return nil, errNoNamespaces }

func (*network) isolate(int, bool, bool) error { return errNoNamespaces }

func (*network) rejoin() error { return errNoNamespaces }

func (*network) hosts() []etcdtest.Host { return nil }

func (*host) before() []string { return nil }

func (*host) cut(...etcdtest.Way) error { return errNoNamespaces }

func (*host) heal() error { return errNoNamespaces }
