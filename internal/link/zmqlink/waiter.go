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

// A waiter waits for several sockets in one call. libzmq's own poll asks the
// kernel twice for each of them.
type waiter struct {
	sockets []*zmq4.Socket
	all     []C.struct_waited
}

// newWaiter returns nil and the reason where that is not possible.
func newWaiter(sockets []*zmq4.Socket, plain bool) (*waiter, error) {
	if plain {
		return nil, errNoHandle
	}
	w := &waiter{sockets: sockets, all: make([]C.struct_waited, len(sockets))}
	for i, s := range sockets {
		p, err := handle(s)
		if err != nil {
			return nil, err
		}
		fd := C.raw_fd(p)
		if fd < 0 {
			return nil, errNoHandle
		}
		w.all[i] = C.struct_waited{socket: p, fd: fd, used: 1}
	}
	return w, nil
}

// wait calls note for each socket that may have something to read.
func (w *waiter) wait(d time.Duration, note func(*zmq4.Socket)) (ready bool, err error) {
	n := C.raw_wait(&w.all[0], C.int(len(w.all)), C.int(d/time.Millisecond))
	if n < 0 {
		return false, zmq4.Errno(-n)
	}
	for i := range w.all {
		if w.all[i].ready != 0 {
			note(w.sockets[i])
		}
	}
	return n > 0, nil
}
