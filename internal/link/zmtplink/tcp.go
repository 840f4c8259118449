package zmtplink

import (
	"net"
	"time"
)

// keepAlive finds out that a machine is gone to which nothing is sent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// unheardMax is how long what was sent may stay unacknowledged, or a peer keep
// its window shut, before the connection ends (TCP_USER_TIMEOUT). Only Linux
// has it; elsewhere the system gives up after minutes.
const unheardMax = 30 * time.Second

// tune sets up a TCP connection. Go has set TCP_NODELAY already. What the
// system does not take it does without.
func tune(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		setUnheardMax(tcp)
	}
}
