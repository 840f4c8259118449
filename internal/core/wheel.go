package core

import (
	"math/bits"
	"time"
)

// The wheel keeps every timer of the core: a hierarchical timing wheel of
// one-millisecond ticks, so that setting, moving and clearing a timer cost the
// same with ten requests and with a million. A timer never fires early, and
// less than a tick late.
const (
	wheelLevels = 6 // 64^6 ms is two years
	wheelTick   = time.Millisecond
	wheelFar    = 1<<(6*wheelLevels) - 1
)

// A timer is embedded in what it belongs to. The zero value is not set.
type timer struct {
	prev, next *timer
	slot       *wheelSlot
	due        uint64 // in ticks
	owner      any    // *request, *worker, …: who is called
}

type wheelSlot struct {
	head  *timer
	level uint8
	index uint8
}

type wheel struct {
	tick     uint64 // all timers due up to here have fired
	occupied [wheelLevels]uint64
	slots    [wheelLevels][64]wheelSlot
	size     int
}

func newWheel(now time.Duration) *wheel {
	w := &wheel{tick: uint64(now / wheelTick)}
	for l := range w.slots {
		for i := range w.slots[l] {
			w.slots[l][i].level, w.slots[l][i].index = uint8(l), uint8(i)
		}
	}
	return w
}

// set makes t due at due, whether it was set or not.
func (w *wheel) set(t *timer, due time.Duration) {
	ticks := w.tick + 1
	if due > 0 {
		ticks = max(ticks, uint64((due+wheelTick-1)/wheelTick))
	}
	if t.slot != nil {
		if t.due == ticks {
			return
		}
		w.clear(t)
	}
	t.due = ticks
	w.insert(t)
	w.size++
}

func (w *wheel) insert(t *timer) {
	away := min(t.due^w.tick, wheelFar)
	level := (63 - bits.LeadingZeros64(away|63)) / 6
	s := &w.slots[level][(t.due>>(6*level))&63]
	t.slot, t.prev, t.next = s, nil, s.head
	if s.head != nil {
		s.head.prev = t
	}
	s.head = t
	w.occupied[level] |= 1 << s.index
}

// clear unsets t. It may be unset already.
func (w *wheel) clear(t *timer) {
	s := t.slot
	if s == nil {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	if s.head == nil {
		w.occupied[s.level] &^= 1 << s.index
	}
	t.slot, t.prev, t.next = nil, nil, nil
	w.size--
}

// next is the tick at which the wheel must turn next: of the lowest occupied
// level, the nearest slot. Its timers are due then, or must move down a level.
func (w *wheel) next() (tick uint64, level int, slot int, ok bool) {
	for l := range w.occupied {
		if w.occupied[l] == 0 {
			continue
		}
		at := (w.tick >> (6 * l)) & 63
		ahead := uint64(bits.TrailingZeros64(bits.RotateLeft64(w.occupied[l], -int(at))))
		index := (at + ahead) & 63
		span := uint64(1) << (6 * l)
		start := w.tick&^(span*64-1) + index*span
		if start+span <= w.tick { // the slot lies in the next round
			start += span * 64
		}
		return max(start, w.tick), l, int(index), true
	}
	return 0, 0, 0, false
}

// deadline is when the wheel must turn next.
func (w *wheel) deadline() (time.Duration, bool) {
	tick, _, _, ok := w.next()
	return time.Duration(tick) * wheelTick, ok
}

// advance turns the wheel up to now and returns one timer that is due, unset,
// or nil when there is none left. Call it until it returns nil.
func (w *wheel) advance(now time.Duration) *timer {
	to := uint64(max(now, 0) / wheelTick)
	for {
		tick, level, slot, ok := w.next()
		if !ok || tick > to {
			w.tick = max(w.tick, to)
			return nil
		}
		w.tick = tick
		s := &w.slots[level][slot]
		if level == 0 {
			t := s.head
			w.clear(t)
			return t
		}
		// The timers of this slot move to lower levels, all of them at once: one
		// that fires may be set anew in a level below, which is looked at first.
		head := s.head
		s.head = nil
		w.occupied[level] &^= 1 << slot
		for t := head; t != nil; {
			next := t.next
			w.insert(t)
			t = next
		}
	}
}
