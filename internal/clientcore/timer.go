package clientcore

import "time"

// A timer is one pending moment of a call, a withdrawal or a link. Each owner
// has one. The zero value is not armed.
type timer struct {
	due   time.Duration
	order uint64 // of arming: equal moments fire in it
	slot  int    // in the heap, plus 1; 0: not armed
	owner any
}

// timers is a heap of armed timers, earliest first.
type timers struct {
	heap   []*timer
	orders uint64
}

// arm sets t to due, whether or not it is armed.
func (h *timers) arm(t *timer, due time.Duration) {
	h.orders++
	t.due, t.order = due, h.orders
	if t.slot == 0 {
		h.heap = append(h.heap, t)
		t.slot = len(h.heap)
	}
	h.fix(t.slot - 1)
}

// disarm takes t out, if it is armed.
func (h *timers) disarm(t *timer) {
	if t.slot == 0 {
		return
	}
	i, last := t.slot-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.slot = 0
	if i < last {
		h.fix(i)
	}
}

func (h *timers) pop() *timer {
	t := h.heap[0]
	h.disarm(t)
	return t
}

func (h *timers) init() {
	for i := len(h.heap)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *timers) less(i, j int) bool {
	a, b := h.heap[i], h.heap[j]
	return a.due < b.due || a.due == b.due && a.order < b.order
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].slot, h.heap[j].slot = i+1, j+1
}

func (h *timers) fix(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	h.down(i)
}

func (h *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			return
		}
		if child+1 < len(h.heap) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			return
		}
		h.swap(i, child)
		i = child
	}
}
