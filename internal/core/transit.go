package core

import "time"

// How long a client's message was on its way: REQUEST carries its client's
// clock, and what one message took longer than others of that client is its
// age. A copy that crawled along an old connection is then known to be older
// than its deadline, whoever has forgotten its id meanwhile.

// A transit is what is known of one client instance. Its clock and this one
// have nothing in common but their speed, so only differences between messages
// mean something. All numbers are milliseconds and wrap.
type transit struct {
	newest          uint32 // the latest moment of sending that was read
	read            uint32 // ... and when
	current, before uint32 // least difference, this clock less the client's, of the last two windows
	began           uint32 // the current window
}

const (
	// What is less than agedMin is not worth the memory of a request of its own.
	agedMin = 50 * time.Millisecond

	transitWindow = 5_000            // ms; clocks run apart, and a client's may have stood still
	transitPause  = 60_000           // ms of silence, after which it is known anew: it may have slept
	transitsMax   = 1 << 15          // instances of each generation
	transitsKept  = 10 * time.Minute // of an instance that says nothing, at least
)

// transits are those of all clients: of two generations, so that instances that
// say nothing any more are forgotten without a timer each.
type transits struct {
	young, old map[uint64]transit
	began      time.Duration
}

// age is how much longer the message sent at sentMS was on its way than the
// quickest of its instance; known is false if it is the first one. full: there
// was no room, and instances not heard of lately were forgotten.
func (ts *transits) age(now time.Duration, instance uint64, sentMS uint32) (age time.Duration, known, full bool) {
	t, known := ts.young[instance]
	if !known {
		t, known = ts.old[instance]
		full = ts.turnOver(now)
	}
	ms := uint32(now / time.Millisecond)
	diff := ms - sentMS
	overtaken := known && earlier(sentMS, t.newest) && sentMS != t.newest
	known = overtaken || known && ms-t.read < transitPause
	switch {
	case !known:
		t = transit{newest: sentMS, read: ms, current: diff, before: diff, began: ms}
	case overtaken:
		age = fromMS(ms - t.read + t.newest - sentMS)
	default:
		if ms-t.began >= transitWindow {
			t.before, t.current, t.began = t.current, diff, ms
		}
		if earlier(diff, t.current) {
			t.current = diff
		}
		least := t.before
		if earlier(t.current, least) {
			least = t.current
		}
		t.newest, t.read = sentMS, ms
		age = fromMS(diff - least)
	}
	if ts.young == nil {
		ts.young = map[uint64]transit{}
	}
	ts.young[instance] = t
	return age, known, full
}

// turnOver begins a new generation when it is time, or the young one is full.
func (ts *transits) turnOver(now time.Duration) (full bool) {
	full = len(ts.young) >= transitsMax
	if full || now-ts.began >= transitsKept {
		ts.old, ts.young, ts.began = ts.young, nil, now
	}
	return full
}

// earlier reports whether a comes before b, on clocks that wrap.
func earlier(a, b uint32) bool { return int32(a-b) <= 0 }
