package zmqlink

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pebbe/zmq4"
)

// wake ends a wait from any goroutine: a pipe that carries no data but "look".
// At most one byte is under way, so that writing never blocks and any number
// of calls costs one.
type wake struct {
	receiver int         // the owner's end, which it waits for
	pending  atomic.Bool // a byte is under way

	mu     sync.RWMutex // guards sender against close
	sender int          // -1 when closed
}

func newWake() (*wake, error) {
	var ends [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(ends[:]); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	for _, fd := range ends {
		syscall.CloseOnExec(fd)
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, errors.Join(fmt.Errorf("pipe: %w", err), syscall.Close(ends[0]), syscall.Close(ends[1]))
		}
	}
	return &wake{receiver: ends[0], sender: ends[1]}, nil
}

// ring makes the receiver readable. Safe for any goroutine, also after close.
func (w *wake) ring() {
	if !w.pending.CompareAndSwap(false, true) {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.sender < 0 {
		return
	}
	for {
		_, err := syscall.Write(w.sender, []byte{0})
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			w.pending.Store(false) // or no later ring would be heard
		}
		return
	}
}

// drain takes the byte. Whoever rings from here on writes another; whoever rang
// before is served by the owner's return from Wait.
func (w *wake) drain() {
	var b [8]byte
	for {
		switch n, err := syscall.Read(w.receiver, b[:]); {
		case errors.Is(err, syscall.EINTR):
		case n <= 0:
			return
		default:
			w.pending.Store(false)
		}
	}
}

func (w *wake) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sender < 0 {
		return nil
	}
	err := errors.Join(syscall.Close(w.sender), syscall.Close(w.receiver))
	w.sender = -1
	return err
}

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); err == nil || zmq4.AsErrno(err) != interrupted {
			return err
		}
	}
}
