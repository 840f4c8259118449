package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// workerDue sends the next heartbeat to w, or judges it.
func (c *Core) workerDue(w *worker) {
	if w.legacy {
		c.freeGhosts(w)
	}
	until := c.heardUntil[w.peer.Port]
	silence := until - w.heardAt
	switch {
	case c.leaving: // whoever is silent now has been told to go
	case c.now < c.judgeAfter:
	case silence >= c.patience(w):
		c.silence(w)
		return
	case w.suspectAt != 0 && c.running() >= w.probeAt:
		w.probeAt = c.running() + c.cfg.Heartbeat
		c.probeOne(w) // where it fails, undelivered takes the work back
	case w.state == up && w.seqOut > w.acked && until-w.unackedAt >= c.liveness():
		c.unacknowledged(w)
	}
	if c.now >= w.beatAt && (w.state == welcomed || w.state == up) {
		c.beat(w)
	}
	if c.workers[w.instance] == w {
		c.armWorker(w)
	}
}

func (c *Core) armWorker(w *worker) {
	at := c.due(w.heardAt + c.patience(w))
	if w.state == welcomed || w.state == up {
		at = min(at, w.beatAt)
	}
	if w.suspectAt != 0 {
		at = min(at, c.due(w.probeAt))
	}
	c.wheel.set(&w.timer, max(at, c.now+wheelTick)) // what is unread may be its
}

// beat sends a heartbeat, and with it the acknowledgements that wait.
func (c *Core) beat(w *worker) {
	w.beatAt = c.nextBeat()
	c.tell(w, protocol.Message{Command: protocol.Heartbeat, Epoch: c.cfg.Epoch, Acks: c.takeAcks(w),
		Flags: protocol.Flags(0).With(protocol.Draining, c.draining)})
}

// beatSoon lets the next heartbeats go out once what has come is read.
func (c *Core) beatSoon() {
	for _, w := range c.sorted(func(w *worker) bool { return !w.legacy && (w.state == up || w.state == welcomed) }) {
		w.beatAt = c.now + backlogTime
		c.armWorker(w)
	}
}

// nextBeat is a heartbeat from now at the latest, on a grid: many workers then
// cost few turns.
func (c *Core) nextBeat() time.Duration {
	grid := max(c.cfg.Heartbeat/8, wheelTick)
	return (c.now + c.cfg.Heartbeat) / grid * grid
}

// silence: nothing was heard of w for liveness. What it held is handed on.
func (c *Core) silence(w *worker) {
	if w.state == silent {
		c.forgetWorker(w)
		return
	}
	c.lose(w, "silent for "+c.patience(w).Round(time.Millisecond).String())
}

// lose takes everything back from w, and forgets it: it must say READY.
func (c *Core) lose(w *worker, why string) {
	c.counters.WorkersLost++
	c.event(Event{What: EventWorkerLost, Worker: w.instance, Info: w.info, Reason: why})
	c.takeBack(w, why)
	c.forgetWorker(w)
}

// takeBack charges w's requests with the loss and hands them on, in the order
// they had.
func (c *Core) takeBack(w *worker, why string) {
	w.going = true
	for w.runs.head != nil {
		c.charge(w.runs.head, w, why, true)
	}
	c.keeperGone(w)
}

// charge counts the loss of a worker against r, and hands r on or gives it up.
// alone: it may be to blame, and goes on alone.
func (c *Core) charge(r *request, w *worker, why string, alone bool) {
	c.countLoss(r)
	c.unplace(r)
	r.alone = r.alone || alone
	o := outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
		text: "its worker was lost (" + why + ") and no attempts are left"}
	switch {
	case r.hasBody && r.atMostOnce():
		o.text = "its worker was lost (" + why + "), and it is at-most-once"
		c.finish(r, o)
	case r.losses() >= c.cfg.MaxAttempts && r.hasBody:
		c.giveUp(r, o)
	default:
		c.requeueFrom(r, w.instance, true, "worker lost")
	}
}

// forgetWorker removes w, which holds nothing any more.
func (c *Core) forgetWorker(w *worker) {
	c.leaveUnread(w)
	c.setState(w, silent)
	c.wheel.clear(&w.timer)
	if s := w.reserved; s != nil {
		s.reserved, w.reserved, s.sought = nil, nil, nil
		c.dispatch(s)
	}
	c.stopServing(w, w.servings)
	w.servings = nil
	delete(c.workers, w.instance)
	if c.peers[w.peer.key()] == w {
		delete(c.peers, w.peer.key())
	}
}

// unacknowledged: w talks but does not hear. What is under way to it may have
// been taken or not, so it is handed on as maybe started, and nobody is
// charged.
func (c *Core) unacknowledged(w *worker) {
	c.resetLink(w, "the worker acknowledged nothing for "+c.liveness().String())
	for r := w.runs.tail; r != nil; {
		prev := r.home.prev
		if r.run.seq > w.acked {
			c.handOn(r, w)
		}
		r = prev
	}
}

// handOn: an attempt that may have started is taken back, through nobody's fault.
func (c *Core) handOn(r *request, w *worker) {
	c.makeGhost(w, r.fence(), ghost{seq: r.run.seq})
	c.unplace(r)
	if r.hasBody && r.atMostOnce() {
		c.finish(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
			text: "its worker could not be reached, and it is at-most-once"})
		return
	}
	c.requeue(r, true, "link reset")
}

// probeOne sends w something that costs nothing: a heartbeat or, where the link
// is broken and nothing may be numbered, the word to say READY.
func (c *Core) probeOne(w *worker) {
	switch w.state {
	case welcomed, up:
		c.beat(w)
	case gapped:
		c.disconnect(w.peer, w.link, protocol.ReasonReset, "say READY")
	}
}

// probeBusy sends a heartbeat to every worker that holds something, after a
// connection was lost: a dead one shows by the failing send.
func (c *Core) probeBusy() {
	for _, w := range c.sorted(func(w *worker) bool {
		return w.runs.size > 0 && (w.state == up || w.state == welcomed)
	}) {
		c.beat(w)
	}
}

// sorted collects some of the workers, in the order of their instances, into
// spareWorkers.
func (c *Core) sorted(which func(*worker) bool) []*worker {
	c.spareWorkers = c.spareWorkers[:0]
	for _, w := range c.workers {
		if which(w) {
			c.spareWorkers = append(c.spareWorkers, w)
		}
	}
	sortWorkers(c.spareWorkers)
	return c.spareWorkers
}

// undelivered: a message to a worker could not be sent, and its number was not
// used.
func (c *Core) undelivered(to Peer, m *protocol.Message, gone bool) {
	c.drop(map[bool]What{true: DropWorkerGone, false: DropWorkerFull}[gone], m.ID)
	w := c.peers[to.key()]
	if w == nil || m.Link != w.link {
		return
	}
	if m.Command == protocol.Disconnect { // outside the count; a probe, where the link is broken
		if w.state == gapped {
			c.suspect(w, gone)
		}
		return
	}
	if !w.legacy {
		w.seqOut = min(w.seqOut, m.Seq-1)
	}
	if r := c.requests[m.ID]; m.Command == protocol.Request && r != nil && r.run != nil && r.run.w == w && r.run.attempt == m.Number {
		c.neverTaken(r)
	}
	if m.Command == protocol.Welcome {
		c.setState(w, gapped) // it will say READY again when it hears nothing
	}
	c.suspect(w, gone)
}

// suspect: a message for w could not be sent: it is gone, or does not read. It
// gets nothing new until it is heard. Gone still after the grace, its
// at-least-once work is handed out; at-most-once work waits for the whole of
// liveness.
func (c *Core) suspect(w *worker, gone bool) {
	if c.leaving { // it was told to go
		return
	}
	now := max(c.running(), 1)
	if w.suspectAt == 0 {
		w.suspectAt, w.probeAt = now, now+grace
		c.event(Event{What: EventWorkerSuspect, Worker: w.instance, Info: w.info})
	}
	switch {
	case !gone:
		w.goneAt = 0
	case w.goneAt == 0:
		w.goneAt, w.probeAt = now, now+grace
	case now >= w.goneAt+grace && c.now >= c.judgeAfter:
		for r := w.runs.head; r != nil; {
			next := r.home.next
			if !r.atMostOnce() || !r.hasBody {
				c.charge(r, w, "its connection is gone", true)
			}
			r = next
		}
		if w.runs.size == 0 && w.kept.size+w.fetching.size == 0 && w.listing == nil {
			c.lose(w, "its connection is gone")
			return
		}
	}
	c.armWorker(w)
}

// neverTaken: r's hand-over did not reach its worker. It costs no attempt.
func (c *Core) neverTaken(r *request) {
	if r.state == kept {
		r.run.seq = 0 // asked for again with the worker's next list
		return
	}
	r.handed = r.run.before
	c.unplace(r)
	c.requeue(r, false, "never taken")
}

// leave: the worker says good-bye. What it does not list as finished it has
// handed back before; the rest is handed on at once.
func (c *Core) leave(w *worker, m *protocol.Message) {
	c.event(Event{What: EventWorkerLeft, Worker: w.instance, Info: w.info})
	w.going = true
	clear(w.ghosts)
	if !w.legacy { // which has no list
		c.takeList(w, m.Entries)
	}
	for w.runs.tail != nil {
		r := w.runs.tail
		c.unplace(r)
		if r.hasBody && r.atMostOnce() {
			c.finish(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
				text: "its worker stopped before it had finished, and it is at-most-once"})
			continue
		}
		c.requeue(r, true, "worker left")
	}
	c.keeperGone(w)
	if acks := c.takeAcks(w); len(acks) > 0 {
		c.tell(w, protocol.Message{Command: protocol.Ack, Epoch: c.cfg.Epoch, Acks: acks})
	}
	if !w.legacy { // RFC 7: no further commands
		c.disconnect(w.peer, w.link, protocol.ReasonShutdown, "")
	}
	c.forgetWorker(w)
}

// windowDue ends the recovery window: what still waits for a claim is decided.
func (c *Core) windowDue() {
	if c.now < max(c.windowEnd, c.judgeAfter) {
		c.wheel.set(&c.window, max(c.windowEnd, c.judgeAfter))
		return
	}
	c.event(Event{What: EventWindowOver})
	for c.waiting.head != nil {
		r := c.waiting.head
		c.unplace(r)
		if r.atMostOnce() {
			c.finish(r, outcome{code: protocol.Unknown, certainty: protocol.MaybeStarted,
				text: "it may have been sent to an earlier broker, and no worker has claimed it"})
			continue
		}
		if c.now < c.untaken {
			o := c.untakenOutcome(r.id)
			c.event(Event{What: EventRefused, ID: r.id, Service: r.svc.name, Code: o.code, Reason: o.text})
			c.answerAll(r, o)
			c.abandon(r)
			continue
		}
		r.rerun = true
		c.enqueueBack(r)
		c.arm(r)
	}
}

// makeGhost keeps in mind that w may still be busy with f.
func (c *Core) makeGhost(w *worker, f fence, g ghost) {
	if w.legacy && g.until <= c.running() || c.workers[w.instance] != w {
		return
	}
	if w.ghosts == nil { // most workers never have one
		w.ghosts = map[fence]ghost{}
	}
	w.ghosts[f] = g
}

// stopRun cancels the attempt under way, if there is one, and takes r from its
// worker.
func (c *Core) stopRun(r *request, reason protocol.Code) {
	if r.run != nil && r.state == assigned {
		w, f := r.run.w, r.fence()
		c.makeGhost(w, f, ghost{seq: r.run.seq, cancel: reason, until: r.run.leaseAt})
		c.sendCancel(w, f, reason)
	}
	c.unplace(r)
}

func (c *Core) sendCancel(w *worker, f fence, reason protocol.Code) {
	if w.legacy || (w.state != up && w.state != welcomed) {
		return // PPP has no cancel; a lost link hears of it from its list
	}
	c.tell(w, protocol.Message{Command: protocol.Cancel, Code: reason, ID: f.id, Number: f.attempt, Epoch: f.epoch})
}

// unassign takes r from its worker, whose slot is free unless a ghost is left.
func (c *Core) unassign(r *request) {
	w := r.run.w
	switch {
	case r.state == assigned:
		w.runs.remove(r)
		c.assigned--
	case r.run.fetch:
		w.fetching.remove(r)
	default:
		w.kept.remove(r)
	}
	if w.lone == r {
		w.lone = nil
	}
	r.unclear = r.unclear || r.run.adopted && c.now < c.windowEnd
	c.freeRun(r.run)
	r.run = nil
	c.regain(w)
}
