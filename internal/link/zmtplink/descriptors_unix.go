//go:build unix

package zmtplink

import (
	"os"
	"syscall"
)

// Accepting pauses when so much of the limit of descriptors is taken, and goes
// on when no more than so much is: the rest is for files, and for connections
// of other kinds.
const (
	takenMost  = 0.8
	takenAgain = 0.6
)

func descriptorLimit() float64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1 << 30
	}
	return float64(limit.Cur)
}

// few reports whether few descriptors are left, by the number of the newest:
// the system gives out the lowest that is free.
func few(newest *conn) (isFew bool) {
	_ = newest.raw.Control(func(fd uintptr) { isFew = float64(fd) >= takenMost*descriptorLimit() })
	return isFew
}

// enough reports whether there are enough again.
func enough() bool {
	taken := float64(0)
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		taken = float64(len(entries))
	} else if f, err := os.Open(os.DevNull); err == nil { // no /proc: the lowest that is free must do
		taken = float64(f.Fd())
		_ = f.Close()
	} else {
		return false
	}
	return taken <= takenAgain*descriptorLimit()
}

// setMode gives a socket the mode that the file will have to which it is bound;
// what the umask forbids is added afterwards. Only Linux can do it.
func setMode(raw syscall.RawConn, mode os.FileMode) error {
	return raw.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) })
}
