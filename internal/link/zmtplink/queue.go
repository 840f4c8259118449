package zmtplink

import (
	"unsafe"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// An entry is one thing to be read.
type entry struct {
	kind    link.Kind
	message zmtp.Message
}

// A segment is a piece of a queue. Those that nobody needs are kept for all
// connections: one on which nothing waits has none.
type segment struct {
	entries [18]entry
	next    *segment
}

// segmentBytes is what a segment takes: a size class of Go's.
const segmentBytes = 1024

var _ [segmentBytes - unsafe.Sizeof(segment{})]struct{}

// A queue is what waits to be read of one connection, in order.
type queue struct {
	first, last *segment
	head, tail  int // of the first, of the last
	count       int
}

func (q *queue) len() int { return q.count }

// push returns how many bytes more the queue takes.
func (q *queue) push(e entry) (more int64) {
	if q.last == nil || q.tail == len(q.last.entries) {
		s, ok := pieces.Get().(*segment)
		if !ok {
			s = new(segment)
		}
		if q.last == nil {
			q.first = s
		} else {
			q.last.next = s
		}
		q.last, q.tail, more = s, 0, segmentBytes
	}
	q.last.entries[q.tail] = e
	q.tail++
	q.count++
	return more
}

// pop returns how many bytes less the queue takes.
func (q *queue) pop() (e entry, less int64) {
	s := q.first
	e, s.entries[q.head] = s.entries[q.head], entry{}
	q.head++
	q.count--
	if q.head == len(s.entries) || q.count == 0 {
		if q.first, q.head = s.next, 0; q.first == nil {
			q.last = nil
		}
		s.next = nil
		pieces.Put(s)
		less = segmentBytes
	}
	return e, less
}

// An order is a connection's place in a list of connections.
type order struct {
	in         *orderedList
	prev, next *conn
}

// An orderedList is connections in the order in which they came.
type orderedList struct {
	first, last *conn
	count       int
}

func (l *orderedList) add(c *conn) {
	c.order = order{in: l, prev: l.last}
	if l.last != nil {
		l.last.order.next = c
	} else {
		l.first = c
	}
	l.last = c
	l.count++
}

// leave takes c off the list that it is in, if any.
func leave(c *conn) {
	l := c.order.in
	if l == nil {
		return
	}
	if c.order.prev != nil {
		c.order.prev.order.next = c.order.next
	} else {
		l.first = c.order.next
	}
	if c.order.next != nil {
		c.order.next.order.prev = c.order.prev
	} else {
		l.last = c.order.prev
	}
	l.count--
	c.order = order{}
}
