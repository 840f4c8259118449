// Package flat keeps millions of small things in memory that the garbage
// collector need not look into: records that are named by numbers, and byte
// strings one behind the other in pages.
package flat

// A Ref names a record; 0 names none.
type Ref uint32

const chunkSize = 1024

// Records holds values of a type without pointers. The zero value is empty. It
// gives memory back in chunks, when all records of one were removed.
type Records[T any] struct {
	chunks []*chunk[T]
	holes  []uint32 // numbers of chunks that were given back
	roomy  []uint32 // chunks with room, the last one is used first
	size   int
}

type chunk[T any] struct {
	records [chunkSize]T
	used    [chunkSize]bool
	free    []uint16 // records not in use
}

// Len is how many there are.
func (r *Records[T]) Len() int { return r.size }

// Get is the record of that name. It is valid until it is removed.
func (r *Records[T]) Get(ref Ref) *T {
	return &r.chunks[(ref-1)/chunkSize].records[(ref-1)%chunkSize]
}

// Add makes room for a record.
func (r *Records[T]) Add() (Ref, *T) {
	if len(r.roomy) == 0 {
		r.roomy = append(r.roomy, r.newChunk())
	}
	n := r.roomy[len(r.roomy)-1]
	c := r.chunks[n]
	i := c.free[len(c.free)-1]
	if c.free = c.free[:len(c.free)-1]; len(c.free) == 0 {
		r.roomy = r.roomy[:len(r.roomy)-1]
	}
	c.used[i] = true
	r.size++
	return Ref(n*chunkSize + uint32(i) + 1), &c.records[i]
}

func (r *Records[T]) newChunk() uint32 {
	c := &chunk[T]{free: make([]uint16, chunkSize)}
	for i := range c.free {
		c.free[i] = uint16(chunkSize - 1 - i)
	}
	if n := len(r.holes); n > 0 {
		number := r.holes[n-1]
		r.holes = r.holes[:n-1]
		r.chunks[number] = c
		return number
	}
	r.chunks = append(r.chunks, c)
	return uint32(len(r.chunks) - 1)
}

// Remove forgets a record.
func (r *Records[T]) Remove(ref Ref) {
	n := uint32(ref-1) / chunkSize
	c := r.chunks[n]
	i := uint16((ref - 1) % chunkSize)
	var none T
	c.records[i], c.used[i] = none, false
	r.size--
	if c.free = append(c.free, i); len(c.free) == 1 {
		r.roomy = append(r.roomy, n)
	}
	if len(c.free) < chunkSize || len(r.roomy) == 1 {
		return
	}
	for i, other := range r.roomy { // it is near the end: records end in about the order in which they began
		if other == n {
			r.roomy = append(r.roomy[:i], r.roomy[i+1:]...)
			break
		}
	}
	r.chunks[n] = nil
	r.holes = append(r.holes, n)
}

// All walks the records, in the order of their names.
func (r *Records[T]) All(yield func(Ref, *T) bool) {
	for n, c := range r.chunks {
		if c == nil {
			continue
		}
		for i := range c.records {
			if c.used[i] && !yield(Ref(n*chunkSize+i+1), &c.records[i]) {
				return
			}
		}
	}
}
