//go:build unix && !linux

package guard

import "os"

func (g *Guard) fork(name string, args []string, attr *os.ProcAttr) (*os.Process, error) {
	return os.StartProcess(name, args, attr)
}

func (g *Guard) owns(int) {}
func (g *Guard) disown()  {}

// ReapOrphans does nothing: there are no subreapers on this system.
func ReapOrphans() {}
