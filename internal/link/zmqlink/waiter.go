package zmqlink

/*
#cgo noescape raw_wait
#cgo nocallback raw_wait
#include "raw.h"
*/
import "C"

import (
	"time"

	"github.com/pebbe/zmq4"
)

// A waiter waits for all sockets of a host in one call. libzmq's own poll asks
// the kernel twice for each of them.
type waiter struct {
	wake *wake
	all  []C.struct_waited // the wake-up first
	of   []*socket         // whose monitor it is; nil for others
}

func newWaiter(h *host) (*waiter, error) {
	w := &waiter{wake: h.wake, all: []C.struct_waited{{fd: C.int(h.wake.receiver)}}, of: []*socket{nil}}
	for _, s := range h.sockets {
		if err := w.add(s.socket, nil); err != nil {
			return nil, err
		}
		if s.monitor == nil {
			continue
		}
		if err := w.add(s.monitor, s); err != nil {
			return nil, err
		}
	}
	n := 1
	for _, s := range h.sockets {
		s.raw.use = &w.all[n].used
		if n++; s.monitor != nil {
			n++
		}
	}
	return w, nil
}

func (w *waiter) add(s *zmq4.Socket, monitorOf *socket) error {
	p, err := handle(s)
	if err != nil {
		return err
	}
	fd := C.raw_fd(p)
	if fd < 0 {
		return errNoHandle
	}
	w.all = append(w.all, C.struct_waited{socket: p, fd: fd, used: 1})
	w.of = append(w.of, monitorOf)
	return nil
}

// wait reports whether a socket may have something to read, or Wake was called.
func (w *waiter) wait(d time.Duration) (ready bool, err error) {
	n := C.raw_wait(&w.all[0], C.int(len(w.all)), C.int(d/time.Millisecond))
	if n < 0 {
		return false, zmq4.Errno(-n)
	}
	if w.all[0].ready != 0 {
		w.wake.drain()
	}
	for i, s := range w.of {
		if s != nil && w.all[i].ready != 0 {
			s.monitorReady = true
		}
	}
	return n > 0, nil
}
