//go:build !linux

package etcdtest

import "syscall"

func attr() *syscall.SysProcAttr { return nil }

// stopped cannot be asked here; the signal was sent.
func stopped(int) bool { return true }
