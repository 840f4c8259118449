package flat

import (
	"encoding/binary"
	"math/bits"
)

// Pages keeps lists of byte strings one behind the other, in pages without
// pointers. A page goes when nothing in it is of use any more; one of which little
// is left is emptied into another (Tidy). So all pages together take little more
// than what is kept in them, whatever sizes it has, and in whatever order it goes.
// The zero value is empty.
type Pages struct {
	pages  []*page
	free   []uint32 // numbers of pages that were given back
	open   *page    // what is copied goes there
	copied int      // pages of lists that were copied
	live   int64    // bytes of those lists
	whole  int64    // what lists take that were not copied
	sparse []*page  // little is left of them; not open
}

const (
	// PageBytes is how much a page takes, whatever is left of it.
	PageBytes = 64 << 10
	// WholeMin is from when on a list is not copied but kept as it is.
	WholeMin = 4096

	// A page of which less than sparsePart is left may be emptied: where all of them
	// together take more than wasteMost times what is kept, there is such a one.
	sparsePart = PageBytes * 10 / 13
	wasteMost  = 13 // tenths
	wasteFree  = 4 * PageBytes

	frameBytes = 40 // a slice, and what a small one is rounded up by
	wholeBytes = 96 // a page of a list that was not copied
	ownerBytes = 4
)

type page struct {
	number uint32
	bytes  []byte
	live   int      // bytes of lists that are kept
	place  int      // 1 + its index among the sparse ones; 0: it is none
	whole  [][]byte // or one list that is too large to be copied
	size   int64    // ... and what that takes
}

// A Place is where a list is; the zero value is nowhere.
type Place struct {
	page, offset, bytes uint32
}

// None reports whether there is nothing.
func (at Place) None() bool { return at.bytes == 0 }

// Bytes is what all pages take.
func (k *Pages) Bytes() int64 { return int64(k.copied)*PageBytes + k.whole }

// Put keeps a list for its owner, which is not 0. One that takes WholeMin bytes or
// more is not copied.
func (k *Pages) Put(owner Ref, list ...[]byte) Place {
	need := needed(list)
	if need >= WholeMin {
		p := k.add(&page{live: need, whole: append([][]byte(nil), list...), size: Cost(list...)})
		k.whole += p.size
		return Place{page: p.number, bytes: uint32(need)}
	}
	p := k.room(need)
	begin := len(p.bytes)
	p.bytes = binary.LittleEndian.AppendUint32(p.bytes, uint32(owner))
	p.bytes = binary.AppendUvarint(p.bytes, uint64(len(list)))
	for _, b := range list {
		p.bytes = append(binary.AppendUvarint(p.bytes, uint64(len(b))), b...)
	}
	return k.placed(p, begin)
}

// room is the open page, which has room for so much.
func (k *Pages) room(need int) *page {
	if p := k.open; p != nil && cap(p.bytes)-len(p.bytes) >= need {
		return p
	}
	full := k.open
	k.open = k.add(&page{bytes: make([]byte, 0, PageBytes)})
	k.copied++
	if full != nil {
		k.watch(full)
	}
	return k.open
}

// placed is the place of what was appended to p.
func (k *Pages) placed(p *page, begin int) Place {
	n := len(p.bytes) - begin
	p.live += n
	k.live += int64(n)
	return Place{p.number, uint32(begin), uint32(n)}
}

func needed(list [][]byte) int {
	n := ownerBytes + binary.MaxVarintLen32*(1+len(list))
	for _, b := range list {
		n += len(b)
	}
	return n
}

// Whole reports whether Put would not copy a list.
func Whole(list ...[]byte) bool { return needed(list) >= WholeMin }

// Cost is what a list takes that Put keeps.
func Cost(list ...[]byte) int64 {
	each, cost := frameBytes, wholeBytes
	if !Whole(list...) {
		each, cost = 0, ownerBytes+varintLen(len(list))
	}
	for _, b := range list {
		if cost += each + len(b); each == 0 {
			cost += varintLen(len(b))
		}
	}
	return int64(cost)
}

func varintLen(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

// Takes is what the list at a place takes.
func (k *Pages) Takes(at Place) int64 {
	if p := k.pages[at.page-1]; p.bytes == nil {
		return p.size
	}
	return int64(at.bytes)
}

func (k *Pages) add(p *page) *page {
	for len(k.free) > 0 && p.number == 0 {
		n := k.free[len(k.free)-1]
		if k.free = k.free[:len(k.free)-1]; int(n) <= len(k.pages) && k.pages[n-1] == nil { // others went with the end
			p.number = n
		}
	}
	if p.number == 0 {
		k.pages = append(k.pages, nil)
		p.number = uint32(len(k.pages))
	}
	k.pages[p.number-1] = p
	return p
}

// remove gives a page back of which nothing is left.
func (k *Pages) remove(p *page) {
	k.unwatch(p)
	if k.open == p {
		k.open = nil
	}
	if p.bytes != nil {
		k.copied--
	}
	k.whole -= p.size
	k.pages[p.number-1] = nil
	k.free = append(k.free, p.number)
	for n := len(k.pages); n > 0 && k.pages[n-1] == nil; n-- {
		k.pages = k.pages[:n-1]
	}
	if len(k.pages) == 0 {
		k.pages, k.free = nil, nil
	}
}

// watch notes a page of which little is left.
func (k *Pages) watch(p *page) {
	if p.place == 0 && p != k.open && p.bytes != nil && p.live < sparsePart {
		k.sparse = append(k.sparse, p)
		p.place = len(k.sparse)
	}
}

func (k *Pages) unwatch(p *page) {
	if p.place == 0 {
		return
	}
	last := len(k.sparse) - 1
	k.sparse[p.place-1] = k.sparse[last]
	k.sparse[p.place-1].place = p.place
	k.sparse[last], k.sparse = nil, k.sparse[:last]
	p.place = 0
}

// Get is the list at a place. It is valid until the list is dropped, and after Tidy
// it is at another place.
func (k *Pages) Get(at Place) [][]byte {
	p := k.pages[at.page-1]
	if p.bytes == nil {
		return p.whole
	}
	b := p.bytes[at.offset+ownerBytes : at.offset+at.bytes]
	n, used := binary.Uvarint(b)
	b = b[used:]
	list := make([][]byte, n)
	for i := range list {
		n, used := binary.Uvarint(b)
		list[i] = b[used : used+int(n) : used+int(n)]
		b = b[used+int(n):]
	}
	return list
}

// Drop lets go of the list at a place. It returns the list if it was not copied.
func (k *Pages) Drop(at Place) (whole [][]byte) {
	p := k.pages[at.page-1]
	p.live -= int(at.bytes)
	if p.bytes != nil {
		k.live -= int64(at.bytes)
		clear(p.bytes[at.offset : at.offset+ownerBytes]) // nobody's: it is not moved
	}
	if p.live == 0 {
		k.remove(p)
		return p.whole
	}
	k.watch(p)
	return nil
}

// Tidy is to be called after Drop: if pages take too much beside what is kept in
// them, it empties one. moved is told where each list is now. What Get has returned
// stays as it was.
func (k *Pages) Tidy(moved func(owner Ref, to Place)) {
	if len(k.sparse) == 0 || int64(k.copied)*PageBytes <= k.live*wasteMost/10+wasteFree {
		return
	}
	p := k.sparse[len(k.sparse)-1]
	for at := 0; at < len(p.bytes); {
		b := p.bytes[at : at+listBytes(p.bytes[at:])]
		at += len(b)
		owner := Ref(binary.LittleEndian.Uint32(b))
		if owner == 0 {
			continue
		}
		to := k.room(len(b))
		begin := len(to.bytes)
		to.bytes = append(to.bytes, b...)
		k.live -= int64(len(b))
		moved(owner, k.placed(to, begin))
	}
	k.remove(p)
}

// listBytes is how long the list at the beginning of b is.
func listBytes(b []byte) int {
	n, used := binary.Uvarint(b[ownerBytes:])
	at := ownerBytes + used
	for range n {
		size, used := binary.Uvarint(b[at:])
		at += used + int(size)
	}
	return at
}
