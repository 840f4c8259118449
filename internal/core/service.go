package core

import (
	"cmp"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A service is a name that workers offer and requests ask for, and the queue
// between them. It lives as long as it has requests or workers.
type service struct {
	name  string
	wire  []byte            // name, for messages
	queue [3]list[*request] // by priority class: high, normal, low
	lone  list[*request]    // must go to a worker that holds nothing else
	later list[*request]    // queued again when their time comes
	turn  uint8             // dispatches, to let the lower priorities through
	loner bool              // the last dispatch was a lone request: another one goes first

	// A worker's serving of this service is on exactly one of two lists: here,
	// while the worker may have credit, or on the worker's own list of servings
	// found without credit. So after a dispatch either no request waits or no
	// serving stands here, and a worker that regains credit need only look at
	// its own list.
	ready    list[*serving]
	members  list[*member]
	paused   bool // nothing is handed out
	live     int  // members whose worker takes requests, or will
	open     int  // open requests that name this service
	reserved *worker
	sought   *request // the first lone one: no worker was free for it, nor has become so since
	dirty    bool
}

// A serving is one worker's readiness to serve one service.
type serving struct {
	node node[*serving]
	w    *worker
	s    *service
	here bool // on s.ready; otherwise on w.resting
	self member
}

func (o *serving) hook() *node[*serving] { return &o.node }

// A member is a serving's place in the list of all workers of its service.
type member struct {
	node node[*member]
	o    *serving
}

func (m *member) hook() *node[*member] { return &m.node }

// class orders the priorities for dispatch.
func class(priority uint8) int {
	switch protocol.Code(priority) {
	case protocol.PriorityHigh:
		return 0
	case protocol.PriorityLow:
		return 2
	}
	return 1
}

func (s *service) queuedRequests() int {
	return s.lone.size + s.queue[0].size + s.queue[1].size + s.queue[2].size
}

func (s *service) unqueue(r *request) {
	if r.alone {
		s.lone.remove(r)
		s.sought = nil
	} else {
		s.queue[class(r.priority)].remove(r)
	}
}

// queuedSince is when r was queued last.
func (r *request) queuedSince() time.Duration { return cmp.Or(r.since, r.accepted) }

// enterQueue puts r into the state queued. Most requests are queued once, when
// they are accepted, and need no moment of their own for that.
func (c *Core) enterQueue(r *request) {
	r.enter(queued)
	if c.now != r.accepted {
		r.special().since = c.now
	}
	c.queued++
	c.dispatch(r.svc)
}

func (c *Core) enqueueBack(r *request) {
	c.enterQueue(r)
	if r.alone {
		c.enterLone(r)
		return
	}
	r.svc.queue[class(r.priority)].pushBack(r)
}

func (c *Core) enqueueFront(r *request) {
	c.enterQueue(r)
	if r.alone {
		c.enterLone(r)
		return
	}
	r.svc.queue[class(r.priority)].pushFront(r)
}

// enterLone puts r among those that lost a worker: oldest loss first.
func (c *Core) enterLone(r *request) {
	r.svc.lone.pushBack(r)
	c.lone++
}

// front is the request to hand out next, lone ones aside: the highest priority
// first, but of sixteen dispatches one goes to the lowest that waits, and two to
// normal, so that a flood above starves neither.
func (s *service) front() *request {
	order := [...]int{0, 1, 2}
	switch s.turn % 16 {
	case 5, 10:
		order = [...]int{1, 0, 2}
	case 15:
		order = [...]int{2, 1, 0}
	}
	for _, class := range order {
		if r := s.queue[class].head; r != nil {
			return r
		}
	}
	return nil
}

// dispatch asks that s be looked at before the running call ends.
func (c *Core) dispatch(s *service) {
	if !s.dirty {
		s.dirty = true
		c.dirtyServices = append(c.dirtyServices, s)
	}
}

// regain asks that w's servings be looked at before the running call ends: it
// may have credit again.
func (c *Core) regain(w *worker) {
	if !w.dirty {
		w.dirty = true
		c.dirtyWorkers = append(c.dirtyWorkers, w)
	}
}

// settle hands out all that can be handed out. It ends every call, and is the
// only place that does.
func (c *Core) settle() {
	for len(c.dirtyServices)+len(c.dirtyWorkers) > 0 {
		services, workers := c.dirtyServices, c.dirtyWorkers
		c.dirtyServices, c.dirtyWorkers = c.spareServices[:0], c.spareWorkers[:0]
		for _, s := range services {
			s.dirty = false
			c.match(s)
		}
		for _, w := range workers {
			w.dirty = false
			if c.leaving {
				continue
			}
			c.offerLone(w)
			for w.free(c) > 0 && w.resting.head != nil {
				o := w.resting.head
				w.resting.remove(o)
				o.here = true
				o.s.ready.pushBack(o)
				c.match(o.s)
			}
		}
		c.spareServices, c.spareWorkers = services, workers
	}
}

// offerLone looks at the lone requests of w's services: none of them could be
// given to w, nor reserve it, while w held a lone request or took nothing.
func (c *Core) offerLone(w *worker) {
	if c.lone == 0 {
		return
	}
	for _, o := range w.servings {
		s := o.s
		switch {
		case s.lone.head == nil || !w.canReserve(c, s):
		case w.runs.size == 0 && w.spare(c) > 0:
			s.sought = nil
			c.match(s)
		case s.reserved == nil && !(s.loner && s.front() != nil) && !s.paused:
			s.reserved, w.reserved = w, s
		}
	}
}

// canReserve reports whether w may be kept for the first lone request of s.
func (w *worker) canReserve(c *Core, s *service) bool {
	return w.takes(c) && w.credit > 0 && w.lone == nil && (w.reserved == nil || w.reserved == s) && !w.runsStill(s.lone.head)
}

// match hands out what waits at s, as far as there is credit: to the worker
// that was used least recently.
func (c *Core) match(s *service) {
	if c.leaving || s.paused {
		return
	}
	for {
		for s.lone.head != nil && c.dispatchLone(s) {
		}
		r := s.front()
		o := s.ready.head
		if r == nil || o == nil {
			return
		}
		s.ready.remove(o)
		if o.w.free(c) <= 0 {
			o.here = false
			o.w.resting.pushBack(o)
			continue
		}
		s.ready.pushBack(o)
		if o.w.runsStill(r) {
			c.avoid(r, s, o.w)
			continue
		}
		s.turn++
		s.loner = false
		c.handOut(r, o.w)
	}
}

// avoid: w still runs an abandoned attempt of r and could not start it again.
// Another worker gets it, or w when that attempt has ended.
func (c *Core) avoid(r *request, s *service, w *worker) {
	for o, n := s.ready.head, 0; o != nil && n < avoidScan; o, n = o.node.next, n+1 {
		if o.w != w && o.w.free(c) > 0 && !o.w.runsStill(r) {
			s.turn++
			c.handOut(r, o.w)
			return
		}
	}
	c.unplace(r)
	c.enterBackoff(r, c.now+c.cfg.Heartbeat)
}

// dispatchLone hands the first lone request to a worker that holds nothing. If
// there is none, one worker is reserved: it is given nothing else until it is
// free. Between two of them another request has its turn, if one waits: where
// each lone one kills its worker, nothing else would ever run. It reports whether
// a request was handed out. All workers are looked at, once; then those that become
// free, until this request has left.
func (c *Core) dispatchLone(s *service) bool {
	r := s.lone.head
	if s.loner && s.front() != nil {
		c.unreserve(s)
		return false
	}
	if s.sought == r {
		return false
	}
	if w := s.reserved; w != nil && !w.takes(c) {
		c.unreserve(s)
	}
	var best *worker
	for m := s.members.head; m != nil; m = m.node.next {
		w := m.o.w
		if !w.canReserve(c, s) {
			continue
		}
		if w.runs.size == 0 && w.spare(c) > 0 {
			c.unreserve(s)
			c.rotate(s, m)
			c.handOut(r, w)
			w.lone, s.loner = r, true
			return true
		}
		if best == nil || w.runs.size < best.runs.size {
			best = w // it is free soonest, as far as one can tell
		}
	}
	s.sought = r
	if s.reserved == nil && best != nil {
		s.reserved, best.reserved = best, s
	}
	return false
}

// rotate moves m to the end of its service's members, so that the next lone
// request looks at others first.
func (c *Core) rotate(s *service, m *member) {
	s.members.remove(m)
	s.members.pushBack(m)
}

func (c *Core) unreserve(s *service) {
	if w := s.reserved; w != nil {
		s.reserved, w.reserved, s.sought = nil, nil, nil
		c.regain(w)
	}
}

// handOut gives r to w as its next attempt.
func (c *Core) handOut(r *request, w *worker) {
	c.unplace(r)
	r.attempt++
	lease := c.lease(w)
	r.run = c.newRun()
	*r.run = run{w: w, before: r.handed, attempt: r.attempt, epoch: c.cfg.Epoch, lease: lease, seen: w.lists, at: c.now}
	r.enter(assigned)
	// An id that was forgotten and is asked for again counts its attempts anew:
	// what was taken of its earlier life says nothing of this one.
	delete(w.taken, r.fence())
	w.runs.pushBack(r)
	c.assigned++
	if w.legacy { // it says nothing when it starts
		r.run.started = true
		r.run.leaseAt = c.running() + lease
	}
	c.leaveParts(r)
	flags := r.flags&(protocol.AtMostOnce|protocol.Partial) | protocol.Flags(0).With(protocol.MaybeRerun, r.rerun)
	c.event(Event{What: EventHandedOut, ID: r.id, Service: r.svc.name, Worker: w.instance, Attempt: r.attempt, Took: c.now - r.accepted})
	if r.rerun {
		c.counters.MaybeReruns++
		c.event(Event{What: EventRerun, ID: r.id, Worker: w.instance, Attempt: r.attempt})
	}
	r.handed = true
	c.arm(r)
	r.run.seq = c.tell(w, protocol.Message{
		Command: protocol.Request, Flags: flags, ID: r.id, Number: r.attempt, Epoch: c.cfg.Epoch,
		RemainingMS: ms(r.deadline - c.now), LeaseMS: ms(lease), Digest: r.digest,
		Service: r.svc.wire, Meta: r.meta(), Body: c.content(r), Stream: protocol.Stream{Grant: r.grant},
		WaitedMS: uint32(min((c.now-r.queuedSince())/time.Millisecond, protocol.DurationMSMax)),
	})
	if r.unserved {
		c.sayAccepted(r, r.owner)
	}
}

// requeue puts a request that left its worker back at the front of its queue.
// rerun: it may have run there.
func (c *Core) requeue(r *request, rerun bool, why string) { c.requeueFrom(r, 0, rerun, why) }

// requeueFrom is requeue, and says which worker it was.
func (c *Core) requeueFrom(r *request, worker uint64, rerun bool, why string) {
	c.unplace(r)
	r.rerun = r.rerun || rerun
	if c.once(r) {
		return
	}
	c.counters.Requeued++
	c.event(Event{What: EventRequeued, ID: r.id, Service: r.svc.name, Worker: worker, Attempt: r.attempt, Reason: why})
	if c.takeRival(r) || c.leaveUnwanted(r) {
		return
	}
	if !r.hasBody {
		c.orphaned(r)
		return
	}
	c.queueAgain(r)
}

// queueAgain puts r back into its queue or, while another worker may still claim
// it, lets it wait.
func (c *Core) queueAgain(r *request) {
	if r.unclear && c.now < c.windowEnd {
		c.await(r)
		return
	}
	c.enqueueFront(r)
	c.arm(r)
}

// await lets r wait for a worker's claim until the recovery window ends.
func (c *Core) await(r *request) {
	r.enter(waiting)
	c.waiting.pushBack(r)
	c.arm(r)
}

// once ends an at-most-once request that may have been started before: it is
// never handed out a second time. It reports whether it did.
func (c *Core) once(r *request) bool {
	if !r.hasBody || !r.atMostOnce() || !r.handed {
		return false
	}
	c.finish(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
		text: "the worker that held it was lost, and it is at-most-once"})
	return true
}

// orphaned: nobody holds r any more, and its body never reached this broker.
func (c *Core) orphaned(r *request) {
	r.enter(orphan)
	r.special().again = c.now + claimLasts
	c.arm(r)
}
