//go:build unix && !linux

package main

import (
	"errors"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// host would be one of a network of this process's own.
type host struct{}

func (*host) before() []string          { return nil }
func (*host) cut(...etcdtest.Way) error { return nil }
func (*host) heal() error               { return nil }
