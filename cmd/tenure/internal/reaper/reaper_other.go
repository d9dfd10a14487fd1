//go:build !linux

package reaper

// Needed is false: containers are a thing of Linux.
func Needed() bool { return false }

// Main is not needed.
func Main() int { return 1 }
