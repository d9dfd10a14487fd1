package etcdtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are chosen below those that systems give out by themselves: between the choice
// and the moment when a server listens, any connection or proxy may get one of the latter.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// chosen are the ports that this process has ever chosen.
var chosen sync.Map

// FreePorts returns ports of the loopback interface that nobody uses now, and that it has
// not returned before in this process.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for try := 0; len(ports) < n; try++ {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if _, again := chosen.LoadOrStore(port, true); again {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			err = l.Close()
			ports = append(ports, port)
		}
		if err != nil && try > 100*n {
			return nil, err
		}
	}
	return ports, nil
}
