package zmtplink

import (
	"math/bits"
	"sync"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/pool"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// memory is what the connections of a host read into and send from.
type memory struct {
	mu    sync.Mutex
	large pool.Pool
	loans map[*byte]loan // large frames that wait to be sent from where they are
}

// A loan is a frame that was lent to links, by its first byte.
type loan struct {
	frame    []byte
	count    int  // how many messages it is in
	recycled bool // the owner has given it back meanwhile
}

func (m *memory) takeLarge(n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.large.Get(n)
}

func (m *memory) freeLarge(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.large.Put(b)
}

// borrow notes that a frame waits to be sent.
func (m *memory) borrow(frame []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := &frame[0]
	if m.loans == nil {
		m.loans = map[*byte]loan{}
	}
	l := m.loans[first]
	l.count++
	m.loans[first] = l
}

// giveBack notes that a frame was sent, or will not be.
func (m *memory) giveBack(frame []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := &frame[0]
	l := m.loans[first]
	if l.count--; l.count > 0 {
		m.loans[first] = l
		return
	}
	delete(m.loans, first)
	if l.recycled {
		m.large.Put(l.frame)
	}
}

// recycle takes what the owner does not use any more, now or when it was sent.
func (m *memory) recycle(frames [][]byte) {
	if len(frames) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range frames {
		if len(f) < link.LentMax {
			continue
		}
		if l, out := m.loans[&f[0]]; out {
			l.frame, l.recycled = f, true
			m.loans[&f[0]] = l
			continue
		}
		m.large.Put(f)
	}
}

// Chunks of memory come in sizes that double, from zmtp.ChunkBytesMin to
// zmtp.ChunkBytesMax. They are kept for all hosts of the process; the garbage
// collector takes those that nobody needs for a while.
const chunkSizes = 6

var (
	chunks  [chunkSizes]sync.Pool // *zmtp.Chunk, to read into
	buffers [chunkSizes]sync.Pool // *buffer, to send from
	batches sync.Pool             // *batch
	pieces  sync.Pool             // *segment
	lists   sync.Pool             // *[partsFew]part
)

const partsFew = 8 // a list of parts begins with so many

func takeParts() []part {
	if list, ok := lists.Get().(*[partsFew]part); ok {
		return list[:0]
	}
	return make([]part, 0, partsFew)
}

// freeParts takes a list back, if it is as short as those that are kept.
func freeParts(list []part) {
	if cap(list) == partsFew {
		kept := (*[partsFew]part)(list[:partsFew])
		clear(kept[:])
		lists.Put(kept)
	}
}

// A batch is the messages that one read has made whole. It is used while they are
// taken, so that no connection keeps one.
type batch struct{ list []zmtp.Message }

const batchKept = 1024 // a longer list is not kept

func takeBatch() *batch {
	if b, ok := batches.Get().(*batch); ok {
		return b
	}
	return new(batch)
}

func (b *batch) release() {
	if clear(b.list); cap(b.list) > batchKept {
		return
	}
	b.list = b.list[:0]
	batches.Put(b)
}

var _ = [1]struct{}{}[zmtp.ChunkBytesMax-zmtp.ChunkBytesMin<<(chunkSizes-1)]

// class is which size holds n bytes.
func class(n int) int { return max(bits.Len(uint(n-1))-bits.Len(uint(zmtp.ChunkBytesMin-1)), 0) }

// A buffer holds encoded frames, one behind the other.
type buffer struct {
	bytes []byte
	refs  int // parts that lie in it, and one while it is appended to
}

func takeBuffer(n int) *buffer {
	c := class(n)
	if b, ok := buffers[c].Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, zmtp.ChunkBytesMin<<c)}
}

// release returns how many bytes went back.
func (b *buffer) release() int64 {
	if b.refs--; b.refs > 0 {
		return 0
	}
	buffers[class(len(b.bytes))].Put(b)
	return int64(len(b.bytes))
}

func takeChunk(n int) *zmtp.Chunk {
	c := class(n)
	if chunk, ok := chunks[c].Get().(*zmtp.Chunk); ok {
		return chunk
	}
	return &zmtp.Chunk{Bytes: make([]byte, zmtp.ChunkBytesMin<<c)}
}
