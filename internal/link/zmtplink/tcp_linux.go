package zmtplink

import (
	"net"

	"golang.org/x/sys/unix"
)

func setUnheardMax(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheardMax.Milliseconds()))
	})
}
