//go:build !linux && !darwin

package sqlitestore

import (
	"fmt"
	"runtime"

	"github.com/tenure-go/tenure/store"
)

func newClock() (clock, error) {
	return nil, fmt.Errorf("%w: sqlite: leases need a clock that all processes of the host share and that counts sleep; "+
		"none is known on %s (use Linux or macOS, or another store)", store.ErrUnsupported, runtime.GOOS)
}
