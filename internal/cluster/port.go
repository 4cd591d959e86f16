package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports that processes listen on. They lie below those that the kernel gives to
// connections and to listeners without a wish: between our look at a port and
// the start of the process, or while it is down, nobody gets it by chance.
const (
	firstPort = 15000
	lastPort  = 31999
)

// given are the ports that this process has given away.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// FreeAddr is an address of this machine on which nobody listens.
func FreeAddr() (string, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if given.ports[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		given.ports[port] = true
		return addr, l.Close()
	}
	return "", errors.New("no port is free")
}
