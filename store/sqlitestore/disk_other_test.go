//go:build !linux

package sqlitestore

import "errors"

func mountSmall(_, _ string) error { return errors.ErrUnsupported }
func unmount(string) error         { return nil }
