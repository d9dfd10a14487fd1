package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A leader does its work while the store is away for less than what its TTL allows, and
// ends it in time when that is longer. Neither ends the run, and neither is a busy loop.
func TestStoreAwayForTenSeconds(t *testing.T) {
	t.Parallel()
	const away = 10 * time.Second
	stores := map[string]func(t *testing.T) (w *world, cut, heal func()){
		"etcd": func(t *testing.T) (*world, func(), func()) {
			w, proxy := newWorldBehindProxy(t)
			return w.world, func() { proxy.Cut() }, proxy.Heal
		},
		"sqlite": func(t *testing.T) (*world, func(), func()) {
			w := newWorld(t)
			lock := &writeLock{t: t, path: w.path("tenure.db-shm")}
			return w, lock.take, lock.release
		},
	}
	for name, open := range stores {
		for _, c := range []struct {
			ttl   time.Duration
			lasts bool
		}{{30 * time.Second, true}, {3 * time.Second, false}} {
			t.Run(fmt.Sprintf("%s with a TTL of %v", name, c.ttl), func(t *testing.T) {
				t.Parallel()
				w, cut, heal := open(t)
				p := w.lead("a", "n", "--ttl", c.ttl.String(), "--", "sh", "-c",
					`echo works; while :; do date +%s.%N >>beats; sleep 0.1; done`)
				p.stdout.await(p, "works")
				cut()
				began := time.Now()
				if !c.lasts {
					p.stderr.await(p, "command killed; waiting to lead again")
					if took := time.Since(began); took > c.ttl+patience/4 {
						t.Errorf("its command was killed after %v", took)
					}
				}
				time.Sleep(time.Until(began.Add(away))) // the store's absence is the point
				beats := strings.Count(w.read("beats"), "\n")
				heal()
				if c.lasts {
					eventually(t, "more work", func() bool { return strings.Count(w.read("beats"), "\n") > beats })
					if lost := count(p, "lost:"); lost > 0 {
						t.Errorf("it has lost its term:\n%s", p.stderr.String())
					}
				} else {
					p.stdout.awaitTimes(p, "works", 2)
				}
				p.signal(syscall.SIGTERM)
				p.expect(128 + 15)
				w.expectEmpty()
				if lines := count(p, "\n"); lines > 30 {
					t.Errorf("%d lines in %v:\n%s", lines, away, p.stderr.String())
				}
				if cpu := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(); cpu > away/2 {
					t.Errorf("it has used %v of processor time in %v", cpu, away)
				}
			})
		}
	}
}

// writeLock keeps everybody from writing to a database of SQLite, as a process would that
// hangs in a transaction. It takes the lock of the open file, because that of the process
// ended when the test closed the file anywhere else.
type writeLock struct {
	t    *testing.T
	path string // of its shared memory
	file *os.File
}

const walWriteLock = 120 // the byte in that file, see SQLite's wal.c

func (l *writeLock) take() {
	l.t.Helper()
	file, err := os.OpenFile(l.path, os.O_RDWR, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	l.file = file
	l.t.Cleanup(l.release)
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: walWriteLock, Len: 1}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLKW, &lock); err != nil {
		l.t.Fatal(err)
	}
}

func (l *writeLock) release() { _ = l.file.Close() } // which ends the lock
