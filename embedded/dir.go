package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// The files of a data directory, beside the folder that etcd keeps in it.
const (
	lockFile   = "tenure.lock"
	markerFile = "tenure.json"
)

// marker says whose data a directory has. Etcd would take it for that of any name.
type marker struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
}

const markerVersion = 1

// dir is a data directory in use.
type dir struct {
	path string
	lock *fileutil.LockedFile
	// fresh: no server has ever run on it.
	fresh bool
}

// openDir makes the directory if it is missing, and sees to it that nobody else uses it.
func openDir(path, name string) (d *dir, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := fileutil.TryLockFile(filepath.Join(path, lockFile), os.O_WRONLY|os.O_CREATE, fileutil.PrivateFileMode)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("%w: data directory %s: stop the other process, or choose another directory", ErrInUse, path)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	d = &dir{path: path, lock: lock}
	if err := d.claim(name); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *dir) close() error { return d.lock.Close() }

// claim finds the directory to be this server's, or makes it so.
func (d *dir) claim(name string) error {
	d.fresh = !wal.Exist(filepath.Join(d.path, "member", "wal"))
	file := filepath.Join(d.path, markerFile)
	text, err := os.ReadFile(file)
	switch {
	case d.fresh && (err == nil || errors.Is(err, fs.ErrNotExist)): // or an earlier start did not get far
		return d.mark(file, name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: data directory %s: it is that of an etcd server; choose another directory", ErrOtherCluster, d.path)
	case err != nil:
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	var m marker
	switch err := json.Unmarshal(text, &m); {
	case err != nil || m.Version != markerVersion || m.Name == "":
		return fmt.Errorf("%w: data directory %s: %s cannot be read; it wants {\"version\": %d, \"name\": NAME}, with this server's name", ErrDamaged, d.path, markerFile, markerVersion)
	case m.Name != name:
		return fmt.Errorf("%w: data directory %s: it is that of server %q, and this is %q; give each server a directory of its own", ErrOtherCluster, d.path, m.Name, name)
	}
	return nil
}

func (d *dir) mark(file, name string) error {
	text, err := json.Marshal(marker{Version: markerVersion, Name: name})
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	return nil
}
