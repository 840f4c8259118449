package sim

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Result is what one seed came to.
type Result struct {
	Seed      uint64
	Err       error   // the first broken promise; nil: all were kept
	Broken    promise // which that is
	Checks    checkCount
	Hash      uint64 // of everything that happened
	Simulated time.Duration
	Steps     int
	Requests  int
	Runs      int
	Faults    [faultKinds]int
	Seen      seenSet
	Outcomes  [16]int
	Trace     []string // where it was asked for
	Stories   []Story  // of given requests
}

// Run plays one seed. keepTrace makes it slower, and changes nothing else.
func Run(seed uint64, keepTrace bool) Result {
	return RunWith(Options{Seed: seed, Trace: keepTrace})
}

// RunWith plays one seed with what o gives.
func RunWith(o Options) Result {
	w := &world{given: o, random: newRandom(o.Seed), more: newRandom(^o.Seed)}
	w.plan = drawPlan(o.Seed, w.random, o.Handle == nil)
	if o.Handle == nil {
		w.plan.drawExtras(w.more)
	}
	if o.Handle != nil {
		w.give()
	}
	w.net = network{w: w}
	w.oracle = oracle{w: w, byID: map[protocol.ID]*request{}, links: map[*conn]*linkNotes{}, sights: map[sightKey]*sights{},
		joined: map[joinKey]time.Duration{}}
	w.trace = trace{keep: o.Trace, hash: newHash()}
	for i := range w.net.ports {
		w.net.ports[i] = newPort()
	}
	w.note("plan: %+v", w.plan)
	w.load()
	w.faults()
	w.advance(w.plan.calm)
	w.settle()
	r := Result{Seed: o.Seed, Err: w.failed, Broken: w.broken, Checks: w.oracle.checks, Hash: w.trace.hash.Sum64(), Simulated: w.now, Steps: w.steps,
		Requests: len(w.oracle.requests), Faults: w.trace.faults, Seen: w.oracle.seen, Outcomes: w.oracle.outcomes, Trace: w.trace.lines}
	for _, q := range w.oracle.requests {
		r.Runs += len(q.runs)
	}
	if o.Handle != nil {
		r.Stories = w.oracle.stories()
	}
	return r
}

// settle is the second phase: no more faults, and everything must come to rest
// within the bound of G15; then new requests succeed at once.
func (w *world) settle() {
	p := &w.plan
	bound := p.settled()
	// What waits still has to be worked off, each attempt at its full length.
	work := p.takesMax + p.core.Lease + 5*time.Second + w.backlog()
	w.advance(w.now + bound)
	if p.tight { // tables are full until the deadlines are over
		w.advance(max(w.now, 2*p.calm+generous+5*time.Second))
	}
	var probes []*call
	for _, seat := range w.clients {
		c := w.probe()
		probes = append(probes, c)
		seat.process.ask(c)
	}
	w.rest(w.now + work)
	for _, c := range probes {
		w.oracle.checked(g15)
		if w.failed == nil && !c.succeeded() {
			w.fail("G15: a new request of %s, %v after the last fault, has the outcome %v", c.client.name, bound, c.outcome)
		}
	}
	w.rest(max(w.now+62*time.Second, 2*p.calm+generous+5*time.Second)) // every deadline is over
	w.checkRest()
}

// patientOne: one seed in so many is played until every deadline is over, also
// where nothing is open any more.
const patientOne = 8

// rest plays until end. Most seeds end before, when nothing is open anywhere:
// all that is left then are heartbeats, and ids to forget.
func (w *world) rest(end time.Duration) {
	patient := w.plan.seed%patientOne == 0
	for w.failed == nil && w.now < end && (patient || !w.atRest()) {
		w.advance(min(w.now+time.Second, end))
	}
}

// atRest reports whether nothing is open anywhere, nor about to begin.
func (w *world) atRest() bool {
	if w.broker == nil || w.broker.draining || w.broker.core.Gauges().Open > 0 {
		return false
	}
	for _, s := range w.clients {
		if p := s.process; len(p.commands) > 0 || !p.machine.Settled() {
			return false
		}
	}
	for _, s := range w.workers {
		if p := s.process; p == nil || !p.alive || p.stopping || len(p.runs) > 0 {
			return false
		}
	}
	return true
}

// backlog is how long the open requests may keep the workers busy.
func (w *world) backlog() (d time.Duration) {
	for _, q := range w.oracle.requests {
		if q.over == never && (len(q.calls) > 0 || q.requeued) {
			each := q.deed.takes
			if q.window > 0 && q.deed.parts > 0 { // its client may be gone
				each += retention
			}
			d += each * time.Duration(w.plan.core.MaxAttempts)
		}
	}
	return d
}

// probe is a request that can only fail if something is wrong.
func (w *world) probe() *call {
	var q *request
	if w.given.Ask != nil {
		q = w.givenRequest()
	} else {
		q = w.oracle.newRequest(w.plan.services[0])
		q.body = [][]byte{fmt.Appendf(nil, "probe %s", q.name)}
	}
	return &call{request: q, timeout: 4 * time.Second, retries: 1000, budget: time.Minute + w.backlog(), priority: protocol.PriorityHigh}
}

// succeeded reports whether c, a probe, has its reply. Of a given handler, that
// may be an error; and a given request may be at most once, and UNKNOWN because
// its first try went out on a connection that was dead.
func (c *call) succeeded() bool {
	q := c.request
	return q.once || c.outcome != nil && (c.outcome.Code == protocol.OK || c.outcome.Code == protocol.Failed && (q.deed.fails || q.deed.retries > 0))
}

// checkRest: in the end nothing is left open anywhere.
func (w *world) checkRest() {
	if w.failed != nil {
		return
	}
	w.oracle.checked(g15)
	if g := w.broker.core.Gauges(); g.Open+g.Queued+g.Assigned > 0 {
		w.fail("G15: the broker still has %+v", g)
	}
	for _, s := range w.clients {
		if !s.process.machine.Settled() {
			w.fail("G15: %s still has %d calls", s.process.name, s.process.machine.Open())
		}
	}
	for _, s := range w.workers {
		if s.process == nil || !s.process.alive || len(s.process.runs) > 0 {
			w.fail("G15: seat %d has no worker at rest", s.number)
		}
	}
	for _, q := range w.oracle.requests {
		for _, c := range q.calls {
			if c.outcome == nil && c.client.alive {
				w.fail("G1: %s has no outcome of %s", c.client.name, q.name)
			}
		}
	}
}
