package sim

import (
	"slices"
	"time"
)

// A request whose client can wait must end well, unless there was more to do
// than the workers could: whether one of them had room for it is known here from
// what the handlers really did, not from what the broker believes.

const (
	// handOvers is how long workers may have room beside a request that waits, all
	// in all: between one run and the next, in the grace of a worker that was lost.
	handOvers = time.Second
	// restMax is how long a request rests at most before its next attempt: a
	// heartbeat, or what its handler's wish for another one costs.
	restMax = time.Second
	// takenMax is how long a handler may wait until a part of its reply is taken:
	// a caller consumes each within a second. Longer, and it does no work.
	takenMax = 1100 * time.Millisecond
)

// settled is within what time after the last fault everything must be at work
// again (G15).
func (p *plan) settled() time.Duration {
	return 3*p.core.Heartbeat + reconnectMax + connectTimeout + 4*time.Second
}

// crowded reports whether c's request could not be run in time: since all was
// well again, and until its deadline, no worker has had room for it.
func (o *oracle) crowded(c *call) bool {
	calm := max(o.w.plan.calm, o.starts[len(o.starts)-1].from) // a drain may outlast the first phase
	well := calm + o.w.plan.settled()
	return well < c.deadline && o.room(c.request, well, c.deadline) <= handOvers+time.Duration(len(c.request.lost))*restMax
}

// outranLease reports whether a run of q went on for longer than its lease: the
// next one will, too.
func (q *request) outranLease() bool {
	for _, h := range q.past {
		for _, r := range q.runs {
			if h.gaveUp == whyLease && h.is(r.worker, r.attempt, r.epoch) && r.ended-r.started > r.worker.w.plan.core.Lease {
				return true
			}
		}
	}
	return false
}

// room sums up when q waited beside a worker that had room for it.
func (o *oracle) room(q *request, from, to time.Duration) (d time.Duration) {
	marks := []time.Duration{from, to}
	mark := func(at ...time.Duration) {
		for _, t := range at {
			if t > from && t < to {
				marks = append(marks, t)
			}
		}
	}
	for _, p := range o.workers {
		mark(p.since, p.endedAt)
	}
	for _, other := range o.requests {
		mark(other.aloneAt, other.over)
		for _, r := range other.runs {
			mark(r.started, r.ended)
			for _, t := range r.untaken {
				mark(t.from+takenMax, t.to)
			}
		}
	}
	slices.Sort(marks)
	for i, t := range marks[1:] {
		if begin := marks[i]; t > begin && o.hadRoom(q, begin) {
			d += t - begin
		}
	}
	return d
}

// hadRoom reports whether q did not run at t, and a worker could have run it. One
// that does nothing always can. Of the others one may be kept for a request that
// goes alone, as long as there is any.
func (o *oracle) hadRoom(q *request, t time.Duration) bool {
	busy := map[*workerProcess]int{}
	alone := false
	for _, other := range o.requests {
		alone = alone || other.wasAlone(t)
		for _, r := range other.runs {
			switch {
			case !r.atWork(t):
			case other == q:
				return false
			default:
				busy[r.worker]++
			}
		}
	}
	for _, p := range o.workers {
		n := busy[p]
		if p.since <= t && t < p.endedAt && slices.Contains(p.services, q.service) &&
			(n == 0 || n < o.w.plan.concurrency && !alone) {
			return true
		}
	}
	return false
}

// wasAlone reports whether q had lost a worker by t, and had no outcome.
func (q *request) wasAlone(t time.Duration) bool {
	return q.alone && q.aloneAt <= t && (t < q.over || q.over < q.aloneAt)
}

// atWork reports whether r's handler did something at t.
func (r *run) atWork(t time.Duration) bool {
	return r.started <= t && t < r.ended && !slices.ContainsFunc(r.untaken, func(u trouble) bool {
		return u.from+takenMax <= t && t < u.to
	})
}
