package broker

import (
	"math/bits"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// How a service stands beyond its queue: whether its runs hang, and whether what it
// is asked for fails. docs/operating.md says the same numbers.
const (
	hangUnknown = time.Minute      // a run that lasts longer hangs, where few have ended yet
	hangLeast   = 10 * time.Second // no run hangs before
	hangTimes   = 10               // otherwise: so many times as long as 99 of 100 take
	hangKnown   = 10               // runs that must have ended for that
	failLeast   = 3                // failures in the last minutes, at least,
	failShare   = 20               // and more than one in so many
)

// recentMinutes is how far back failures count, in steps of recentStep.
const (
	recentStep  = time.Minute
	recentSteps = 5
)

// A recent counts what has ended in the last recentSteps minutes.
type recent struct {
	step  int64 // the newest
	ended [recentSteps]struct{ done, failed uint32 }
}

func (r *recent) turn(now time.Duration) {
	step := int64(now / recentStep)
	for n := 0; r.step < step && n < recentSteps; n++ {
		r.step++
		r.ended[r.step%recentSteps] = struct{ done, failed uint32 }{}
	}
	if r.step < step { // all are cleared: nothing has ended for long
		r.step = step
	}
}

func (r *recent) add(now time.Duration, failed bool) {
	r.turn(now)
	e := &r.ended[r.step%recentSteps]
	e.done++
	if failed {
		e.failed++
	}
}

func (r *recent) sum(now time.Duration) (done, failed int) {
	r.turn(now)
	for _, e := range r.ended {
		done, failed = done+int(e.done), failed+int(e.failed)
	}
	return done, failed
}

// A runTimes knows how long runs take, to within a factor of two, of the last
// thousand or two.
type runTimes struct {
	now, before [32]uint16 // by the logarithm of milliseconds
	n           int        // in now
}

func (t *runTimes) add(took time.Duration) {
	if t.n == 1000 {
		t.before, t.now, t.n = t.now, [32]uint16{}, 0
	}
	t.now[min(bits.Len64(uint64(max(took, 0)/time.Millisecond)), len(t.now)-1)]++
	t.n++
}

// p99 is what 99 of 100 runs did not exceed; 0 while too few have ended.
func (t *runTimes) p99() time.Duration {
	n := 0
	for i := range t.now {
		n += int(t.now[i]) + int(t.before[i])
	}
	if n < hangKnown {
		return 0
	}
	above := n / 100
	for i := len(t.now) - 1; i >= 0; i-- {
		if above -= int(t.now[i]) + int(t.before[i]); above < 0 {
			return time.Duration(1<<i) * time.Millisecond
		}
	}
	return 0
}

// hangAfter is when a run of a service is taken to hang.
func hangAfter(p99 time.Duration) time.Duration {
	if p99 == 0 {
		return hangUnknown
	}
	return max(hangLeast, hangTimes*p99)
}

// runsMax bounds the runs whose time is taken: where more are under way, those are
// a sample.
const runsMax = 64

// A stopwatch takes the time of runs.
type stopwatch map[protocol.ID]time.Duration

func (s stopwatch) start(now time.Duration, id protocol.ID) {
	if _, ok := s[id]; ok || len(s) < runsMax { // a further attempt begins anew
		s[id] = now
	}
}

func (s stopwatch) stop(now time.Duration, id protocol.ID) (took time.Duration, ok bool) {
	at, ok := s[id]
	if ok {
		delete(s, id)
	}
	return now - at, ok
}

// A health is how one service stands.
type health struct {
	done, failed int           // in the last five minutes
	p99          time.Duration // of its runs; 0: not known yet
	hangAfter    time.Duration
	oldest       core.RequestInfo // its longest run; no worker: it has none
	hanging      bool
	failing      bool
}

func (m *metrics) health(now time.Duration, name string, oldest core.RequestInfo) health {
	h := health{oldest: oldest}
	if s := m.services[name]; s != nil {
		h.done, h.failed = s.recent.sum(now)
		h.p99 = s.runs.p99()
	}
	h.hangAfter = hangAfter(h.p99)
	h.hanging = oldest.Held > h.hangAfter
	h.failing = h.failed >= failLeast && h.failed*failShare > h.done
	return h
}
