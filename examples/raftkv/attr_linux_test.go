package main

import "syscall"

// attr lets a server die with the test, should that be killed: one that is stopped would not see
// the end of its standard input.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
