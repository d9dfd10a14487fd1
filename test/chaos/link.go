//go:build unix

package main

import (
	"errors"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// link is the way of one worker to etcd: through a proxy of its own before each server,
// and from a host of its own where there are such.
type link struct {
	proxies []*etcdtest.Proxy // as the cluster's members
	host    *host             // nil: this one
}

func newLink(c *etcdtest.Cluster, h *host, address string) (*link, error) {
	l := &link{host: h}
	for _, m := range c.Members {
		p, err := etcdtest.NewProxyAt(address, m.Endpoint)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.proxies = append(l.proxies, p)
	}
	return l, nil
}

func (l *link) endpoints() (all []string) {
	for _, p := range l.proxies {
		all = append(all, p.Endpoint)
	}
	return all
}

// cut loses what goes the given ways.
func (l *link) cut(ways ...etcdtest.Way) error {
	if l.host != nil {
		return l.host.cut(ways...)
	}
	for _, p := range l.proxies {
		p.Cut(ways...)
	}
	return nil
}

func (l *link) heal() error {
	for _, p := range l.proxies {
		p.Heal()
		p.Delay(0)
	}
	if l.host != nil {
		return l.host.heal()
	}
	return nil
}

func (l *link) delay(d time.Duration) {
	for _, p := range l.proxies {
		p.Delay(d)
	}
}

// sever ends all connections.
func (l *link) sever() {
	for _, p := range l.proxies {
		p.Break()
	}
}

func (l *link) close() error {
	var errs []error
	for _, p := range l.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
