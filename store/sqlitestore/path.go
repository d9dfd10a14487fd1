package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tenure-go/tenure/store"
)

// creating keeps two Opens of one process apart while a new file is made:
// closing any descriptor of a file drops the locks that this process holds on
// it, those of SQLite included. For the same reason nothing in this package
// ever opens the database file by itself once it exists.
var creating sync.Mutex

// locate returns the absolute path, free of symbolic links, of an existing
// file, which it makes if need be.
func locate(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%w: sqlite: the path of the file is empty; name one, such as /var/lib/app/tenure.db", store.ErrInvalid)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: sqlite file %s: %w", store.ErrInvalid, path, err)
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: sqlite file %s: its folder does not exist; make it first: %w", store.ErrInvalid, abs, err)
	}
	if err == nil {
		_, err = os.Stat(folder + string(filepath.Separator)) // fails when it is no folder
	}
	if err != nil {
		return "", fmt.Errorf("%w: sqlite file %s: its folder cannot be used; name another: %w", store.ErrInvalid, abs, err)
	}
	abs = filepath.Join(folder, filepath.Base(abs))
	if err := create(abs); err != nil {
		return "", err
	}
	return settle(abs)
}

// create makes the file unless something has its name already.
func create(path string) error {
	creating.Lock()
	defer creating.Unlock()
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist): // another process was first
		return nil
	case err != nil:
		return fmt.Errorf("%w: sqlite file %s: cannot be made; let this user write the folder, or choose another path: %w",
			store.ErrUnavailable, path, err)
	}
	return f.Close()
}

// settle follows a symbolic link and says whether a file is what it leads to.
func settle(path string) (string, error) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("%w: sqlite file %s: leads nowhere; correct or remove the link: %w", store.ErrInvalid, path, err)
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: sqlite file %s: %w", store.ErrUnavailable, path, err)
	case info.IsDir():
		return "", fmt.Errorf("%w: sqlite file %s: is a folder; name a file inside it", store.ErrInvalid, path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: sqlite file %s: is no regular file (%s); choose another path", store.ErrInvalid, path, info.Mode().Type())
	}
	return file, nil
}

// inPlace fails once the path no longer leads to the file that was opened.
// SQLite would go on with the file that was removed, next to others who use
// its successor: two stores, and two leaders.
func (s *Store) inPlace() error {
	info, err := os.Stat(s.path)
	if err == nil && os.SameFile(info, s.file) {
		return nil
	}
	if err == nil {
		err = errors.New("another file is in its place")
	}
	return fmt.Errorf("%w: sqlite file %s: was removed or replaced while in use; open it again, in every process that uses it: %w",
		store.ErrUnavailable, s.path, err)
}
