package sim

import (
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"
)

// never is a moment that does not come.
const never = time.Duration(1<<63 - 1)

// A world is one simulated run: true time, the processes, the network between
// them, and the oracle that sees everything. All of it follows from the seed.
type world struct {
	plan   plan
	given  Options // by the caller of RunWith
	random *rand.Rand
	more   *rand.Rand    // for what some seeds have beside the rest, which so stays as it is
	now    time.Duration // true time; the processes have clocks of their own
	queue  eventQueue

	net     network
	broker  *broker // the running one; nil while there is none
	brokers int     // started so far
	workers []*workerSeat
	clients []*clientSeat
	dealers []*clientSeat // those of clients that use a DEALER
	oracle  oracle
	trace   trace
	steps   int
	failed  error // the first broken promise
	broken  promise
}

// An event is something that happens at a moment of true time.
type event struct {
	at    time.Duration
	order uint64 // events of one moment happen in the order they were planned
	do    func()
}

// An eventQueue is a heap, earliest first.
type eventQueue struct {
	heap  []event
	order uint64
}

func (q *eventQueue) less(i, j int) bool {
	a, b := &q.heap[i], &q.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (q *eventQueue) push(at time.Duration, do func()) {
	q.order++
	q.heap = append(q.heap, event{at, q.order, do})
	for i := len(q.heap) - 1; i > 0 && q.less(i, (i-1)/2); i = (i - 1) / 2 {
		q.heap[i], q.heap[(i-1)/2] = q.heap[(i-1)/2], q.heap[i]
	}
}

func (q *eventQueue) pop() event {
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap[last] = event{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < last && q.less(child+1, child) {
			child++
		}
		if child >= last || !q.less(child, i) {
			return first
		}
		q.heap[i], q.heap[child] = q.heap[child], q.heap[i]
		i = child
	}
}

// at plans do for the moment t, or for now if that is over.
func (w *world) at(t time.Duration, do func()) { w.queue.push(max(t, w.now), do) }

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// advance plays everything that happens until end.
func (w *world) advance(end time.Duration) {
	for w.failed == nil && len(w.queue.heap) > 0 && w.queue.heap[0].at <= end {
		e := w.queue.pop()
		w.now = e.at
		w.steps++
		e.do()
	}
	if w.failed == nil {
		w.now = end
	}
}

// looks reports whether the machines' invariants are looked at in this step:
// always, but where thousands of ids make a look dear, in one of 32.
func (w *world) looks() bool { return !w.plan.veteran || w.steps%32 == 0 }

// chance is true in one of n draws.
func (w *world) chance(n int) bool { return w.random.IntN(n) == 0 }

// upTo draws a duration from 0 to d.
func (w *world) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.random.Int64N(int64(d) + 1))
}

func (w *world) between(low, high time.Duration) time.Duration { return low + w.upTo(high-low) }

// A process is a loop with a clock of its own, which can be killed and frozen.
type process struct {
	w     *world
	name  string
	alive bool
	began time.Duration // true time at which its clock showed 0
	ppm   int64         // what its clock gains, in parts per million

	frozen     time.Duration // it stands still until then
	frozenFrom time.Duration // since when; its loop has not turned since, if stopped
	stopped    bool
	jumped     time.Duration // what its clock has jumped ahead since its last turn

	slow time.Duration // it reads slowly until then

	stall    func(time.Duration) // makes it stand still within one of its next turns
	stallFor time.Duration
	stallAt  int  // the seam
	turning  bool // within a turn

	next     time.Duration // of the turn that is planned
	gen      int           // of that plan: older ones are void
	turn     func()
	deadline func() (time.Duration, bool) // on its clock
}

func (w *world) newProcess(name string) process {
	return process{w: w, name: name, alive: true, began: w.now, ppm: int64(w.random.IntN(401)) - 200, next: never}
}

// clock is what p's monotonic clock shows.
func (p *process) clock() time.Duration {
	d := p.w.now - p.began
	return d + d*time.Duration(p.ppm)/1_000_000
}

// when is the moment at which p's clock shows at, or a microsecond later.
func (p *process) when(at time.Duration) time.Duration {
	return p.began + at - at*time.Duration(p.ppm)/1_000_000 + time.Microsecond
}

// wake makes p's loop turn within a fraction of a millisecond.
func (p *process) wake() { p.turnAt(p.w.now + p.w.upTo(200*time.Microsecond)) }

func (p *process) turnAt(at time.Duration) {
	if !p.alive || p.next <= at {
		return
	}
	p.next = at
	p.gen++
	gen := p.gen
	p.w.at(at, func() {
		if p.gen == gen && p.alive {
			p.doTurn()
		}
	})
}

func (p *process) doTurn() {
	p.next = never
	switch {
	case p.turning: // what is new is for the next one
	case p.isFrozen():
		p.turnAt(p.frozen + p.w.upTo(time.Millisecond))
	default:
		p.turning = true
		p.turn()
	}
}

// turned ends a turn. more: something has come meanwhile.
func (p *process) turned(more bool) {
	p.turning = false
	switch at, ok := p.deadline(); {
	case !p.alive:
	case more:
		p.wake()
	case ok:
		p.turnAt(max(p.when(at), p.w.now+time.Microsecond))
	}
}

// seam is a place within a turn where a process may stand still: 0 between
// reading and deciding, 1 between deciding and doing, where that matters. It goes
// on with f.
func (p *process) seam(number int, matters bool, f func()) {
	stall, d := p.stall, min(p.stallFor, p.w.plan.calm-p.w.now)
	if stall == nil || p.stallAt != number || !matters || d <= 0 {
		f()
		return
	}
	p.stall = nil
	stall(d)
	p.resume(f)
}

func (p *process) resume(f func()) {
	p.w.at(p.frozen, func() {
		switch {
		case !p.alive:
		case p.isFrozen(): // once more
			p.resume(f)
		default:
			f()
		}
	})
}

// stand makes p stand still for d, as stall does: at once, or within one of its
// next turns, at one of so many seams.
func (p *process) stand(d time.Duration, seams int, stall func(d time.Duration)) {
	if p.turning || p.w.chance(2) {
		stall(d)
		return
	}
	p.stall, p.stallFor, p.stallAt = stall, d, p.w.random.IntN(seams)
	p.wake()
}

// stood is how long p stood still, and how far its clock has jumped, since it was
// asked last.
func (p *process) stood() (d time.Duration) {
	d = p.jumped
	if p.stopped {
		d += p.w.now - p.frozenFrom
	}
	p.stopped, p.jumped = false, 0
	return d
}

func (p *process) isFrozen() bool { return p.frozen > p.w.now }

// freeze stops p, with its network threads, as SIGSTOP does.
func (p *process) freeze(until time.Duration) {
	if !p.isFrozen() {
		p.frozenFrom = p.w.now
	}
	p.frozen, p.stopped = max(p.frozen, until), true
	p.turnAt(p.frozen) // its wait ends then, if not before
}

// A hash of everything that happened: two runs of one seed must agree on it.
func (w *world) digest(words ...uint64) {
	var b [8]byte
	for _, v := range words {
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		w.trace.hash.Write(b[:])
	}
}

func newHash() *xxhash.Digest { return xxhash.New() }
