package link

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"
)

// A side is one end of a wire. A message is named by the side it goes to.
type side int

const (
	routerSide side = iota
	dealerSide
)

// A wire is one connection between a Dealer or Req link and a Router. It ends
// once and for all when it breaks; connecting again makes another wire.
type wire struct {
	id             string // the dealer's routing id
	router, dealer *memoryLink
	mute           bool          // another wire has the id: what the dealer sends is never heard
	unread         [2]int        // messages on their way to and waiting at each side
	random         [2]*rand.Rand // of the faults, one per direction so that each repeats by itself
	broken         bool
	keepUntil      time.Time // once broken: what is due later is lost
}

// An entry is something that a link will read at a time.
type entry struct {
	due    time.Time
	order  uint64 // tells entries due at the same time apart
	kind   Kind
	wire   *wire // nil for events
	to     side
	frames [][]byte
}

// join connects dealer to router.
func join(dealer, router *memoryLink, now time.Time) {
	w := &wire{id: string(dealer.options.Identity), router: router, dealer: dealer}
	if w.id == "" {
		// As libzmq does: a zero byte, then a number, new for each connection.
		w.id = string(binary.BigEndian.AppendUint32([]byte{0}, generated.Add(1)))
	}
	for s := range w.random {
		w.random[s] = rand.New(rand.NewPCG(dealer.faults.seed, dealer.stream<<32+dealer.attempts<<1+uint64(s)))
	}
	dealer.attempts++
	dealer.wire = w
	router.wires = append(router.wires, w)
	// As libzmq does: of two peers with one id, one stays connected but is
	// never heard, and notices only that nobody answers.
	if first := router.peers[w.id]; first != nil && !router.options.Handover {
		w.mute = true
	} else {
		if first != nil {
			first.mute = true
		}
		router.peers[w.id] = w
	}
	dealer.notify(Connected, now)
	router.notify(Connected, now)
}

// end returns the link at a side.
func (w *wire) end(s side) *memoryLink {
	if s == routerSide {
		return w.router
	}
	return w.dealer
}

// carry takes a message to a side, through the faults of the endpoint.
func (w *wire) carry(to side, frames [][]byte, now time.Time) {
	f, random := w.dealer.faults, w.random[to]
	// Always three draws, so that changing one probability does not move the
	// faults of the others to other messages.
	cut, lost, twice := random.Float64() < f.cut, random.Float64() < f.loss, random.Float64() < f.dup
	receiver := w.end(to)
	oversized := tooLarge(frames, receiver.options.FrameBytesMax)
	if cut || oversized {
		// As libzmq does: a link that connected to a peer which breaks the
		// rules does not connect to it again.
		w.dealer.gaveUp = oversized && to == dealerSide
		w.hangUp(now, time.Time{})
		return
	}
	if lost || (to == routerSide && w.mute) {
		return
	}
	w.deliver(receiver, to, frames, now.Add(f.delay))
	if twice {
		w.deliver(receiver, to, frames, now.Add(f.delay))
	}
	receiver.host.ring()
}

func (w *wire) deliver(receiver *memoryLink, to side, frames [][]byte, due time.Time) {
	w.unread[to]++
	receiver.inbox.add(&entry{kind: Data, due: due, wire: w, to: to, frames: copyFrames(frames)})
}

// hangUp ends the connection. Messages due after keepUntil are lost at both
// sides; the zero time loses everything that was not read. The dealer attempts
// to connect again after its ReconnectMin.
func (w *wire) hangUp(now, keepUntil time.Time) {
	if w.broken {
		return
	}
	w.broken, w.keepUntil = true, keepUntil
	w.router.wires = slices.DeleteFunc(w.router.wires, func(other *wire) bool { return other == w })
	if w.router.peers[w.id] == w {
		delete(w.router.peers, w.id)
	}
	w.dealer.wire = nil
	w.dealer.retryAt = now.Add(w.dealer.options.ReconnectMin)
	w.dealer.retryWait = w.dealer.options.ReconnectMin
	w.router.notify(Disconnected, now)
	w.dealer.notify(Disconnected, now)
}

func tooLarge(frames [][]byte, bytesMax int64) bool {
	return bytesMax > 0 && slices.ContainsFunc(frames, func(f []byte) bool { return int64(len(f)) > bytesMax })
}

// copyFrames copies frames into one new buffer. Each frame's capacity ends
// where the frame ends, so that appending to one does not spoil the next.
func copyFrames(frames [][]byte) [][]byte {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	buffer := make([]byte, 0, size)
	copied := make([][]byte, len(frames))
	for i, f := range frames {
		start := len(buffer)
		buffer = append(buffer, f...)
		copied[i] = buffer[start:len(buffer):len(buffer)]
	}
	return copied
}

// An inbox is a heap of entries, the next due first.
type inbox []*entry

var entries uint64 // entries ever made; guarded by network's lock

func (b *inbox) add(e *entry) {
	entries++
	e.order = entries
	heap.Push(b, e)
}

// Len, Less, Swap, Push and Pop implement heap.Interface.

func (b inbox) Len() int { return len(b) }

func (b inbox) Less(i, j int) bool {
	if !b[i].due.Equal(b[j].due) {
		return b[i].due.Before(b[j].due)
	}
	return b[i].order < b[j].order
}

func (b inbox) Swap(i, j int) { b[i], b[j] = b[j], b[i] }

func (b *inbox) Push(e any) { *b = append(*b, e.(*entry)) }

func (b *inbox) Pop() any {
	last := len(*b) - 1
	e := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]
	return e
}
