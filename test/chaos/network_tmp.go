//go:build unix

package main

type network struct {
	workers []*host
	address string
}

func newNetwork(int, int) (*network, error)       { return nil, nil }
func (n *network) isolate(i int, s, r bool) error { return nil }
func (n *network) rejoin() error                  { return nil }
