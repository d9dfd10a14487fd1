package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// enteredEnv tells a process that it is in namespaces of its own.
const enteredEnv = "TENURE_CHAOS_ENTERED"

// network is one of hosts that hang on a bridge: network namespaces, whose packets nft
// drops. The bridge, and this process at it, are in a namespace too, which was made for
// this process; and the names of the others are in a file system that only it sees. So
// nothing of the network is left when the process ends, however that happens.
type network struct {
	address          string // of this process
	servers, workers []*host
}

// host is one network namespace.
type host struct{ name, address string }

// enter runs this program anew, in namespaces of its own, and returns its exit code.
func enter() (int, error) {
	if os.Getuid() != 0 {
		return 0, errors.New("only root can make network namespaces")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, err
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), enteredEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // it has them, too, from a terminal and from timeout(1)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var failed *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &failed) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// entered reports whether this process is in namespaces of its own.
func entered() bool { return os.Getenv(enteredEnv) != "" }

// newNetwork makes the hosts, and tries what nft does to them. It works once, in a
// process that has entered.
func newNetwork(servers, workers int) (*network, error) {
	if err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("chaos", "/run", "tmpfs", 0, ""),
		command("ip link set lo up"),
		command("ip link add chaos type bridge"),
		command("ip link set chaos up"),
		command("ip addr add 10.99.0.254/24 dev chaos"),
	); err != nil {
		return nil, err
	}
	n := &network{address: "10.99.0.254"}
	for i := range servers {
		h, err := newHost(fmt.Sprintf("e%d", i+1), fmt.Sprintf("10.99.0.%d", 1+i))
		if err != nil {
			return nil, err
		}
		n.servers = append(n.servers, h)
	}
	for i := range workers {
		h, err := newHost(fmt.Sprintf("w%d", i+1), fmt.Sprintf("10.99.0.%d", 101+i))
		if err != nil {
			return nil, err
		}
		n.workers = append(n.workers, h)
	}
	return n, errors.Join(n.isolate(0, true, true), n.rejoin())
}

func newHost(name, address string) (*host, error) {
	h := &host{name, address}
	return h, errors.Join(
		command("ip netns add "+name),
		command("ip link add to-"+name+" type veth peer name eth0 netns "+name),
		command("ip link set to-"+name+" master chaos up"),
		command("ip -n "+name+" link set lo up"),
		command("ip -n "+name+" addr add "+address+"/24 dev eth0"),
		command("ip -n "+name+" link set eth0 up"),
	)
}

func command(line string) error { return feed("", strings.Fields(line)...) }

// feed runs a command with a text as its standard input.
func feed(text string, line ...string) error {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// before is what runs the command that follows on the host.
func (h *host) before() []string { return []string{"ip", "netns", "exec", h.name} }

// drop loses packets of the host: those to some addresses, and those from some. "all"
// are those of all other hosts.
func (h *host) drop(to, from string) error {
	rule := func(field, addresses string) string {
		switch addresses {
		case "":
			return ""
		case "all":
			return "drop;"
		}
		return "ip " + field + " {" + addresses + "} drop;"
	}
	return feed(fmt.Sprintf(`
		table inet chaos {
			chain out { type filter hook output priority 0; oif lo accept; %s }
			chain in { type filter hook input priority 0; iif lo accept; %s }
		}`, rule("daddr", to), rule("saddr", from)),
		append(h.before(), "nft", "-f", "-")...)
}

// cut loses what the host sends, or what is sent to it, or both.
func (h *host) cut(ways ...etcdtest.Way) error {
	to, from := "", ""
	if len(ways) == 0 || slices.Contains(ways, etcdtest.Requests) {
		to = "all"
	}
	if len(ways) == 0 || slices.Contains(ways, etcdtest.Replies) {
		from = "all"
	}
	return h.drop(to, from)
}

func (h *host) heal() error { return feed("flush ruleset", append(h.before(), "nft", "-f", "-")...) }

// isolate loses what a server sends to the others, or is sent by them, or both.
func (n *network) isolate(server int, sent, received bool) error {
	var others []string
	for i, h := range n.servers {
		if i != server {
			others = append(others, h.address)
		}
	}
	to, from := "", ""
	if sent {
		to = strings.Join(others, ", ")
	}
	if received {
		from = strings.Join(others, ", ")
	}
	return n.servers[server].drop(to, from)
}

func (n *network) rejoin() error {
	var errs []error
	for _, h := range n.servers {
		errs = append(errs, h.heal())
	}
	return errors.Join(errs...)
}

// hosts are those of the servers.
func (n *network) hosts() (all []etcdtest.Host) {
	for _, h := range n.servers {
		all = append(all, etcdtest.Host{Address: h.address, Command: h.before()})
	}
	return all
}
