//go:build unix && !linux

package main

import "syscall"

func attr() *syscall.SysProcAttr { return nil }
