//go:build !linux

package etcdtest

import "syscall"

func attr() *syscall.SysProcAttr { return nil }
