package zmtp

import (
	"bytes"
	"fmt"
	"testing"
)

// memory counts what a Reader has, and writes over what it gives back, so that
// whoever still uses it reads nonsense.
type memory struct {
	t      testing.TB
	chunks map[*Chunk]bool
	large  map[*byte]bool
	cost   int64
	spare  []*Chunk
}

func newMemory(t testing.TB) *memory {
	return &memory{t: t, chunks: map[*Chunk]bool{}, large: map[*byte]bool{}}
}

func (m *memory) Chunk(size int) *Chunk {
	var c *Chunk
	if n := len(m.spare); n > 0 && len(m.spare[n-1].Bytes) == size {
		c, m.spare = m.spare[n-1], m.spare[:n-1]
	} else {
		c = &Chunk{Bytes: make([]byte, size)}
	}
	m.chunks[c] = true
	c.Own(m)
	m.cost += c.Cost
	return c
}

func (m *memory) Free(c *Chunk) {
	if !m.chunks[c] {
		m.t.Fatal("a chunk is given back twice")
	}
	delete(m.chunks, c)
	m.cost -= c.Cost
	for i := range c.Bytes {
		c.Bytes[i] = 0xdb
	}
	m.spare = append(m.spare, c)
}

func (m *memory) Count(c *Chunk, bytes int64) { c.Cost, m.cost = c.Cost+bytes, m.cost+bytes }

func (m *memory) Large(n int) []byte {
	b := make([]byte, n)
	m.large[&b[0]] = true
	return b
}

func (m *memory) Unlarge(b []byte) {
	if !m.large[&b[0]] {
		m.t.Fatal("a large frame is given back twice")
	}
	delete(m.large, &b[0])
}

// covers reports whether less is counted than is there: the chunks with their lists
// of frames, and the frames of messages that lie in an earlier list of a chunk.
func (m *memory) covers(held []Message) error {
	least, listed := int64(0), map[*[]byte]bool{}
	for c := range m.chunks {
		least += int64(len(c.Bytes)) + int64(cap(c.frames))*FrameCost
		for i := range c.frames {
			listed[&c.frames[i]] = true
		}
	}
	for i := range held {
		if f := held[i].Frames; !listed[&f[0]] {
			least += int64(len(f)) * FrameCost
		}
	}
	if m.cost < least {
		return fmt.Errorf("%d bytes are counted, and there are %d at least", m.cost, least)
	}
	return nil
}

// empty reports what a closed reader has left behind, once large frames that
// messages have carried away are named.
func (m *memory) empty(carried int) error {
	if len(m.chunks) > 0 || m.cost != 0 || len(m.large) != carried {
		return fmt.Errorf("%d chunks, %d bytes and %d large frames are left, want none and %d", len(m.chunks), m.cost, len(m.large), carried)
	}
	return nil
}

// splits cuts input where the bytes of at say, or in two behind cut bytes.
type splits struct {
	at  []byte
	n   int
	cut int
}

// next is how much is read next, at most.
func (s *splits) next(most int) int {
	if s.cut > 0 {
		n := min(s.cut, most)
		s.cut -= n
		return n
	}
	if len(s.at) == 0 {
		return most
	}
	n := int(s.at[s.n%len(s.at)])
	s.n++
	return min(max(n, 1), most)
}

// text is all that a test wants to see of a message.
func text(frames [][]byte) string {
	var b bytes.Buffer
	for _, f := range frames {
		if len(f) > 40 {
			fmt.Fprintf(&b, "[%d %x…%x]", len(f), f[:4], f[len(f)-4:])
		} else {
			fmt.Fprintf(&b, "%q", f)
		}
	}
	return b.String()
}

// message encodes frames as one message.
func message(frames ...string) []byte {
	var b []byte
	for i, f := range frames {
		flags := byte(More)
		if i == len(frames)-1 {
			flags = Last
		}
		b = append(AppendHeader(b, flags, len(f)), f...)
	}
	return b
}

// A result is what became of a stream.
type result struct {
	messages []string
	pongs    []byte
	err      string
}

// read feeds a stream to a reader, with reads as splits says, and releases
// messages some time after they came, as hold says.
func read(t testing.TB, stream []byte, l Limits, x Transform, largeMin int, s splits, hold int) (got result) {
	m := newMemory(t)
	r := NewReader(l, m, x, largeMin, 0)
	var held []Message
	carried := 0
	release := func(keep int) {
		for ; len(held) > keep; held = held[1:] {
			got.messages = append(got.messages, text(held[0].Frames))
			for _, f := range held[0].Frames {
				if len(f) >= largeMin {
					carried++
				}
			}
			held[0].Release()
		}
	}
	for len(stream) > 0 && got.err == "" {
		room := r.Room()
		if len(room) == 0 {
			t.Fatal("no room")
		}
		n := copy(room, stream[:s.next(min(len(room), len(stream)))])
		stream = stream[n:]
		var err error
		before := len(held)
		held, err = r.Filled(n, held)
		if err != nil {
			got.err = err.Error()
		}
		got.pongs = append(got.pongs, r.Pongs()...)
		release(hold)
		if len(held) == before && n%3 == 0 {
			r.Idle()
		}
		if u := r.Unfinished(); u < 0 || (u > 0) != (r.large != nil || r.count > 0 || r.cur != nil && r.end > r.pos) {
			t.Fatalf("%d bytes are unfinished", u)
		}
		if len(stream)%64 == 0 { // it takes long
			if err := m.covers(held); err != nil {
				t.Fatal(err)
			}
		}
	}
	release(0)
	r.Close()
	if err := m.empty(carried); err != nil && x == nil {
		t.Fatal(err)
	}
	return got
}

// pinned is how many frames the list of a chunk still names beyond its end.
func pinned(c *Chunk) (n int) {
	for _, f := range c.frames[len(c.frames):cap(c.frames)] {
		if f != nil {
			n++
		}
	}
	return n
}
