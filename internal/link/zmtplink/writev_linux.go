package zmtplink

import (
	"runtime"
	"syscall"
	"unsafe"
)

// iovecs are used again for each write.
type iovecs struct {
	list []syscall.Iovec
}

// write writes parts in one call.
func (v *iovecs) write(fd int, parts [][]byte) (int, error) {
	if len(parts) == 1 {
		return syscall.Write(fd, parts[0])
	}
	if v.list == nil {
		v.list = make([]syscall.Iovec, partsAtOnce)
	}
	for i, p := range parts {
		v.list[i].Base = &p[0] // each has a header at least
		v.list[i].SetLen(len(p))
	}
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v.list[0])), uintptr(len(parts)))
	runtime.KeepAlive(parts)
	clear(v.list[:len(parts)])
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
