package history

import (
	"math"
	"strings"
	"time"
)

// A fault is one fault, with its time.
type fault struct {
	kind   string
	target string // a process, or the slot of a link
	from   int64
	to     int64 // math.MaxInt64 while it lasts, and of a process that is gone
	delay  int64 // of a slow link

	excused bool // a run that it caught between its hand-over and its start
}

// onLink reports whether it was done to a link, not to a process.
func (f *fault) onLink() bool {
	switch f.kind {
	case Cut, HalfOpen, Stall, Slow, RST:
		return true
	}
	return false
}

// hits reports whether f was done to the process proc or to its link.
func (f *fault) hits(proc string) bool {
	if f.onLink() {
		return f.target == Slot(proc)
	}
	return f.target == proc
}

// within is how much of f lies in a span of time.
func (f *fault) within(from, to int64) int64 { return max(0, min(f.to, to)-max(f.from, from)) }

func (j *judge) takeFault(e *Event) {
	if e.Kind == Fault {
		j.faults = append(j.faults, fault{kind: e.Fault, target: e.Target, from: e.T, to: math.MaxInt64, delay: e.Delay})
		j.Faults[e.Fault+" "+Role(e.Target)]++
		return
	}
	for i := range j.faults {
		if f := &j.faults[i]; f.kind == e.Fault && f.target == e.Target && f.to == math.MaxInt64 {
			f.to = e.T
		}
	}
}

// killedAt is when a process was killed, 0 if it was not.
func (j *judge) killedAt(proc string) int64 {
	for i := range j.faults {
		if f := &j.faults[i]; f.kind == Kill && f.target == proc {
			return f.from
		}
	}
	return 0
}

// frozen is for how long a process stood still within a span of time.
func (j *judge) frozen(proc string, from, to int64) (sum int64) {
	for i := range j.faults {
		if f := &j.faults[i]; f.kind == Freeze && f.target == proc {
			sum += f.within(from, to)
		}
	}
	return sum
}

// A broker may have heard a worker last just before it froze, or a whole
// heartbeat earlier, so that silence begins up to a heartbeat before.
func (j *judge) frozenEnough() int64 { return int64(j.setup.Liveness-1) * int64(j.setup.Heartbeat) }

// explained reports whether something allows the run next, though the run
// before has begun.
func (j *judge) explained(before, next *run) bool {
	from, to := before.start.T, next.start.T
	worker := before.start.Proc
	for i := range j.faults {
		f := &j.faults[i]
		switch {
		case f.from > to || f.to < from:
		case strings.HasPrefix(f.target, "broker"):
			if (f.kind == Kill || f.kind == Drain) && f.from >= from && j.outOfReach(worker, f.from) {
				return true
			}
		case !f.hits(worker):
		case f.kind == Kill, f.onLink():
			return true
		case f.kind == Freeze && min(f.to, to)-f.from >= j.frozenEnough():
			return true
		case f.kind == Drain && (before.end == 0 || before.how == EndedDrained || unacknowledged(j.exits[worker])):
			return true
		}
	}
	return false
}

// caught reports whether a freeze caught next just before its first step: next
// was handed out first, and begins when its worker goes on, after the run before
// was begun in its place. No worker can help that, but one that starts what had
// waited for it starts several; so one freeze is an excuse for one run.
func (j *judge) caught(before, next *run) bool {
	r := j.requests[next.start.Key]
	if r == nil || next.start.Attempt >= before.start.Attempt {
		return false
	}
	for i := range j.faults {
		f := &j.faults[i]
		if f.kind == Freeze && f.target == next.start.Proc && !f.excused && f.from >= r.submit.T &&
			f.to > before.start.T && before.start.T-f.from >= j.frozenEnough() {
			f.excused = true
			return true
		}
	}
	return false
}

// caughtLate reports whether a freeze caught n, which was in time, just before its
// first step: it began before the request's deadline, and n as it ended. As with
// caught, one freeze is an excuse for one run.
func (j *judge) caughtLate(r *request, n *run) bool {
	for i := range j.faults {
		f := &j.faults[i]
		if f.kind == Freeze && f.target == n.start.Proc && !f.excused && f.from >= r.submit.T && f.from <= r.submit.T+r.submit.Span &&
			max(n.start.T-f.to, f.to-n.start.T) <= int64(firstStep) {
			f.excused = true
			return true
		}
	}
	return false
}

// firstStep is within what time of its worker's going on a run that was decided
// begins.
const firstStep = 50 * time.Millisecond

func unacknowledged(exit Event) bool { return strings.HasPrefix(exit.How, HowUnacknowledged) }

// outOfReach reports whether a worker was out of reach of the broker that came
// after one that ended then, at some time up to the end of its recovery window.
func (j *judge) outOfReach(worker string, ended int64) bool {
	until := int64(math.MaxInt64)
	for _, e := range j.ready {
		if e.T > ended {
			until = e.T + int64(j.setup.Window)
			break
		}
	}
	for i := range j.faults {
		f := &j.faults[i]
		if !f.hits(worker) || f.from > until || f.to < ended {
			continue
		}
		if f.kind != Freeze || f.within(ended, until) >= int64(j.setup.Heartbeat) {
			return true
		}
	}
	return false
}

// lateAllowance is what the deadline of a request may be exceeded by at its
// start, because of what was done to those that it passed.
func (j *judge) lateAllowance(r *request, n *run) int64 {
	from, to := r.submit.T, n.start.T
	sum := int64(transit)
	for i := range j.faults {
		f := &j.faults[i]
		held := f.within(from, to)
		switch {
		case held == 0:
		case f.kind == Freeze && (f.target == r.submit.Proc || Role(f.target) == "broker"):
			sum += held
		case f.kind == Slow && (f.hits(r.submit.Proc) || f.hits(n.start.Proc)):
			sum += min(held, f.delay)
		case f.kind == Stall && f.hits(r.submit.Proc):
			sum += held
		}
	}
	return sum
}

// millis is a span of nanoseconds in whole milliseconds.
func millis(ns int64) int { return int(ns / int64(time.Millisecond)) }
