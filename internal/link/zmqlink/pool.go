package zmqlink

import "math/bits"

// A pool keeps the memory of large frames for others of about their size. New
// memory of a mebibyte costs as much as copying it several times: the kernel
// hands it out page by page, and the garbage collector comes sooner.
type pool struct {
	free  map[int][][]byte // by capacity
	bytes int
}

const poolMax = 64 << 20

// sizeOf is the capacity for n bytes: at most an eighth more.
func sizeOf(n int) int {
	step := 1 << max(bits.Len(uint(n))-4, 0)
	return (n + step - 1) / step * step
}

// get returns n bytes that hold anything.
func (p *pool) get(n int) []byte {
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

// put takes what nobody uses any more, if it has a capacity that get hands out
// and there is room.
func (p *pool) put(b []byte) {
	size := cap(b)
	if size != sizeOf(size) || p.bytes+size > poolMax {
		return
	}
	if p.free == nil {
		p.free = map[int][][]byte{}
	}
	p.free[size] = append(p.free[size], b)
	p.bytes += size
}
