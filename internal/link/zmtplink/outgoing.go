package zmtplink

import (
	"sync"
	"unsafe"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

const (
	partsAtOnce = 64       // pieces of memory in one write
	earlyFlush  = 64 << 10 // what was Put is sent when there is so much
	partBytes   = 72       // what a part takes
	loanBytes   = 128      // what it takes to know that a frame is lent, at most
)

var _ [partBytes - unsafe.Sizeof(part{})]struct{}

// outgoing is what waits to be sent on one connection: encoded small frames,
// and large frames where they are. It does not write by itself: next says what
// comes next, and wrote how much of it is gone, whoever does it.
type outgoing struct {
	mu sync.Mutex

	memory   *memory
	parts    []part
	head     int     // of parts: the first that is not gone
	offset   int     // of its data
	tail     *buffer // appended to
	used     int     // of tail
	size     int     // of the next buffer
	messages int
	bytes    int64 // waiting
	cost     int64 // what all of it takes: buffers, large frames, and the list of parts
	told     int64 // of cost, to the link

	sentMessages uint64
	sentBytes    uint64
	blocked      bool   // the socket is full: somebody waits for room, and nobody else writes
	reached      uint64 // when closed: no message from this one on was written whole
	ending       bool   // what waits is the last, and then the sending side is shut
	closed       bool
}

// A part is one piece of memory to be sent.
type part struct {
	data []byte
	from *buffer // that data lies in; or
	lent []byte  // the frame that is lent; or
	own  bool    // data is ours, from the pool of large frames
	ends int     // messages that end with it
}

// append notes one message. Large frames are borrowed with lend, and copied
// without.
func (o *outgoing) append(delimiter bool, frames [][]byte, lend bool) {
	if delimiter {
		o.small(zmtp.More, nil)
	}
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = zmtp.Last
		}
		if len(f) < link.LentMax {
			o.small(flags, f)
		} else {
			o.large(flags, f, lend)
		}
	}
	o.parts[len(o.parts)-1].ends++
	o.messages++
}

// command notes a command that is encoded already.
func (o *outgoing) command(frame []byte) {
	p := o.open(len(frame))
	p.data = append(p.data, frame...)
	o.used += len(frame)
	o.bytes += int64(len(frame))
}

func (o *outgoing) small(flags byte, body []byte) {
	p := o.open(zmtp.HeaderBytesMax + len(body))
	before := len(p.data)
	p.data = append(zmtp.AppendHeader(p.data, flags, len(body)), body...)
	o.used += len(p.data) - before
	o.bytes += int64(len(p.data) - before)
}

func (o *outgoing) large(flags byte, body []byte, lend bool) {
	p := o.open(zmtp.HeaderBytesMax)
	before := len(p.data)
	p.data = zmtp.AppendHeader(p.data, flags, len(body))
	o.used += len(p.data) - before
	o.bytes += int64(len(p.data) - before + len(body))
	if lend {
		o.memory.borrow(body)
		o.add(part{data: body, lent: body})
	} else {
		own := o.memory.takeLarge(len(body))
		copy(own, body)
		o.add(part{data: own, own: true})
	}
	o.cost += o.parts[len(o.parts)-1].takes()
}

// takes is what the memory of a large frame takes.
func (p *part) takes() int64 {
	switch {
	case p.lent != nil:
		return int64(len(p.lent)) + loanBytes
	case p.own:
		return int64(cap(p.data))
	}
	return 0
}

// add appends a part to the list, which grows only with what waits.
func (o *outgoing) add(p part) {
	if o.parts == nil {
		o.parts = takeParts()
		o.cost += listTakes(o.parts)
	}
	if len(o.parts) < cap(o.parts) {
		o.parts = append(o.parts, p)
		return
	}
	if o.head > len(o.parts)/2 {
		n := copy(o.parts, o.parts[o.head:])
		clear(o.parts[n:])
		o.parts, o.head = append(o.parts[:n], p), 0
		return
	}
	before := o.parts
	o.parts = append(o.parts, p)
	o.cost += listTakes(o.parts) - listTakes(before)
	freeParts(before)
}

func listTakes(list []part) int64 { return int64(cap(list)) * partBytes }

// open returns the part that bytes are appended to, with room for n.
func (o *outgoing) open(n int) *part {
	if o.tail == nil || len(o.tail.bytes)-o.used < n {
		if o.tail != nil {
			o.cost -= o.tail.release()
			o.size = min(2*o.size, zmtp.ChunkBytesMax)
		}
		o.size = max(o.size, zmtp.ChunkBytesMin)
		o.tail, o.used = takeBuffer(max(n, o.size)), 0
		o.tail.refs = 1
		o.cost += int64(len(o.tail.bytes))
	}
	if last := len(o.parts) - 1; last < o.head || o.parts[last].from != o.tail {
		o.add(part{data: o.tail.bytes[o.used:o.used], from: o.tail})
		o.tail.refs++
	}
	return &o.parts[len(o.parts)-1]
}

// next appends what is to be written next to dst.
func (o *outgoing) next(dst [][]byte) [][]byte {
	for i := o.head; i < len(o.parts) && len(dst) < partsAtOnce; i++ {
		data := o.parts[i].data
		if i == o.head {
			data = data[o.offset:]
		}
		dst = append(dst, data)
	}
	return dst
}

// wrote notes that n bytes of what next told are gone.
func (o *outgoing) wrote(n int) {
	o.bytes -= int64(n)
	o.sentBytes += uint64(n)
	for n > 0 {
		left := len(o.parts[o.head].data) - o.offset
		if n < left {
			o.offset += n
			return
		}
		n -= left
		o.sentMessages += uint64(o.parts[o.head].ends)
		o.drop()
	}
	if o.head == len(o.parts) {
		o.rest()
	}
}

// drop gives back the memory of the first part.
func (o *outgoing) drop() {
	p := &o.parts[o.head]
	o.cost -= p.takes()
	switch {
	case p.from != nil:
		o.cost -= p.from.release()
	case p.lent != nil:
		o.memory.giveBack(p.lent)
	case p.own:
		o.memory.freeLarge(p.data)
	}
	o.messages -= p.ends
	*p = part{}
	o.head, o.offset = o.head+1, 0
}

// rest lets go of what a connection does not need that has nothing to send.
func (o *outgoing) rest() {
	if o.tail != nil {
		if o.used < o.size/4 {
			o.size /= 2
		}
		o.cost -= o.tail.release()
		o.tail = nil
	}
	o.cost -= listTakes(o.parts)
	freeParts(o.parts)
	o.head, o.parts = 0, nil
}

// empty reports whether nothing waits.
func (o *outgoing) empty() bool { return o.head == len(o.parts) }

// lost reports whether a message, by its place, was certainly not written whole,
// and will not be.
func (o *outgoing) lost(place uint64) bool { return o.closed && place >= o.reached }

// close drops what waits. Nothing is appended any more.
func (o *outgoing) close() {
	if !o.closed {
		o.reached = o.sentMessages
		if !o.empty() && (o.offset > 0 || o.blocked) { // of those in it nobody knows
			o.reached += uint64(o.parts[o.head].ends)
		}
	}
	o.closed = true
	for !o.empty() {
		o.drop()
	}
	o.rest()
	o.bytes = 0
}
