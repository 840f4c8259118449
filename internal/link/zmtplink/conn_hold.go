package zmtplink

import (
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// What a connection holds that was received is counted when it is taken, with all
// that it takes beside its bytes, and never less than that: chunks with their
// lists of frames, large frames, and the queue.

// Chunk implements zmtp.Memory.
func (c *conn) Chunk(size int) *zmtp.Chunk {
	chunk := takeChunk(size).Own(c)
	c.hold(chunk.Cost)
	return chunk
}

// Free implements zmtp.Owner.
func (c *conn) Free(chunk *zmtp.Chunk) {
	c.hold(-chunk.Cost)
	chunks[class(len(chunk.Bytes))].Put(chunk)
}

// Count implements zmtp.Memory.
func (c *conn) Count(chunk *zmtp.Chunk, bytes int64) {
	chunk.Cost += bytes
	c.hold(bytes)
}

// Large implements zmtp.Memory.
func (c *conn) Large(n int) []byte {
	frame := c.socket.host.memory.takeLarge(n)
	c.hold(int64(cap(frame)))
	return frame
}

// Unlarge implements zmtp.Memory.
func (c *conn) Unlarge(frame []byte) {
	c.hold(int64(-cap(frame)))
	c.socket.host.memory.freeLarge(frame)
}

// push and pop are the inbox's. c.socket.mu is held.
func (c *conn) push(e entry) { c.hold(c.inbox.push(e)) }

func (c *conn) pop() entry {
	e, less := c.inbox.pop()
	c.hold(-less)
	return e
}

// hold counts what is received and not released, with all that it takes.
func (c *conn) hold(bytes int64) {
	c.held.Add(bytes)
	c.socket.toRead.Add(bytes)
}

// discard gives back a message that nobody will read.
func (c *conn) discard(m *zmtp.Message) {
	if m.Large > 0 {
		for _, f := range m.Frames {
			if len(f) >= link.LentMax {
				c.Unlarge(f)
			}
		}
	}
	m.Release()
}
