package zmqlink

/*
#cgo !windows pkg-config: libzmq
#cgo noescape raw_receive
#cgo nocallback raw_receive
#cgo noescape raw_take
#cgo nocallback raw_take
#cgo noescape raw_send
#cgo nocallback raw_send
#cgo noescape raw_send_frame
#cgo nocallback raw_send_frame
#include "raw.h"
*/
import "C"

import (
	"errors"
	"reflect"
	"slices"
	"unsafe"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/pool"
)

// Room for what one call takes. A link with more to read is called again.
const (
	roomBytes  = 64 << 10
	roomFrames = 512
	sendBytes  = 64 << 10 // what is Put is sent when there is so much
	sendFrames = 1024
	roomsKept  = 16
	framesKept = 4096
)

// errNoHandle: zmq4 keeps the socket of libzmq elsewhere than it used to.
var errNoHandle = errors.New("this version of github.com/pebbe/zmq4 keeps no libzmq socket in the field soc: use v1.4.0, or the transport zmtp")

// handle is libzmq's own socket, which zmq4 does not show. It reads the field
// by its name, and fails if it is not there any more.
func handle(s *zmq4.Socket) (unsafe.Pointer, error) {
	f := reflect.ValueOf(s).Elem().FieldByName("soc")
	if !f.IsValid() || f.Kind() != reflect.UnsafePointer {
		return nil, errNoHandle
	}
	return f.UnsafePointer(), nil
}

// A raw moves messages in batches, many in one call into C.
type raw struct {
	socket unsafe.Pointer
	batch  *C.struct_batch
	lend   bool
	most   int // frames of a message: of one with more that many and one are taken
	pool   *pool.Pool
	use    *C.int // set when the socket is used otherwise than for receiving; nil before the first Wait

	rooms   [][]byte // for what is received; with lend used again by the next receive
	lengths []uint64
	frames  [][]byte // of received messages; with lend used again
	count   int      // frames of the message that is being read

	out      []byte // frames that were Put, one behind the other
	outs     []uint64
	failures []C.struct_failure
}

func newRaw(s *zmq4.Socket, p *pool.Pool, o *link.Options) (*raw, error) {
	socket, err := handle(s)
	if err != nil {
		return nil, err
	}
	batch := C.raw_new()
	if batch == nil {
		return nil, errors.New("no memory")
	}
	most := o.FramesMax
	if o.Role == link.Router {
		most++ // the routing id
	}
	return &raw{socket: socket, batch: batch, lend: o.Lend, most: most, pool: p}, nil
}

func (r *raw) close() {
	C.raw_free(r.batch)
	r.batch = nil
}

// receive appends at most limit messages to dst, with the routing id as the
// first frame of each. more reports that the limit ended it, error what else
// did, other than that there is nothing to read.
func (r *raw) receive(dst []link.Message, limit int) (_ []link.Message, more bool, err error) {
	if r.rooms == nil {
		r.rooms, r.lengths = [][]byte{make([]byte, roomBytes)}, make([]uint64, roomFrames)
	}
	r.trim()
	room, used, start := 0, 0, 0 // start: of the message that is being read, in frames
	for end := len(dst) + limit; len(dst) < end; {
		limit := end - len(dst)
		to := r.rooms[room]
		C.raw_receive(r.socket, r.batch, (*C.uint8_t)(unsafe.Pointer(&to[0:cap(to)][used])), C.size_t(len(to)-used),
			(*C.uint64_t)(unsafe.Pointer(&r.lengths[0])), roomFrames, C.int(limit))
		b := r.batch
		for _, n := range r.lengths[:b.frames] {
			end := used + int(n>>1)
			dst = r.frame(dst, to[used:end:end], n&1 == 0, &start)
			used = end
		}
		switch {
		case b.need >= C.LARGE:
			frame := r.pool.Get(int(b.need))
			last := C.raw_take(b, (*C.uint8_t)(unsafe.Pointer(&frame[0]))) == 0
			dst = r.frame(dst, frame, last, &start)
		case b.need > 0:
			room, used = r.nextRoom(room), 0
		case b.error != 0:
			errno := zmq4.Errno(b.error)
			if errno == wouldBlock || errno == zmq4.EFSM {
				return dst, false, nil
			}
			return dst, false, errno
		}
		if used == len(to) { // nothing more fits, not even the address of an empty frame
			room, used = r.nextRoom(room), 0
		}
	}
	return dst, true, nil
}

// frame takes one frame of the message that begins at start. libzmq has all of a
// message by then: of one with too many frames the first are kept, one too many, so
// that whoever reads it finds that out, counts it, and can answer.
func (r *raw) frame(dst []link.Message, frame []byte, last bool, start *int) []link.Message {
	if r.count++; r.count <= r.most+1 {
		r.frames = append(r.frames, frame)
	}
	if last {
		dst = append(dst, r.message(*start))
		r.count, *start = 0, len(r.frames)
	}
	return dst
}

func (r *raw) nextRoom(room int) int {
	if room++; room == len(r.rooms) {
		r.rooms = append(r.rooms, make([]byte, roomBytes))
	}
	return room
}

// trim begins a receive, and lets go of what only an unusual one has needed.
func (r *raw) trim() {
	if len(r.rooms) > roomsKept {
		r.rooms = slices.Clone(r.rooms[:roomsKept])
	}
	if clear(r.frames); cap(r.frames) > framesKept {
		r.frames = nil
	}
	r.frames = r.frames[:0]
}

// message is made of the frames from start on.
func (r *raw) message(start int) link.Message {
	end := len(r.frames)
	frames := r.frames[start:end:end]
	if !r.lend {
		frames = own(frames)
	}
	return link.Message{Frames: frames}
}

// own copies what is lent, all small frames into one place.
func own(frames [][]byte) [][]byte {
	size := 0
	for _, f := range frames {
		if len(f) < link.LentMax {
			size += len(f)
		}
	}
	own, place := make([][]byte, len(frames)), make([]byte, 0, size)
	for i, f := range frames {
		if len(f) >= link.LentMax {
			own[i] = f
			continue
		}
		begin := len(place)
		place = append(place, f...)
		own[i] = place[begin:len(place):len(place)]
	}
	return own
}

// put notes frames, which are one message, for flush. It reports false if they
// do not belong there: a large frame is copied once only, by libzmq.
func (r *raw) put(id []byte, frames [][]byte) bool {
	size := len(id)
	for _, f := range frames {
		if len(f) >= link.LentMax {
			return false
		}
		size += len(f)
	}
	if id != nil {
		r.append(id, true)
	}
	for i, f := range frames {
		r.append(f, i+1 < len(frames))
	}
	return true
}

func (r *raw) append(frame []byte, more bool) {
	r.out = append(r.out, frame...)
	n := uint64(len(frame)) << 1
	if more {
		n |= 1
	}
	r.outs = append(r.outs, n)
}

// used notes that the socket may have heard of news that its descriptor does
// not tell any more.
func (r *raw) used() {
	if r.use != nil {
		*r.use = 1
	}
}

// full reports that it is time to flush.
func (r *raw) full() bool { return len(r.out) >= sendBytes || len(r.outs) >= sendFrames }

// forget drops what was put.
func (r *raw) forget() { r.out, r.outs = r.out[:0], r.outs[:0] }

// flush sends what was put and returns the failures, in order. With ordered
// there is one at most: what is behind it is not sent.
func (r *raw) flush(ordered bool) []C.struct_failure {
	if len(r.outs) == 0 {
		return nil
	}
	r.used()
	if cap(r.failures) < len(r.outs) {
		r.failures = make([]C.struct_failure, cap(r.outs))
	}
	r.out = append(r.out, 0) // so that there is an address even if all frames are empty
	stop := C.int(0)
	if ordered {
		stop = 1
	}
	n := C.raw_send(r.socket, (*C.uint8_t)(unsafe.Pointer(&r.out[0])), (*C.uint64_t)(unsafe.Pointer(&r.outs[0])), C.int(len(r.outs)),
		stop, (*C.struct_failure)(unsafe.Pointer(&r.failures[:1][0])))
	r.forget()
	return r.failures[:n]
}

// send sends one frame.
func (r *raw) send(frame []byte, more bool) error {
	r.used()
	var first *C.uint8_t
	if len(frame) > 0 {
		first = (*C.uint8_t)(unsafe.Pointer(&frame[0]))
	}
	last := C.int(0)
	if more {
		last = 1
	}
	if e := C.raw_send_frame(r.socket, first, C.size_t(len(frame)), last); e != 0 {
		return zmq4.Errno(e)
	}
	return nil
}

// The bound of C and that of the interface are one number.
var _ = [1]struct{}{}[link.LentMax-C.LARGE]
