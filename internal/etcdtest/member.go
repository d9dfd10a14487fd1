package etcdtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Member is one etcd process. Its methods may be called from many goroutines.
type Member struct {
	Name     string
	Endpoint string // URL that clients use
	metrics  string // URL of health and metrics, never with TLS

	peer       string // URL that it listens on for its peers
	advertised string // URL that they use
	peers      *Proxy // between the two, nil without Options.Partitions
	id         string // among its peers

	command []string
	log     string
	clock   string // a file; see SetClock
	stall   string // a file; see StallDisk

	mu  sync.Mutex
	run *run // nil while it is not running
}

// run is one life of the process.
type run struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts the process unless it runs. It does not wait until it serves; see
// Cluster.Await.
func (m *Member) Start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != nil {
		return nil
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r := &run{cmd: exec.Command(m.command[0], m.command[1:]...), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = log, log
	r.cmd.Env = append(os.Environ(), "TENURE_SKEW="+m.clock, "TENURE_STALL="+m.stall)
	r.cmd.SysProcAttr = attr()
	if err := r.cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	go func() {
		defer close(r.ended)
		_ = r.cmd.Wait() // however it ends, the log says why
		_ = log.Close()
	}()
	m.run = r
	return nil
}

// Kill ends the process at once, also one that is stopped, and waits for it.
func (m *Member) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return
	}
	_ = m.run.cmd.Process.Kill() // or it has ended by itself
	<-m.run.ended
	m.run = nil
}

// Stop freezes the process: its connections stay open and nothing answers. It
// returns when the last of its threads has stopped.
func (m *Member) Stop() error {
	if err := m.signal(sigStop); err != nil {
		return err
	}
	return poll(context.Background(), func() (bool, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.run == nil || stopped(m.run.cmd.Process.Pid), nil
	})
}

// Cont lets a frozen process go on.
func (m *Member) Cont() error { return m.signal(sigCont) }

func (m *Member) signal(sig os.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return fmt.Errorf("etcd %s is not running", m.Name)
	}
	return m.run.cmd.Process.Signal(sig)
}

// died reports whether the process has ended by itself.
func (m *Member) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return false
	}
	select {
	case <-m.run.ended:
		return true
	default:
		return false
	}
}

// SetClock sets the member's wall clock to so much more than this host's, in whole
// seconds, and returns when it shows. Its cluster must have been started with
// SettableClocks.
func (m *Member) SetClock(ctx context.Context, ahead time.Duration) error {
	next := m.clock + ".next"
	if err := os.WriteFile(next, strconv.AppendInt(nil, int64(ahead/time.Second), 10), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, m.clock); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		const slack = 10 * time.Second // whole seconds, and the way here
		return m.now(ctx).Sub(time.Now().Add(ahead)).Abs() < slack, nil
	})
}

// StallDisk makes the member's disk hang: whatever it writes does not get there. Its
// cluster must have been started with StallableDisks.
func (m *Member) StallDisk() error { return os.WriteFile(m.stall, nil, 0o600) }

// UnstallDisk lets the disk go on.
func (m *Member) UnstallDisk() error { return os.Remove(m.stall) }

// ID is the member's among its peers.
func (m *Member) ID() (uint64, error) { return strconv.ParseUint(m.id, 16, 64) }

// now is what the member's clock shows; zero if it does not say.
func (m *Member) now(ctx context.Context) time.Time {
	header, _, err := m.get(ctx, "/health")
	if err != nil {
		return time.Time{}
	}
	now, _ := http.ParseTime(header.Get("Date")) // zero with an error
	return now
}

// get reads a page of the member's metrics server.
func (m *Member) get(ctx context.Context, path string) (http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // it may be stopped
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.metrics+path, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	res, err := noReuse.Do(req)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(res.Body)
	return res.Header, body, errors.Join(err, res.Body.Close())
}

// noReuse keeps no connection, and so no goroutine, when a page has been read.
var noReuse = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (m *Member) healthy(ctx context.Context) bool {
	_, body, err := m.get(ctx, "/health")
	return err == nil && bytes.Contains(body, []byte(`"health":"true"`))
}

// leads reports whether the member says that it is etcd's leader.
func (m *Member) leads(ctx context.Context) bool { return m.metric(ctx, "etcd_server_is_leader") == 1 }

// Watchers is how many watches the member serves.
func (m *Member) Watchers(ctx context.Context) int {
	return int(m.metric(ctx, "etcd_debugging_mvcc_watcher_total"))
}

// metric returns one of the member's metrics, 0 if it does not tell.
func (m *Member) metric(ctx context.Context, name string) float64 {
	_, body, err := m.get(ctx, "/metrics")
	for in := bufio.NewScanner(bytes.NewReader(body)); err == nil && in.Scan(); {
		if text, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			value, _ := strconv.ParseFloat(text, 64)
			return value
		}
	}
	return 0
}

// tail returns the end of the member's log.
func (m *Member) tail() string {
	b, _ := os.ReadFile(m.log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return filepath.Base(m.log) + ": " + strings.Join(lines[max(0, len(lines)-5):], "\n")
}
