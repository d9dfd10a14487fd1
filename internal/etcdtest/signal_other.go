//go:build !unix

package etcdtest

import "os"

// There is nothing like these elsewhere: os.Process.Signal says so.
var (
	sigStop = os.Interrupt
	sigCont = os.Interrupt
)
