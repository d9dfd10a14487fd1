package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"
)

// listenHelp is what the commands with --listen say of it.
const listenHelp = `With --listen ADDR, HTTP tells on that address of the present state, and lets nobody
change it: /leader/NAME answers 200 on the leader and 503 elsewhere, for load
balancers (a slash in NAME is %2F); /healthz; /readyz; /metrics, for Prometheus; JSON
below /v1/. Everybody who reaches the address can learn who takes part, at which
endpoints, so one beyond this host wants --listen-anywhere. Port 0 is a free one.`

// listenFlags say where to answer HTTP, if anywhere.
type listenFlags struct {
	address  string
	anywhere bool
}

func (f *listenFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.address, "listen", "", "answer HTTP on this address, as 127.0.0.1:9100 (default: on none)")
	flags.BoolVar(&f.anywhere, "listen-anywhere", false, "let --listen be reached from other hosts, which see who takes part, and where")
}

// check refuses an address that cannot be listened on, or should not be.
func (f *listenFlags) check() error {
	if f.address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(f.address)
	if err != nil {
		return fmt.Errorf("--listen %q; want HOST:PORT, as 127.0.0.1:9100", f.address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("--listen %q has port %q; want one from 0 to 65535", f.address, port)
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return nil
	}
	return f.beyond(f.address)
}

// beyond refuses what others reach, unless they may.
func (f *listenFlags) beyond(address string) error {
	if f.anywhere {
		return nil
	}
	return fmt.Errorf("--listen %q can be reached from other hosts; listen on 127.0.0.1, or allow it with --listen-anywhere", address)
}

// listen takes the address. Without one there is no listener.
func (f *listenFlags) listen() (net.Listener, error) {
	if f.address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		return nil, fmt.Errorf("--listen %q: %w", f.address, err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() { // whatever the name has resolved to
		if err := f.beyond(at.String()); err != nil {
			_ = l.Close() // nobody has been let in
			return nil, err
		}
	}
	return l, nil
}
