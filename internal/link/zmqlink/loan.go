package zmqlink

/*
#cgo noescape returned_take
#cgo nocallback returned_take
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
	lent     map[*C.struct_loan]loan
	returned *C.struct_returned // those among them; nil: nothing was lent yet
	out      map[*byte]int      // how often each frame is on loan
	back     map[*byte][]byte   // recycled while on loan
	most     int                // of lent, since it was made
}

// lentKept is from when on the maps of what was on loan are made anew: they never
// become smaller.
const lentKept = 4096

type loan struct {
	frame []byte
	pin   *runtime.Pinner
}

// send lends one frame to libzmq. The frame must not change until it is
// recycled, or for ever.
func (l *loans) send(r *raw, frame []byte, more bool) error {
	if l.returned == nil {
		l.empty()
		if l.returned = C.returned_new(); l.returned == nil {
			return r.send(frame, more)
		}
	}
	c := C.loan_new(l.returned)
	if c == nil {
		return r.send(frame, more)
	}
	last := C.int(0)
	if more {
		last = 1
	}
	x := loan{frame: frame, pin: new(runtime.Pinner)}
	x.pin.Pin(&frame[0])
	l.out[&frame[0]]++
	l.lent[c] = x
	l.most = max(l.most, len(l.lent))
	r.used()
	if e := C.raw_send_loan(r.socket, (*C.uint8_t)(unsafe.Pointer(&frame[0])), C.size_t(len(frame)), last, c); e != 0 {
		return zmq4.Errno(e)
	}
	return nil
}

// recycle gives a frame to the pool, now or when libzmq has returned it.
func (l *loans) recycle(p *pool.Pool, frame []byte) {
	if len(frame) > 0 && l.out[&frame[0]] > 0 {
		l.back[&frame[0]] = frame
		return
	}
	p.Put(frame)
}

// settle takes back what libzmq has returned. It costs as much as that is, however much
// is on loan.
func (l *loans) settle(p *pool.Pool) {
	if len(l.lent) == 0 {
		return
	}
	for c := C.returned_take(l.returned); c != nil; {
		next := c.next
		l.end(p, c)
		c = next
	}
	if len(l.lent) == 0 && l.most > lentKept {
		l.empty()
	}
}

func (l *loans) empty() {
	l.lent, l.out, l.back, l.most = map[*C.struct_loan]loan{}, map[*byte]int{}, map[*byte][]byte{}, 0
}

// end is the end of one loan.
func (l *loans) end(p *pool.Pool, c *C.struct_loan) {
	x := l.lent[c]
	delete(l.lent, c)
	x.pin.Unpin()
	C.loan_free(c)
	first := &x.frame[0]
	if l.out[first]--; l.out[first] > 0 {
		return
	}
	delete(l.out, first)
	if f, ok := l.back[first]; ok {
		delete(l.back, first)
		p.Put(f)
	}
}

// close takes everything back: libzmq has ended.
func (l *loans) close(p *pool.Pool) {
	for c := range l.lent {
		l.end(p, c)
	}
	if l.returned != nil {
		C.returned_free(l.returned)
	}
	*l = loans{}
}

// leave leaves what is on loan to libzmq until that has ended, which may be never: its
// thread reads it still, and a Pinner that is collected with something pinned is a panic.
func (l *loans) leave(ended <-chan error) {
	left := *l
	*l = loans{}
	if left.returned == nil {
		return
	}
	go func() { // holds what is left
		<-ended //nolint:errcheck // what it says is the caller's
		left.close(new(pool.Pool))
	}()
}
