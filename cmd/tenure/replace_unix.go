//go:build unix

package main

import (
	"path/filepath"

	"github.com/google/renameio/v2"
)

// replaceFile gives a file another content at once: who reads it finds the old or the
// new, also after a loss of power. A new file may be read by all whom the umask lets;
// one that is there keeps its permissions.
func replaceFile(path string, content []byte) error {
	// The temporary file lies beside it: elsewhere may be another user's, or full.
	return renameio.WriteFile(path, content, 0o644, renameio.WithTempDir(filepath.Dir(path)))
}
