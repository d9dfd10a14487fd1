package sqlitestore

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenure-go/tenure/store"
)

// fail joins a raw error to the contract's sentinel and says what to do about
// it. Errors that carry a sentinel and those of a context pass unchanged.
func (s *Store) fail(err error) error {
	if err == nil || isOurs(err) {
		return err
	}
	sentinel := store.ErrUnavailable
	if code(err) == sqlite3.SQLITE_NOTADB {
		sentinel = store.ErrInvalid
	}
	return fmt.Errorf("%w: sqlite file %s: %s%w", sentinel, s.path, remedy(code(err)), err)
}

func isOurs(err error) bool {
	for _, ours := range []error{
		context.Canceled, context.DeadlineExceeded,
		store.ErrUnavailable, store.ErrClosed, store.ErrLeaseNotFound, store.ErrCompacted,
		store.ErrInvalid, store.ErrUnsupported, store.ErrTooLarge, store.ErrConflict,
	} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

func remedy(code int) string {
	switch code {
	case sqlite3.SQLITE_FULL:
		return "its disk is full; make room, nothing has to be repaired: "
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return "cannot be written; let this user write the file and its folder " +
			"(files named -wal, -shm and -bell lie beside it): "
	case sqlite3.SQLITE_CORRUPT:
		return "is corrupt; stop its users and set it aside together with its -wal and -shm files, " +
			"or restore a copy (revisions and tokens then start over or go back): "
	case sqlite3.SQLITE_NOTADB:
		return "is not a SQLite database; choose another path or remove the file: "
	case sqlite3.SQLITE_IOERR:
		return "its disk gave an error: "
	default:
		return ""
	}
}
