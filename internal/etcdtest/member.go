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
	peer     string
	binary   string
	args     []string
	log      string

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
	r := &run{cmd: exec.Command(m.binary, m.args...), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = log, log
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

// get reads a page of the member's metrics server.
func (m *Member) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // it may be stopped
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.metrics+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := noReuse.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	return body, errors.Join(err, res.Body.Close())
}

// noReuse keeps no connection, and so no goroutine, when a page has been read.
var noReuse = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (m *Member) healthy(ctx context.Context) bool {
	body, err := m.get(ctx, "/health")
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
	body, err := m.get(ctx, "/metrics")
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
