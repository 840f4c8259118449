// Package pool keeps the memory of large frames for others of about their size.
package pool

import "math/bits"

// A Pool keeps memory. New memory of a mebibyte costs as much as copying it
// several times: the kernel hands it out page by page, and the garbage
// collector comes sooner. The zero value is ready to use, by one goroutine.
type Pool struct {
	free  map[int][][]byte // by capacity
	bytes int
}

// BytesMax is the most that a pool keeps.
const BytesMax = 64 << 20

// sizeOf is the capacity for n bytes: at most an eighth more.
func sizeOf(n int) int {
	step := 1 << max(bits.Len(uint(n))-4, 0)
	return (n + step - 1) / step * step
}

// Get returns n bytes that hold anything.
func (p *Pool) Get(n int) []byte {
	size := sizeOf(n)
	list := p.free[size]
	if len(list) == 0 {
		return make([]byte, n, size)
	}
	b := list[len(list)-1]
	list[len(list)-1] = nil
	p.free[size] = list[:len(list)-1]
	p.bytes -= size
	return b[:n]
}

// Put takes what nobody uses any more, if it has a capacity that Get hands out
// and there is room.
func (p *Pool) Put(b []byte) {
	size := cap(b)
	if size != sizeOf(size) || p.bytes+size > BytesMax {
		return
	}
	if p.free == nil {
		p.free = map[int][][]byte{}
	}
	p.free[size] = append(p.free[size], b)
	p.bytes += size
}

// Bytes is how much is kept.
func (p *Pool) Bytes() int { return p.bytes }
