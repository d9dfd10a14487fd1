package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
)

// enteredEnv tells a process of this test that it is in namespaces of its own.
const enteredEnv = "TENURE_RAFTKV_ENTERED"

// namespaces runs a test in a process that has a network of its own, of which nothing
// remains when it ends. Where that cannot be, the test has proxies.
func namespaces(t *testing.T, test func(*testing.T)) {
	if os.Getenv(enteredEnv) != "" {
		test(t)
		return
	}
	if err := mayEnter(); err != nil {
		withProxies(t, err)
		test(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v",
		"-test.timeout=0", fmt.Sprint("-rounds=", *rounds)) // its contexts are bounded
	cmd.Env = append(os.Environ(), enteredEnv+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	t.Logf("in network namespaces:\n%s", out.String())
	if err != nil {
		t.Error(err)
	}
}

func mayEnter() error {
	if os.Getuid() != 0 {
		return errors.New("only root can make network namespaces")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	return nil
}

// hosts are network namespaces that hang on a bridge, one for each server; nft drops their packets.
type hosts map[raft.ServerID]string // their addresses

// connect gives each server a host, with the addresses that it has there.
func connect(t *testing.T, f *fleet) network {
	if os.Getenv(enteredEnv) == "" {
		return newProxies(t, f)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("raftkv", "/run", "tmpfs", 0, ""))
	must(ip("link set lo up"))
	must(ip("link add raftkv type bridge"))
	must(ip("link set raftkv up"))
	must(ip("addr add 10.97.0.254/24 dev raftkv"))
	h := hosts{}
	for id := range f.peers {
		name, address := string(id), fmt.Sprintf("10.97.0.%d", len(h)+1)
		must(ip("netns add " + name))
		must(ip("link add to-" + name + " type veth peer name eth0 netns " + name))
		must(ip("link set to-" + name + " master raftkv up"))
		must(ip("-n " + name + " link set lo up"))
		must(ip("-n " + name + " addr add " + address + "/24 dev eth0"))
		must(ip("-n " + name + " link set eth0 up"))
		h[id] = address
		f.peers[id] = peer{raft.ServerAddress(address + ":7000"), address + ":8000"}
	}
	start := f.command
	f.command = func(id raft.ServerID, args ...string) *exec.Cmd {
		cmd := start(id, args...)
		return h.within(id, cmd)
	}
	return h
}

// within runs a command on a host. The process is the command's: ip becomes it.
func (h hosts) within(id raft.ServerID, cmd *exec.Cmd) *exec.Cmd {
	there := exec.Command("ip", append([]string{"netns", "exec", string(id)}, cmd.Args...)...)
	there.Env, there.SysProcAttr = cmd.Env, cmd.SysProcAttr
	return there
}

func (h hosts) cut(id raft.ServerID, sent, received bool) error {
	var others []string
	for other, address := range h {
		if other != id {
			others = append(others, address)
		}
	}
	rule := func(lost bool, field string) string {
		if !lost {
			return ""
		}
		return "ip " + field + " {" + strings.Join(others, ", ") + "} drop;"
	}
	return feed(fmt.Sprintf(`
		table inet raftkv {
			chain out { type filter hook output priority 0; %s }
			chain in { type filter hook input priority 0; %s }
		}`, rule(sent, "daddr"), rule(received, "saddr")),
		"ip", "netns", "exec", string(id), "nft", "-f", "-")
}

func (h hosts) heal() error {
	var errs []error
	for id := range h {
		errs = append(errs, feed("flush ruleset", "ip", "netns", "exec", string(id), "nft", "-f", "-"))
	}
	return errors.Join(errs...)
}

func ip(line string) error { return feed("", append([]string{"ip"}, strings.Fields(line)...)...) }

// feed runs a command with a text as its standard input.
func feed(text string, line ...string) error {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}
