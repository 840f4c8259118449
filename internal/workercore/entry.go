package workercore

import (
	"container/heap"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// never is the due time of an entry that waits for no time.
const never = time.Duration(1<<63 - 1)

// An entry is one request that this session holds or remembers. Its state is
// the list it is in; it is always in exactly one, and in the heap of times.
type entry struct {
	Fence                    // of the newest hand-over, which a reply echoes
	flags     protocol.Flags // AtMostOnce, MaybeRerun, Partial
	digest    uint64
	service   string
	body      [][]byte // the request's; nil once started
	meta      protocol.Meta
	deadline  time.Duration
	runEnds   time.Duration // when the handler's context ends: the deadline at its start
	takenAt   time.Duration
	waited    time.Duration // in the broker, before it was taken
	movedAt   time.Duration // started, or last progress
	toldAt    time.Duration // last PROGRESS sent
	forgetAt  time.Duration // once acknowledged: when the id goes
	slot      bool          // a handler runs for it, and has not returned
	answered  bool          // ... though the reply has been given
	cancelled bool          // the broker's CANCEL came while it ran
	withdrawn bool          // ... because the client withdrew it
	expired   bool          // ... because its deadline passed

	grant  uint32  // parts of the reply that may be sent at first
	stream *stream // running: the reply in parts

	code       protocol.Code   // of the reply, once there is one
	end        protocol.Stream // ... of a reply in parts
	replyFlags protocol.Flags
	replyMeta  protocol.Meta
	reply      [][]byte
	bytes      int64 // of reply and replyMeta
	unsent     bool  // the reply could not be sent

	due        time.Duration
	heapIndex  int
	in         *entryList
	prev, next *entry
}

// final reports whether e's reply may answer a later hand-over of its id. A
// run that the broker cancelled counts only if it got to its end all the same.
func (e *entry) final() bool {
	return e.code.Final() && !e.withdrawn && (!e.cancelled || e.code == protocol.OK)
}

// contextOver reports whether the context of e's run has ended.
func (e *entry) contextOver(now time.Duration) bool {
	return e.cancelled || e.answered || now >= e.runEnds
}

// An entryList is a queue of entries, linked through the entries themselves.
type entryList struct {
	state       protocol.State
	first, last *entry
	n           int
}

func (l *entryList) push(e *entry) {
	e.in, e.prev, e.next = l, l.last, nil
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
}

func (l *entryList) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.in, e.prev, e.next = nil, nil, nil
	l.n--
}

// A timeHeap orders entries by due time, then by id, so that equal times have
// one order.
type timeHeap []*entry

func (h timeHeap) Len() int { return len(h) }
func (h timeHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return string(h[i].ID[:]) < string(h[j].ID[:])
}
func (h timeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push is for package heap.
func (h *timeHeap) Push(x any) {
	e := x.(*entry)
	e.heapIndex = len(*h)
	*h = append(*h, e)
}

// Pop is for package heap.
func (h *timeHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

func (s *Session) schedule(e *entry, due time.Duration) {
	e.due = due
	heap.Fix(&s.times, e.heapIndex)
}
