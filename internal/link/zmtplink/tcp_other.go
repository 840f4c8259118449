//go:build !linux

package zmtplink

import "net"

func setUnheardMax(*net.TCPConn) {}
