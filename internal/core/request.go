package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A state is where a request stands. The list it is on follows from it.
type state uint8

const (
	none     state = iota // new, or between two states
	queued                // in its service's queue, or among its lone requests
	backoff               // a retry was asked for: queued again when its time comes
	waiting               // may have run before this broker's start: waits for a claim
	assigned              // a worker holds it
	kept                  // finished at a worker, which keeps the reply
	orphan                // a worker that held it was lost, and its body is not known here
	done                  // it has its outcome
)

var stateNames = [...]string{"none", "queued", "backoff", "waiting", "assigned", "kept", "orphan", "done"}

func (s state) String() string { return stateNames[s] }

// legal is the table of transitions: from which state which may follow. doc.go
// says what causes each; a test holds the two together.
var legal = [...]uint16{
	none:     1<<queued | 1<<waiting | 1<<assigned | 1<<kept | 1<<done,
	queued:   1<<assigned | 1<<backoff | 1<<kept | 1<<done,
	backoff:  1<<queued | 1<<waiting | 1<<assigned | 1<<kept | 1<<done,
	waiting:  1<<queued | 1<<assigned | 1<<kept | 1<<done,
	assigned: 1<<assigned | 1<<waiting | 1<<queued | 1<<backoff | 1<<orphan | 1<<kept | 1<<done,
	kept:     1<<kept | 1<<assigned | 1<<queued | 1<<waiting | 1<<orphan | 1<<done,
	orphan:   1<<queued | 1<<waiting | 1<<assigned | 1<<kept | 1<<done,
	done:     0,
}

// enter puts r, which is on no list, into state s.
func (r *request) enter(s state) {
	if legal[r.was]&(1<<s) == 0 || r.state != none {
		panic("core: a request went from " + r.was.String() + " to " + s.String())
	}
	r.state = s
}

// A request is open: it has no outcome yet. A million of them may wait, so what
// few of them need is elsewhere (rare), and what is copied of messages stands in
// one slab.
type request struct {
	home  node[*request] // in the list that its state names
	timer timer
	svc   *service
	run   *run // assigned, kept
	*rare      // not nil; not its own until special is called
	slab  []byte

	id       protocol.ID
	digest   uint64
	accepted time.Duration
	deadline time.Duration
	interest time.Duration // of the first asker, in running time; 0: until the deadline
	owner    uint64        // instance of the newest asker
	instance uint64        // of the first asker
	try      uint32        // its newest; 0: nobody has asked here
	attempt  uint32        // of the last hand-over
	size     uint32        // of the body

	flags    protocol.Flags // AtMostOnce, Finish, Partial
	state    state
	was      state // before, while it is none
	priority uint8
	accept   bool // its client is to be told that it is in hand
	unserved bool // its client was told that nobody serves it
	plain    bool // its id is the broker's own
	hasBody  bool // false: known from a worker's claim only
	handed   bool // may have reached a worker: hand-overs proven lost do not count
	rerun    bool // an earlier attempt may have run: the next one is told
	unclear  bool // another worker may run it, and has until the end of the window to say so
	alone    bool // lost a worker: goes only to one that holds nothing else
	unwanted bool // interest has ended, and FINISH lets its run go on: it is not handed out again

	// Where things are in the slab, and what else is known of the first asker.
	frames  uint8 // of the body, in the slab
	bodyAt  uint16
	metaAt  uint16
	metaLen uint16
	peerAt  uint16
	peerLen uint8
	port    protocol.Port
	dialect protocol.Dialect
	bare    bool // its envelope is a delimiter and nothing before it
}

// rare is what few requests need.
type rare struct {
	others    []route // of further instances
	lost      []loss  // attempts that count against max attempts
	rival     *worker // runs it as well, as rivalRun
	rivalRun  fence
	second    *worker // kept at another one: it has finished r as well, as secondRun
	secondRun fence
	again     time.Duration // backoff: when it is queued again
	since     time.Duration // when it was queued last; 0: when it was accepted
	doubt     time.Duration // by so much the deadline may be later: it was read just after this broker had stood still
	aged      time.Duration // so much was taken off what its client had left, for it seemed to have been on its way
	body      [][]byte      // if it is too much for the slab
	envelope  [][]byte      // of the first asker, if it is not bare
	grant     uint32        // partial: parts that a run may send at first
	torn      bool          // a legacy worker made parts of its reply: an end of another attempt is none
	parts     [][]byte
	partBytes int64

	secondKept bool // ... and keeps its reply
}

// nothing is what most requests have: it is never written.
var nothing rare

// special is r's own rare, to be written.
func (r *request) special() *rare {
	if r.rare == &nothing {
		r.rare = &rare{}
	}
	return r.rare
}

func (r *request) hook() *node[*request] { return &r.home }

// A route is where one client instance hears of a request, and for how long that
// wants it if it does not ask again.
type route struct {
	instance uint64
	try      uint32
	peer     Peer
	interest time.Duration // running time; 0: until the deadline
}

// A run is a request in the hands of a worker. (id, attempt, epoch) is its fence.
type run struct {
	w       *worker
	before  bool // handed, as it was before this hand-over
	attempt uint32
	epoch   uint64
	seq     uint32        // number of the hand-over on the worker's link; 0: known from a list
	started bool          // the lease runs
	parts   bool          // it has made parts of its reply
	fetch   bool          // kept: REPLAY_ONLY is under way
	adopted bool          // known from a list: an earlier broker handed it out, or this one lost it
	over    bool          // ... and an earlier broker had cancelled it: only OK is an outcome
	lease   time.Duration // allowed without progress; 0: until the deadline
	leaseAt time.Duration // running time at which it ends
	seen    uint32        // the worker's list that named it last
	at      time.Duration // when it was handed out, or taken up
}

// sparesMax bounds the requests and runs that are kept for use again.
const sparesMax = 4096

// slabKept is the largest slab that goes with a spare request.
const slabKept = LentMax + 512

// newRequest and newRun take a spare one where there is one: most requests are
// short-lived, and need cost the garbage collector nothing.
func (c *Core) newRequest() *request {
	n := len(c.spareRequests)
	if n == 0 {
		r := &request{rare: &nothing}
		r.timer.owner = r
		return r
	}
	r := c.spareRequests[n-1]
	c.spareRequests = c.spareRequests[:n-1]
	return r
}

// freeRequest: r is done, and nothing refers to it any more but the outputs of
// this call and those before it. They have been done when Tick is called.
func (c *Core) freeRequest(r *request) {
	c.freed = append(c.freed, r)
}

// reuse makes spare ones of the freed.
func (c *Core) reuse() {
	for i, r := range c.freed {
		c.freed[i] = nil
		c.spend(r.body)
		if len(c.spareRequests) >= sparesMax {
			continue
		}
		slab := r.slab[:0]
		if cap(slab) > slabKept {
			slab = nil
		}
		*r = request{slab: slab, rare: &nothing}
		r.timer.owner = r
		c.spareRequests = append(c.spareRequests, r)
	}
	c.freed = c.freed[:0]
}

func (c *Core) newRun() *run {
	n := len(c.spareRuns)
	if n == 0 {
		return &run{}
	}
	x := c.spareRuns[n-1]
	c.spareRuns = c.spareRuns[:n-1]
	return x
}

func (c *Core) freeRun(x *run) {
	*x = run{}
	if len(c.spareRuns) < sparesMax {
		c.spareRuns = append(c.spareRuns, x)
	}
}

// A fence names one attempt.
type fence struct {
	id      protocol.ID
	attempt uint32
	epoch   uint64
}

func (r *request) fence() fence { return fence{r.id, r.run.attempt, r.run.epoch} }

// A loss is an attempt that counts against max attempts. One counts once, even
// if it is taken up again and lost a second time.
type loss struct {
	worker  uint64
	attempt uint32
	epoch   uint64
}

// losses is how many attempts count against max attempts.
func (r *request) losses() int { return len(r.lost) }

func (r *request) lostWorkers() (list []uint64) {
	for _, l := range r.lost {
		list = append(list, l.worker)
	}
	return list
}

// countLoss counts the attempt under way. More than max attempts need not be known.
func (c *Core) countLoss(r *request) {
	l := loss{r.run.w.instance, r.run.attempt, r.run.epoch}
	for _, old := range r.lost {
		if old.attempt == l.attempt && old.epoch == l.epoch {
			return
		}
	}
	if len(r.lost) < c.cfg.MaxAttempts {
		s := r.special()
		s.lost = append(s.lost, l)
	}
}

func (r *request) atMostOnce() bool { return r.flags.Has(protocol.AtMostOnce) }

// certainty of an outcome that no worker reported.
func (r *request) certainty() protocol.Certainty {
	if r.handed || r.state == assigned || r.state == kept || r.state == orphan || r.state == waiting {
		return protocol.MaybeStarted
	}
	return protocol.NotStarted
}

// unplace takes r off the list that its state names.
func (c *Core) unplace(r *request) {
	if r.state == none {
		return
	}
	switch r.state {
	case queued:
		r.svc.unqueue(r)
		c.queued--
		if !r.alone {
			break
		}
		if c.lone--; r.svc.lone.size == 0 {
			c.unreserve(r.svc)
		} else { // a worker that could not be given r may take the next one
			c.dispatch(r.svc)
		}
	case backoff:
		r.svc.later.remove(r)
	case waiting:
		c.waiting.remove(r)
	case assigned, kept:
		if r.run != nil {
			c.unassign(r)
		}
	}
	r.was, r.state = r.state, none
}

// arm sets r's timer to the first moment at which something must be decided.
// Moments that move later are found out when the timer fires.
func (c *Core) arm(r *request) {
	at := r.deadline
	if r.accept {
		at = min(at, r.accepted+acceptAfter)
	}
	if until := r.wantedUntil(); until != 0 {
		at = min(at, c.due(until))
	}
	switch {
	case r.state == backoff || r.state == orphan && r.try == 0:
		at = min(at, r.again)
	case r.state == assigned && r.run.started && r.run.lease != 0:
		at = min(at, c.due(r.run.leaseAt))
	}
	c.wheel.set(&r.timer, at)
}

// armSooner is arm where nothing can have moved closer but at.
func (c *Core) armSooner(r *request, at time.Duration) {
	if r.timer.slot == nil || time.Duration(r.timer.due)*wheelTick > at {
		c.arm(r)
	}
}

// requestDue decides what r's timer was set for.
func (c *Core) requestDue(r *request) {
	if r.accept && c.now >= r.accepted+acceptAfter {
		c.sayAccepted(r, r.owner)
	}
	switch {
	case r.deadline <= c.now:
		c.expire(r)
	case r.wantedUntil() != 0 && c.due(r.wantedUntil()) <= c.now:
		c.interestOver(r)
	case r.state == backoff && r.again <= c.now:
		c.unplace(r)
		c.queueAgain(r)
	case r.state == orphan && r.try == 0 && r.again <= c.now:
		c.letGo(r) // its worker is gone, and nobody brings its body
	case r.state == assigned && r.run.started && r.run.lease != 0 && c.due(r.run.leaseAt) <= c.now:
		c.leaseOver(r)
	default:
		c.arm(r)
	}
}

func (c *Core) expire(r *request) {
	if r.state == kept && r.try == 0 { // nobody has asked for it here
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: goneText})
		return
	}
	certainty := r.certainty()
	if r.doubt > 0 && certainty == protocol.NotStarted { // its client may ask again: it knows
		o := outcome{code: protocol.Expired, certainty: certainty, text: "the deadline may have passed while this broker stood still"}
		c.event(Event{What: EventRefused, ID: r.id, Service: r.svc.name, Code: o.code, Reason: o.text})
		c.answerAll(r, o)
		c.abandon(r)
		return
	}
	text := "the deadline passed"
	if certainty == protocol.NotStarted && r.svc.live == 0 && r.svc.name != "" {
		text = "the deadline passed; no live worker serves " + r.svc.name
	}
	c.stopRun(r, protocol.ReasonExpired)
	c.finish(r, outcome{code: protocol.Expired, certainty: certainty, text: text})
}

// wantedUntil is when the last of those who ask for r no longer waits, in running
// time; 0: somebody does until the deadline.
func (r *request) wantedUntil() time.Duration {
	until := r.interest
	for i := range r.others {
		if until == 0 || r.others[i].interest == 0 {
			return 0
		}
		until = max(until, r.others[i].interest)
	}
	return until
}

// interestOver: nobody has asked again in the time named. What ran to its end
// somewhere stays, and FINISH lets a run go on; but not one that has made parts: its
// end would wait for a client that takes none.
func (c *Core) interestOver(r *request) {
	finish := r.state == assigned && r.flags.Has(protocol.Finish) && !r.run.parts
	if finish || r.state == kept {
		r.unwanted = true
		r.setInterest(0)
		c.arm(r)
		return
	}
	c.letGo(r)
}

const notWaiting = "its client has not asked again in its time"

// leaveUnwanted ends r, which has left its worker, if nobody waits for another
// run of it. It reports whether it did.
func (c *Core) leaveUnwanted(r *request) bool {
	if !r.unwanted {
		return false
	}
	c.letGo(r)
	return true
}

// letGo ends r without an outcome: whoever asks for it again begins anew. What may
// have run is remembered; at most once, that is its end.
func (c *Core) letGo(r *request) {
	ran := r.handed || r.rerun
	claimable := r.state == waiting && r.attempt == 0 // what may have run is known of it without us
	if !claimable && (ran && r.atMostOnce() || r.attempt > 0 && !c.remembersBegun(r, ran)) {
		c.stopRun(r, protocol.ReasonUnwanted)
		c.finish(r, outcome{code: protocol.Unknown, certainty: protocol.MaybeStarted, text: notWaiting + ", and it may have run"})
		return
	}
	e := Event{What: EventForgotten, ID: r.id, Service: r.svc.name, Attempt: r.attempt, Reason: notWaiting}
	if r.state == assigned {
		e.Worker = r.run.w.instance
	}
	c.stopRun(r, protocol.ReasonUnwanted)
	c.event(e)
	c.abandon(r)
}

// A begun is what is left of a request that was forgotten: the attempts it had, so
// that their numbers are not used again, and whether one may have run.
type begun struct {
	id      protocol.ID
	attempt uint32
	ran     bool
	timer   timer
}

// remembersBegun keeps that of r, if there is room.
func (c *Core) remembersBegun(r *request, ran bool) bool {
	if len(c.begun) >= c.cfg.MaxQueue {
		c.drop(DropTombstone, r.id)
		return false
	}
	b := &begun{id: r.id, attempt: r.attempt, ran: ran}
	b.timer.owner = b
	c.begun[r.id] = b
	c.wheel.set(&b.timer, r.deadline+c.cfg.Heartbeat)
	return true
}

// goOn takes up what is left of an earlier beginning of r.
func (c *Core) goOn(r *request) {
	if b := c.begun[r.id]; b != nil {
		r.attempt, r.handed, r.rerun = max(r.attempt, b.attempt), r.handed || b.ran, r.rerun || b.ran
		c.wheel.clear(&b.timer)
		delete(c.begun, r.id)
	}
}

// withdraw ends r as CANCELLED.
func (c *Core) withdraw(r *request, text string) {
	certainty := r.certainty()
	c.stopRun(r, protocol.ReasonWithdrawn)
	c.finish(r, outcome{code: protocol.Cancelled, certainty: certainty, text: text})
}

// leaseOver: the attempt made no progress in its time. It is taken back.
func (c *Core) leaseOver(r *request) {
	c.countLoss(r)
	c.stopRun(r, protocol.ReasonLease)
	o := outcome{code: protocol.Timeout, certainty: protocol.MaybeStarted, text: "its lease ended with no attempts left"}
	switch {
	case r.atMostOnce():
		c.finish(r, o)
		return
	case r.losses() >= c.cfg.MaxAttempts:
		c.giveUp(r, o)
		return
	}
	c.requeue(r, true, "lease over")
}
