package zmtp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Chunks are between these sizes: small for peers that say little, large for
// those that say much at once.
const (
	ChunkBytesMin = 2 << 10
	ChunkBytesMax = 64 << 10
	roomMin       = 256 // a chunk with less room is done with
	pongsMax      = 512 // bytes of answers to PING, between two calls of Pongs
)

// Limits bound what one peer can make a Reader keep. Zero: no bound.
type Limits struct {
	FrameBytesMax   int64
	FramesMax       int   // of one message
	MessageBytesMax int64 // of one message that is not finished, all its frames
}

// Memory is where a Reader gets memory.
type Memory interface {
	// Chunk returns a chunk of at least size bytes whose owner is set.
	Chunk(size int) *Chunk
	// Large returns n bytes for one frame.
	Large(n int) []byte
	// Unlarge takes back what Large returned and no message carries.
	Unlarge([]byte)
	// Count notes that c costs so many bytes more, or less.
	Count(c *Chunk, bytes int64)
}

// A Reader makes messages of the bytes that follow a handshake. Room says where
// the next bytes belong and Filled that they are there, so that large frames
// are read into their place, and small ones are not copied either.
type Reader struct {
	limits    Limits
	memory    Memory
	transform Transform
	largeMin  int

	cur      *Chunk
	pos, end int   // of cur: what was parsed, what was received
	at       int64 // offset of pos in all that the connection received
	size     int   // of the next chunk
	large    []byte
	got      int // of large
	flags    byte

	start  int    // of the unfinished message, in cur.frames
	count  int    // its frames
	bytes  int64  // its bytes
	inOwn  int64  // those of them in memory of its own
	own    int64  // what that memory takes
	first  *Chunk // its first chunk, if that is not cur
	span   int    // its chunks before cur
	behind int64  // what those cost
	pongs  []byte
}

// NewReader returns a reader of what follows the first received bytes. Frames
// of largeMin bytes or more get memory of their own.
func NewReader(l Limits, m Memory, t Transform, largeMin int, received int64) *Reader {
	return &Reader{limits: l, memory: m, transform: t, largeMin: largeMin, size: ChunkBytesMin, at: received}
}

// Room returns where the next bytes are to be read to. It is never empty.
func (r *Reader) Room() []byte {
	switch {
	case r.large != nil:
		return r.large[r.got:]
	case r.cur == nil:
		r.cur, r.pos, r.end = r.chunk(r.size), 0, 0
	case r.pos == r.end && r.count == 0 && r.cur.refs.Load() == 1:
		r.pos, r.end, r.start = 0, 0, 0 // nobody uses what is there
		r.cur.forget()
		r.memory.Count(r.cur, r.cur.takes()-r.cur.Cost)
	case len(r.cur.Bytes)-r.end < max(r.missing(), roomMin):
		r.advance(r.size)
	}
	return r.cur.Bytes[r.end:]
}

func (r *Reader) chunk(size int) *Chunk {
	c := r.memory.Chunk(size)
	r.start = 0
	return c
}

// missing is how many bytes the frame that has begun needs at least.
func (r *Reader) missing() int {
	b := r.cur.Bytes[r.pos:r.end]
	switch {
	case len(b) == 0:
		return 0
	case len(b) == 1 || b[0]&flagLong != 0 && len(b) < HeaderBytesMax:
		return HeaderBytesMax - len(b)
	case b[0]&flagLong != 0: // larger ones have been taken out, or refused
		return HeaderBytesMax + int(binary.BigEndian.Uint64(b[1:])) - len(b)
	}
	return 2 + int(b[1]) - len(b)
}

// advance goes on in another chunk. The frame that has begun moves there; the
// frames of the message before it stay, and keep their chunk.
func (r *Reader) advance(size int) {
	partial, message := r.cur.Bytes[r.pos:r.end], r.cur.frames[r.start:]
	next := r.chunk(max(size, len(partial)+max(r.missing(), roomMin)))
	r.end = copy(next.Bytes, partial)
	r.pos = 0
	if r.count > 0 {
		before := cap(next.frames)
		next.frames = append(next.frames, message...)
		r.memory.Count(next, int64(cap(next.frames)-before)*FrameCost)
		if r.span++; r.first == nil {
			r.first = r.cur
		}
		r.behind += r.cur.Cost
		r.cur.next = next // and the reader's use of it becomes the message's
	} else {
		r.cur.release()
	}
	r.cur = next
}

// Filled takes the n bytes that were read into what Room returned, and appends
// the messages that are whole now to dst. After an error the Reader must be
// closed; messages before the fault are in dst.
func (r *Reader) Filled(n int, dst []Message) ([]Message, error) {
	if r.large != nil {
		r.got, r.at = r.got+n, r.at+int64(n)
		if r.got < len(r.large) {
			return dst, nil
		}
		frame := r.large
		r.large = nil
		if r.cur == nil { // given back by Idle
			r.cur, r.pos, r.end = r.chunk(ChunkBytesMin), 0, 0
		}
		return r.frame(dst, r.flags, frame, true)
	}
	if r.end += n; r.end == len(r.cur.Bytes) {
		r.size = min(2*r.size, ChunkBytesMax)
	}
	return r.parse(dst)
}

// Idle is to be called when there is nothing to read: what is not needed to
// wait goes back. What has begun does not keep a large chunk.
func (r *Reader) Idle() {
	if r.cur == nil {
		return
	}
	if r.end > 0 && r.end < r.size/4 { // where nothing came, nothing is known
		r.size = max(r.size/2, ChunkBytesMin)
	}
	switch partial := r.end - r.pos; {
	case r.count == 0 && partial == 0:
		r.cur.release()
		r.cur = nil
	case len(r.cur.Bytes) == ChunkBytesMin || r.small()+partial+max(r.missing(), roomMin) >= len(r.cur.Bytes)/4:
	case r.count == 0:
		r.advance(ChunkBytesMin)
	case r.span == 0 && r.transform == nil:
		r.move()
	}
}

// small is how many bytes of the unfinished message lie in chunks.
func (r *Reader) small() int { return int(r.bytes - r.inOwn) }

// move takes the unfinished message, which lies in cur alone, to a chunk that is
// as small as may be.
func (r *Reader) move() {
	message, partial := r.cur.frames[r.start:], r.cur.Bytes[r.pos:r.end]
	next := r.memory.Chunk(max(ChunkBytesMin, r.small()+len(partial)+max(r.missing(), roomMin)))
	place, before := next.Bytes[:0], cap(next.frames)
	for _, f := range message {
		if len(f) < r.largeMin {
			place = append(place, f...)
			f = place[len(place)-len(f) : len(place) : len(place)]
		}
		next.frames = append(next.frames, f)
	}
	r.memory.Count(next, int64(cap(next.frames)-before)*FrameCost)
	r.pos, r.end, r.start = len(place), len(place)+len(partial), 0
	copy(next.Bytes[r.pos:], partial)
	r.cur.release()
	r.cur = next
}

// Unfinished is what is held for the message that is not finished, in bytes: 0
// when there is none. It is the most that can be said after Idle; before, a chunk
// that is about to go back is part of it.
func (r *Reader) Unfinished() int64 {
	n := r.behind + r.own + int64(cap(r.large))
	if r.count > 0 || r.cur != nil && r.end > r.pos {
		n += r.cur.Cost
	}
	return n
}

// Pongs returns the answers to the peer's PINGs, once.
func (r *Reader) Pongs() []byte {
	p := r.pongs
	r.pongs = nil
	return p
}

// Close gives everything back.
func (r *Reader) Close() {
	if r.large != nil {
		r.memory.Unlarge(r.large)
		r.large = nil
	}
	if r.cur == nil {
		return
	}
	for _, f := range r.cur.frames[r.start:] {
		if r.transform == nil && len(f) >= r.largeMin {
			r.memory.Unlarge(f)
		}
	}
	m := Message{first: r.first, span: r.span + 1}
	if r.first == nil {
		m.first = r.cur
	}
	r.cur.next = nil
	m.Release()
	r.cur = nil
}

func (r *Reader) fail(kind ErrorKind, format string, args ...any) error {
	return &Error{Kind: kind, At: r.at, What: fmt.Sprintf(format, args...)}
}

// parse takes whole frames off cur, until one is not whole.
func (r *Reader) parse(dst []Message) (_ []Message, err error) {
	for {
		b := r.cur.Bytes[r.pos:r.end]
		if len(b) < 2 {
			return dst, r.checkFlags(b)
		}
		flags, head, size := b[0], 2, uint64(b[1])
		if flags&flagLong != 0 {
			if head = HeaderBytesMax; len(b) < head {
				return dst, r.checkFlags(b)
			}
			size = binary.BigEndian.Uint64(b[1:])
		}
		if err := r.check(flags, size); err != nil {
			return dst, err
		}
		isLarge := flags&flagCommand == 0 && size >= uint64(r.largeMin)
		switch {
		case isLarge:
			r.large, r.flags = r.memory.Large(int(size)), flags
			r.got = copy(r.large, b[head:])
			r.take(head + r.got)
			if r.got < len(r.large) {
				r.size = max(r.size/2, ChunkBytesMin) // what comes first of such a frame is copied
				return dst, nil
			}
			frame := r.large
			r.large = nil
			dst, err = r.frame(dst, flags, frame, true)
		case uint64(len(b)-head) < size:
			return dst, nil
		case flags&flagCommand != 0:
			r.take(head + int(size))
			err = r.command(b[head : head+int(size)])
		default:
			end := head + int(size)
			r.take(end)
			dst, err = r.frame(dst, flags, b[head:end:end], false)
		}
		if err != nil {
			return dst, err
		}
	}
}

func (r *Reader) take(n int) { r.pos, r.at = r.pos+n, r.at+int64(n) }

func (r *Reader) checkFlags(b []byte) error {
	if len(b) > 0 && (b[0]&^flagsKnown != 0 || b[0]&(flagCommand|flagMore) == flagCommand|flagMore) {
		return r.fail(Malformed, "a frame with the flags %#02x", b[0])
	}
	return nil
}

// check is whether a frame may be received at all.
func (r *Reader) check(flags byte, size uint64) error {
	if err := r.checkFlags([]byte{flags}); err != nil {
		return err
	}
	l := &r.limits
	switch {
	case flags&flagCommand != 0:
		if size > commandBytesMax {
			return r.fail(Malformed, "a command of %d bytes: at most %d are allowed", size, commandBytesMax)
		}
	case size > math.MaxInt/2 || (l.FrameBytesMax > 0 && size > uint64(l.FrameBytesMax)+uint64(r.overhead())):
		return r.fail(FrameTooLarge, "a frame of %d bytes: at most %d are allowed", size, l.FrameBytesMax)
	case l.FramesMax > 0 && r.count >= l.FramesMax:
		return r.fail(MessageTooLong, "a message of more than %d frames", l.FramesMax)
	case l.MessageBytesMax > 0 && r.bytes+int64(size) > l.MessageBytesMax:
		return r.fail(MessageTooLong, "a message of more than %d bytes", l.MessageBytesMax)
	}
	return nil
}

func (r *Reader) overhead() int {
	if r.transform == nil {
		return 0
	}
	return r.transform.Overhead()
}

// frame notes a whole frame, and appends the message to dst if it is the last.
func (r *Reader) frame(dst []Message, flags byte, body []byte, own bool) ([]Message, error) {
	size, room := int64(len(body)), int64(cap(body))
	if r.transform != nil {
		var err error
		if flags, body, err = r.transform.Open(body); err != nil {
			return dst, r.fail(Malformed, "%v", err)
		}
		if flags&flagCommand != 0 {
			return dst, r.command(body)
		}
	}
	if own {
		r.inOwn += size
		r.own += room
	}
	c := r.cur
	if len(c.frames) == cap(c.frames) {
		// Not append: the headers of earlier messages are others' to use, and
		// must not be read here. The list before this one stays as long as they do.
		more := make([][]byte, 0, max(framesEach, 2*cap(c.frames)))
		c.frames, r.start = append(more, c.frames[r.start:]...), 0
		r.memory.Count(c, int64(cap(more))*FrameCost)
	}
	c.frames = append(c.frames, body)
	r.count++
	r.bytes += size
	if flags&flagMore != 0 {
		return dst, nil
	}
	c.refs.Add(1)
	m := Message{Frames: c.frames[r.start:len(c.frames):len(c.frames)], Large: r.own, first: r.first, span: r.span + 1}
	if m.first == nil {
		m.first = c
	}
	r.start, r.count, r.bytes, r.inOwn, r.own, r.first, r.span, r.behind = len(c.frames), 0, 0, 0, 0, nil, 0, 0
	return append(dst, m), nil
}

// command takes a command that came after the handshake. It may stand between
// two frames of a message. What is not known is ignored.
func (r *Reader) command(body []byte) error {
	name, data, ok := splitCommand(body)
	switch {
	case !ok:
		return r.fail(Malformed, "a command without a name")
	case name == "ERROR":
		return r.fail(PeerRefused, "the peer refuses: %s", errorReason(data))
	case name != "PING":
		return nil
	case len(data) < 2 || len(data) > 2+pingContextMax:
		return r.fail(Malformed, "a PING of %d bytes: 2 to %d are allowed", len(data), 2+pingContextMax)
	case len(r.pongs) < pongsMax:
		r.pongs = AppendCommand(r.pongs, "PONG", data[2:])
	}
	return nil
}
