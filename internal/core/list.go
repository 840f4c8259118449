package core

// A list is a doubly linked list through nodes embedded in its members, so
// that joining and leaving allocate nothing and cost the same at any length.
// An element is on at most one list through one node.
type list[T interface {
	comparable
	hook() *node[T]
}] struct {
	head, tail T
	size       int
}

// A node is what a member embeds for one list.
type node[T comparable] struct {
	prev, next T
	on         bool
}

func (l *list[T]) pushBack(x T) {
	h := x.hook()
	if h.on {
		panic("core: element is on a list already")
	}
	var none T
	h.prev, h.next, h.on = l.tail, none, true
	if l.tail != none {
		l.tail.hook().next = x
	} else {
		l.head = x
	}
	l.tail = x
	l.size++
}

func (l *list[T]) pushFront(x T) {
	h := x.hook()
	if h.on {
		panic("core: element is on a list already")
	}
	var none T
	h.prev, h.next, h.on = none, l.head, true
	if l.head != none {
		l.head.hook().prev = x
	} else {
		l.tail = x
	}
	l.head = x
	l.size++
}

func (l *list[T]) remove(x T) {
	h := x.hook()
	if !h.on {
		panic("core: element is not on a list")
	}
	var none T
	if h.prev != none {
		h.prev.hook().next = h.next
	} else {
		l.head = h.next
	}
	if h.next != none {
		h.next.hook().prev = h.prev
	} else {
		l.tail = h.prev
	}
	*h = node[T]{}
	l.size--
}
