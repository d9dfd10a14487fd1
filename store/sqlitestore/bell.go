package sqlitestore

import (
	"os"

	"github.com/fsnotify/fsnotify"
)

// The bell is a file beside the database, written to after every commit that
// made a revision, and watched by whoever has a watch. The write-ahead log
// would not do: it is written before the commit can be seen.

// ring wakes the watches of other processes. Should it fail, or this process
// die before, they find the change in their next round.
func (s *Store) ring() {
	f, err := os.OpenFile(s.bell, os.O_WRONLY, 0)
	if err != nil {
		if f, err = s.makeBell(); err != nil {
			return
		}
	}
	_, _ = f.WriteAt([]byte{'\n'}, 0)
	_ = f.Close()
}

// makeBell gives the bell the mode of the database, as SQLite does for its
// own files: whoever may write one may ring the other.
func (s *Store) makeBell() (*os.File, error) {
	f, err := os.OpenFile(s.bell, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm() != s.file.Mode().Perm() {
		_ = f.Chmod(s.file.Mode().Perm()) // not ours if it fails: its owner has seen to it
	}
	return f, nil
}

// ear hears the bell.
type ear struct {
	s  *Store
	fs *fsnotify.Watcher
	ok bool // otherwise nothing will be heard
}

func (s *Store) listen() *ear {
	e := &ear{s: s}
	e.fs, _ = s.newWatcher()
	e.attach()
	return e
}

// attach heals a bell that was removed or replaced. It is cheap when none was.
func (e *ear) attach() {
	if e.fs == nil {
		return
	}
	if _, err := os.Stat(e.s.bell); err != nil {
		if f, err := e.s.makeBell(); err == nil {
			_ = f.Close()
		}
	}
	e.ok = e.fs.Add(e.s.bell) == nil
}

func (e *ear) events() <-chan fsnotify.Event {
	if e.fs == nil {
		return nil
	}
	return e.fs.Events
}

// errors yields lost notifications, among others.
func (e *ear) errors() <-chan error {
	if e.fs == nil {
		return nil
	}
	return e.fs.Errors
}

func (e *ear) close() {
	if e.fs != nil {
		_ = e.fs.Close()
	}
}
