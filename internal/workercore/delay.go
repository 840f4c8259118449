package workercore

import "time"

// A delay estimates how long a message was under way beyond the least time
// seen: the two clocks have nothing in common but their speed, so only the
// difference between messages means something.
//
// The least is that of the last one to two windows of windowBeats heartbeats,
// because the clocks' speeds differ too: over a day by seconds.
type delay struct {
	seen            bool
	current, before uint32 // least difference, ours minus theirs, wrapping
	beats           int
}

const windowBeats = 32

// take notes one message and returns its delay beyond the least.
func (d *delay) take(now time.Duration, sentMS uint32, beat bool) time.Duration {
	diff := uint32(now/time.Millisecond) - sentMS
	if !d.seen {
		*d = delay{seen: true, current: diff, before: diff}
	}
	d.current = earlier(d.current, diff)
	least := earlier(d.current, d.before)
	if beat {
		if d.beats++; d.beats >= windowBeats {
			d.before, d.current, d.beats = d.current, diff, 0
		}
	}
	return ms(diff - least)
}

// earlier is the lesser of two wrapping differences.
func earlier(a, b uint32) uint32 {
	if int32(b-a) < 0 {
		return b
	}
	return a
}
