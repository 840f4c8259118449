package core

import (
	"encoding/binary"

	"github.com/privateer-mq/privateer/protocol"
)

// LentMax: slices of a message of so many bytes or more belong to the Core,
// and are not copied where they are kept.
const LentMax = 4096

// replies keeps what finished requests are answered with when they are asked
// for again, one behind the other in pages without pointers. A page goes when
// nothing in it is of use any more.
type replies struct {
	pages  []*page
	first  uint32 // number of pages[0]
	bytes  int64  // of all pages, as they are in memory
	oldest ref
	newest ref
}

const pageBytes = 64 << 10

type page struct {
	bytes []byte
	live  int
	// Or one reply that is too large to be copied.
	meta protocol.Meta
	body [][]byte
}

// A place is where a reply is. Bytes 0: there is none.
type place struct {
	page, offset, bytes uint32
	size                uint32 // of the body's frames together
}

// put keeps the reply of f.
func (k *replies) put(l *ledger, f *finished, meta protocol.Meta, body [][]byte) {
	if len(meta) == 0 && len(body) == 0 {
		return
	}
	size := bodyBytes(body)
	need := int(size) + len(meta) + binary.MaxVarintLen32*(2+len(body))
	f.at.size = uint32(size)
	if need >= LentMax {
		k.add(&page{live: 1, meta: clone(meta), body: cloneFrames(body)}, int64(need))
		f.at.page, f.at.bytes = k.last(), uint32(need)
	} else {
		if n := len(k.pages); n == 0 || k.pages[n-1] == nil || cap(k.pages[n-1].bytes)-len(k.pages[n-1].bytes) < need {
			k.add(&page{bytes: make([]byte, 0, pageBytes)}, pageBytes)
		}
		p := k.pages[len(k.pages)-1]
		begin := len(p.bytes)
		p.bytes = append(binary.AppendUvarint(p.bytes, uint64(len(meta))), meta...)
		p.bytes = binary.AppendUvarint(p.bytes, uint64(len(body)))
		for _, frame := range body {
			p.bytes = append(binary.AppendUvarint(p.bytes, uint64(len(frame))), frame...)
		}
		p.live++
		f.at.page, f.at.offset, f.at.bytes = k.last(), uint32(begin), uint32(len(p.bytes)-begin)
	}
	f.keptPrev, f.keptNext = k.newest, 0
	if k.newest != 0 {
		l.get(k.newest).keptNext = f.self
	} else {
		k.oldest = f.self
	}
	k.newest = f.self
}

func (k *replies) last() uint32 { return k.first + uint32(len(k.pages)) - 1 }

func (k *replies) add(p *page, bytes int64) {
	k.pages = append(k.pages, p)
	k.bytes += bytes
}

// get is the reply of f, to be sent before the next one is put.
func (k *replies) get(f *finished) (meta protocol.Meta, body [][]byte) {
	if f.at.bytes == 0 {
		return nil, nil
	}
	p := k.pages[f.at.page-k.first]
	if p.bytes == nil {
		return p.meta, p.body
	}
	b := p.bytes[f.at.offset : f.at.offset+f.at.bytes]
	field := func() []byte {
		n, used := binary.Uvarint(b)
		v := b[used : used+int(n) : used+int(n)]
		b = b[used+int(n):]
		return v
	}
	meta = protocol.Meta(field())
	n, used := binary.Uvarint(b)
	b = b[used:]
	body = make([][]byte, n)
	for i := range body {
		body[i] = field()
	}
	return meta, body
}

// drop lets go of the reply of f. It returns the body if that was not copied.
func (k *replies) drop(l *ledger, f *finished) (whole [][]byte) {
	if f.at.bytes == 0 {
		return nil
	}
	if f.keptPrev != 0 {
		l.get(f.keptPrev).keptNext = f.keptNext
	} else {
		k.oldest = f.keptNext
	}
	if f.keptNext != 0 {
		l.get(f.keptNext).keptPrev = f.keptPrev
	} else {
		k.newest = f.keptPrev
	}
	f.keptPrev, f.keptNext = 0, 0
	p := &k.pages[f.at.page-k.first]
	if (*p).live--; (*p).live == 0 {
		if (*p).bytes != nil {
			k.bytes -= pageBytes
		} else {
			k.bytes -= int64(f.at.bytes)
			whole = (*p).body
		}
		*p = nil
		for len(k.pages) > 0 && k.pages[0] == nil {
			k.pages, k.first = k.pages[1:], k.first+1
		}
	}
	f.at = place{}
	return whole
}

// clone and cloneFrames copy what is lent, and nothing else.
func clone(b []byte) []byte {
	if len(b) == 0 || len(b) >= LentMax {
		return b
	}
	return append(make([]byte, 0, len(b)), b...)
}

func cloneFrames(frames [][]byte) [][]byte {
	if frames == nil {
		return nil
	}
	own := make([][]byte, len(frames))
	for i, f := range frames {
		own[i] = clone(f)
	}
	return own
}
