package zmtp

import "sync/atomic"

// A Chunk is memory that received frames lie in, one behind the other. It goes
// back to its owner when the reader is done with it and every message that
// lies in it was released.
type Chunk struct {
	Bytes []byte
	// Cost is what it takes, in bytes, as its reader has told the Memory: Bytes, and
	// all lists of frames that somebody may still use. It is never less than that.
	Cost int64

	owner  Owner
	frames [][]byte
	next   *Chunk // where the message goes on that does not end here
	refs   atomic.Int32
}

// An Owner takes chunks back. It must be safe for concurrent use.
type Owner interface{ Free(*Chunk) }

// Own makes c the chunk of one reader, and counts the reader as its first user.
func (c *Chunk) Own(o Owner) *Chunk {
	c.owner, c.next = o, nil
	c.Cost = c.takes()
	c.refs.Store(1)
	return c
}

// takes is what c takes when no message lies in it.
func (c *Chunk) takes() int64 {
	return chunkCost + int64(len(c.Bytes)) + int64(cap(c.frames))*FrameCost
}

func (c *Chunk) release() {
	if c.refs.Add(-1) == 0 {
		c.forget()
		c.owner.Free(c)
	}
}

// FrameCost is what a frame takes beside its bytes.
const FrameCost = 24

const (
	chunkCost  = 128 // what a Chunk takes beside its bytes and lists
	framesEach = 64  // the shortest list of frames
)

// forget makes the list of frames empty, when nobody uses it any more. What stood
// in it would keep large frames in memory, as long as the chunk is kept for others.
// A list that takes more than the chunk's bytes is not kept.
func (c *Chunk) forget() {
	if cap(c.frames) > max(len(c.Bytes)/FrameCost, framesEach) {
		c.frames = nil
	}
	clear(c.frames)
	c.frames = c.frames[:0]
}

// A Message is one whole message.
type Message struct {
	Frames [][]byte
	Large  int64 // what frames take that lie in memory of their own, in bytes
	first  *Chunk
	span   int // how many chunks it lies in
}

// Release gives back the chunks that m lies in. Large frames stay.
func (m *Message) Release() {
	c := m.first
	for left := m.span; left > 0; left-- {
		var next *Chunk
		if left > 1 { // the last one's is the reader's to write
			next = c.next
		}
		c.release()
		c = next
	}
	*m = Message{}
}
