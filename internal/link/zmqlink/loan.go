package zmqlink

/*
#cgo noescape loan_returned
#cgo nocallback loan_returned
#include "raw.h"
*/
import "C"

import (
	"runtime"
	"unsafe"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link/pool"
)

// loans are the large frames that libzmq sends from where they are. Each is
// pinned until libzmq's thread has returned it; only then may it be used again.
type loans struct {
	list []loan
	out  map[*byte]int // how often each frame is on loan
	back []([]byte)    // recycled while on loan
}

type loan struct {
	c     *C.struct_loan
	frame []byte
	pin   *runtime.Pinner
}

// send lends one frame to libzmq. The frame must not change until it is
// recycled, or for ever.
func (l *loans) send(r *raw, frame []byte, more bool) error {
	c := C.loan_new()
	if c == nil {
		return r.send(frame, more)
	}
	last := C.int(0)
	if more {
		last = 1
	}
	x := loan{c: c, frame: frame, pin: new(runtime.Pinner)}
	x.pin.Pin(&frame[0])
	if l.out == nil {
		l.out = map[*byte]int{}
	}
	l.out[&frame[0]]++
	l.list = append(l.list, x)
	r.used()
	if e := C.raw_send_loan(r.socket, (*C.uint8_t)(unsafe.Pointer(&frame[0])), C.size_t(len(frame)), last, c); e != 0 {
		return zmq4.Errno(e)
	}
	return nil
}

// recycle gives a frame to the pool, now or when libzmq has returned it.
func (l *loans) recycle(p *pool.Pool, frame []byte) {
	if len(frame) > 0 && l.out[&frame[0]] > 0 {
		l.back = append(l.back, frame)
		return
	}
	p.Put(frame)
}

// settle takes back what libzmq has returned; all of it where libzmq has ended.
func (l *loans) settle(p *pool.Pool, all bool) {
	kept := l.list[:0]
	for _, x := range l.list {
		if !all && C.loan_returned(x.c) == 0 {
			kept = append(kept, x)
			continue
		}
		x.pin.Unpin()
		C.loan_free(x.c)
		if first := &x.frame[0]; l.out[first] == 1 {
			delete(l.out, first)
		} else {
			l.out[first]--
		}
	}
	clear(l.list[len(kept):])
	if len(kept) == len(l.list) {
		return
	}
	l.list = kept
	back := l.back[:0]
	for _, f := range l.back {
		if l.out[&f[0]] > 0 {
			back = append(back, f)
		} else {
			p.Put(f)
		}
	}
	clear(l.back[len(back):])
	l.back = back
}

// leave leaves what is on loan to libzmq until that has ended, which may be never: its
// thread reads it still, and a Pinner that is collected with something pinned is a panic.
func (l *loans) leave(ended <-chan error) {
	list := l.list
	*l = loans{}
	if len(list) == 0 {
		return
	}
	go func() { // holds list
		<-ended //nolint:errcheck // what it says is the caller's
		for _, x := range list {
			x.pin.Unpin()
			C.loan_free(x.c)
		}
	}()
}
