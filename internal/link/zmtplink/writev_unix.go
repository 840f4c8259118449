//go:build unix && !linux

package zmtplink

import "syscall"

// iovecs is nothing here: parts are written one by one.
type iovecs struct{}

func (*iovecs) write(fd int, parts [][]byte) (n int, err error) {
	for _, p := range parts {
		written, err := syscall.Write(fd, p)
		if err != nil {
			if n > 0 {
				return n, nil // what was written counts; the error comes again
			}
			return 0, err
		}
		n += written
		if written < len(p) {
			break
		}
	}
	return n, nil
}
