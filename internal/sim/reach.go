package sim

import (
	"slices"
	"time"
)

// Whether a worker and the broker could reach each other, as nobody but the
// oracle knows: from what was done to them, not from what they believe.

// A trouble is a time in which a worker may have been out of the broker's
// reach.
type trouble struct {
	from, to time.Duration
	why      string
}

const untilBack = "cut"

func (s *workerSeat) trouble(from, to time.Duration, why string) {
	s.troubles = append(s.troubles, trouble{from, to, why})
}

// troubleUntilBack begins a trouble that ends with the next connection.
func (s *workerSeat) troubleUntilBack(w *world) { s.trouble(w.now, never, untilBack) }

// back: the worker has a connection that the broker knows.
func (s *workerSeat) back(now time.Duration) {
	for _, list := range [][]trouble{s.troubles, s.away} {
		for i := range list {
			if t := &list[i]; t.to == never {
				t.to = now
			}
		}
	}
}

// leaves: the worker has none any more.
func (s *workerSeat) leaves(now time.Duration) {
	if n := len(s.away); n == 0 || s.away[n-1].to != never {
		s.away = append(s.away, trouble{now, never, "not connected"})
	}
}

// troubled sums up what was done to a worker between two moments: to its
// connections, and of all kinds.
func (s *workerSeat) troubled(from, to time.Duration) (all time.Duration) {
	for _, t := range s.troubles {
		all += max(0, min(t.to, to)-max(t.from, from))
	}
	return all
}

// inReach is the longest time between two moments in which the worker at s and
// a broker could hear each other: both were there and ran, with a connection
// that passed messages both ways.
func (o *oracle) inReach(s *workerSeat, from, to time.Duration) (longest time.Duration) {
	apart := slices.Concat(s.troubles, s.away, o.trouble)
	last := time.Duration(0)
	for _, b := range o.starts {
		apart = append(apart, trouble{last, b.from, "no broker"})
		last = b.to
	}
	if last != never {
		apart = append(apart, trouble{last, never, "no broker"})
	}
	slices.SortFunc(apart, func(a, b trouble) int { return int(a.from - b.from) })
	at := from
	for _, t := range apart {
		if t.to <= at {
			continue
		}
		longest = max(longest, min(t.from, to)-at)
		if at = t.to; at >= to {
			return longest
		}
	}
	return max(longest, to-at)
}

// apart reports whether the worker at s and its broker had reason not to hear
// of each other between two moments: in reach, each says something with every
// heartbeat.
func (o *oracle) apart(s *workerSeat, from, to time.Duration, beats int) bool {
	return o.inReach(s, from, to) <= time.Duration(beats)*o.w.plan.core.Heartbeat+onTheWay
}

// onTheWay is what a message and its answer take where nothing is wrong.
const onTheWay = 40 * time.Millisecond

func (o *oracle) silence() time.Duration {
	return o.w.plan.core.Heartbeat * time.Duration(o.w.plan.core.Liveness)
}

// brokerStood is how long brokers stood still between two moments.
func (o *oracle) brokerStood(from, to time.Duration) (d time.Duration) {
	for _, t := range o.trouble {
		d += max(0, min(t.to, to)-max(t.from, from))
	}
	return d
}

// brokerKnows is how much of that brokers know of: of a stop longer than a
// heartbeat, all but the wait that it began in.
func (o *oracle) brokerKnows(from, to time.Duration) (d time.Duration) {
	for _, t := range o.trouble {
		if t.to-t.from > o.w.plan.core.Heartbeat {
			d += max(0, min(t.to, to)-max(t.from, from)-brokerWaitMax)
		}
	}
	return d
}

const backlog = 30 * time.Millisecond // after a stop: what is read may have waited

// brokerStops is the whole length of the stops that overlap with a time.
func (o *oracle) brokerStops(from, to time.Duration) (d time.Duration) {
	for _, t := range o.trouble {
		if t.from < to && t.to+backlog > from {
			d += t.to - t.from
		}
	}
	return d
}

func (o *oracle) frozenBroker(d time.Duration) {
	if n := len(o.trouble); n > 0 && o.trouble[n-1].to > o.w.now-10*time.Millisecond { // it has not turned in between
		o.trouble[n-1].to = max(o.trouble[n-1].to, o.w.now+d)
		return
	}
	o.trouble = append(o.trouble, trouble{o.w.now, o.w.now + d, "frozen"})
}
