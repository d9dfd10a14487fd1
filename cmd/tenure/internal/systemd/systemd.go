// Package systemd tells a service manager what becomes of this process, as sd_notify(3)
// has it. Without a manager it does nothing.
package systemd

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// variables are the manager's word to this process alone. A child that had them would
// speak for it.
var variables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// Private reports whether a variable of the environment must not be passed on.
func Private(name string) bool { return slices.Contains(variables, name) }

// CloseTimeout is how long Close waits for a manager that does not read.
const CloseTimeout = time.Second

// Notifier tells the manager. Its methods do not wait: a manager that does not read must
// not hold up a leadership, and the library's send has no time-out. So one goroutine
// sends, and what is newer replaces what has not been sent.
type Notifier struct {
	trouble func(error)
	wake    chan struct{} // holds one
	quit    chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	pending []string // assignments, at most one of each variable
}

// Start begins to tell. The first error is told to trouble; Close ends it.
func Start(trouble func(error)) *Notifier {
	n := &Notifier{trouble: trouble, wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	go n.run()
	return n
}

// Ready says that the service is up.
func (n *Notifier) Ready() { n.tell(daemon.SdNotifyReady) }

// Alive says that the service works, to a manager that watches it.
func (n *Notifier) Alive() { n.tell(daemon.SdNotifyWatchdog) }

// Stopping says that the service is about to end.
func (n *Notifier) Stopping() { n.tell(daemon.SdNotifyStopping) }

// Status says in words what the service does.
func (n *Notifier) Status(text string) { n.tell("STATUS=" + strings.ReplaceAll(text, "\n", " ")) }

// Close says that the service is about to end, and waits until that has been sent.
func (n *Notifier) Close() {
	n.Stopping()
	close(n.quit)
	select {
	case <-n.ended:
	case <-time.After(CloseTimeout): // it ends with the process, which is about to
	}
}

func (n *Notifier) tell(assignment string) {
	name, _, _ := strings.Cut(assignment, "=")
	n.mu.Lock()
	n.pending = slices.DeleteFunc(n.pending, func(old string) bool { return strings.HasPrefix(old, name+"=") })
	n.pending = append(n.pending, assignment)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default: // one is enough
	}
}

func (n *Notifier) run() {
	defer close(n.ended)
	for {
		select {
		case <-n.wake:
			n.send()
		case <-n.quit:
			n.send()
			return
		}
	}
}

func (n *Notifier) send() {
	n.mu.Lock()
	state := strings.Join(n.pending, "\n")
	n.pending = nil
	n.mu.Unlock()
	if state == "" {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil && n.trouble != nil {
		n.trouble(fmt.Errorf("tell the service manager: %w", err))
		n.trouble = nil
	}
}

// Watchdog is the time after which the manager takes a process that has not been Alive
// for dead; 0: it does not look.
func Watchdog() (time.Duration, error) { return daemon.SdWatchdogEnabled(false) }
