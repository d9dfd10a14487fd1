//go:build !linux

package main

import "errors"

// takenBy is what a process has used and holds.
func takenBy(int) (taken, error) { return taken{}, errors.ErrUnsupported }
