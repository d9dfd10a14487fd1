package etcdtest

import "syscall"

// attr lets a server die with the tests, should they be killed.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
