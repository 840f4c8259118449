package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// claim compares one entry of w's list with what is known of its id.
func (c *Core) claim(w *worker, e *protocol.Entry) {
	f := fence{e.ID, e.Attempt, e.Epoch}
	if g, ok := w.ghosts[f]; ok && !g.noRoom {
		c.ghostListed(w, e, f, g)
		return
	} else if ok {
		delete(w.ghosts, f)
	}
	if _, ok := w.taken[f]; ok {
		c.takenListed(w, e, f)
		return
	}
	if fin := c.done.find(e.ID); fin != nil && (fin.keeper == 0 || c.claimKept(w, e, fin)) {
		c.claimFinished(w, e, f, fin)
		return
	}
	if c.tombs[e.ID] != nil && c.requests[e.ID] == nil && e.State <= protocol.Running {
		c.unwanted(w, e, f, protocol.ReasonWithdrawn)
		return
	}
	r := c.requests[e.ID]
	here := r != nil && r.run != nil && r.run.w == w
	switch {
	case r == nil:
		c.adoptUnknown(w, e)
	case e.Epoch == c.cfg.Epoch && e.Attempt > r.attempt: // never handed out
		c.drop(DropUnknownRequest, e.ID)
	case !w.mayHold(r):
		c.unwanted(w, e, f, protocol.ReasonSuperseded)
		c.drop(DropOtherService, e.ID)
	case here && r.state == kept && e.State != protocol.IDOnly:
		if e.State >= protocol.Finished {
			r.run.seen = w.lists
		}
		if r.hasBody && !r.run.fetch {
			c.fetch(r)
		}
	case r.state == kept && !here && e.State >= protocol.Kept: // one keeper is enough, as long as it is there
		s := r.special()
		s.second, s.secondRun, s.secondKept = w, f, e.State == protocol.Kept
	case r.state == kept && !here && e.State == protocol.Finished: // its REPLY is on the way
	case e.State == protocol.Kept:
		c.keep(r, w, e)
	case e.State == protocol.IDOnly:
		c.stopOther(r, w)
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: goneText})
	case here:
		c.confirm(r, e)
	case r.run == nil && !e.Flags.Has(protocol.CtxCancelled):
		c.adopt(r, w, e)
	case r.run != nil && r.run.over && r.state == assigned && !e.Flags.Has(protocol.CtxCancelled):
		old, oldFence := r.run.w, r.fence()
		c.adopt(r, w, e)
		c.makeGhost(old, oldFence, ghost{listed: true})
	case e.State == protocol.Finished: // its REPLY is on the way: the first one counts
	default:
		c.rival(r, w, e, f)
	}
}

const goneText = "it ran, but its reply is no longer kept"

// rival: w is busy with r, which another worker holds as well. One that runs
// may finish first; one that has not started need not.
func (c *Core) rival(r *request, w *worker, e *protocol.Entry, f fence) {
	if e.State == protocol.Running && r.state == assigned {
		c.makeGhost(w, f, ghost{listed: true})
		s := r.special()
		s.rival, s.rivalRun = w, f
		return
	}
	c.unwanted(w, e, f, protocol.ReasonSuperseded)
}

// takeRival: the attempt that counted is over, and r is to be handed out again.
// If another one still runs, that is it. It reports whether there is one.
func (c *Core) takeRival(r *request) bool {
	w, f := r.rival, r.rivalRun
	if w == nil {
		return false
	}
	r.rare.rival = nil
	if c.workers[w.instance] != w || w.going {
		return false
	}
	if g, ok := w.ghosts[f]; !ok || g.cancel != 0 {
		return false
	}
	c.adopt(r, w, &protocol.Entry{ID: r.id, Attempt: f.attempt, Epoch: f.epoch, State: protocol.Running})
	return true
}

// confirm: w lists what it was given, perhaps still under the fence of an
// earlier hand-over to it: an id that runs is never started again, but takes
// the new fence when the new hand-over reaches it.
func (c *Core) confirm(r *request, e *protocol.Entry) {
	r.run.seen = r.run.w.lists
	if r.run.seq <= r.run.w.acked {
		r.run.attempt, r.run.epoch = e.Attempt, e.Epoch
		delete(r.run.w.ghosts, r.fence())
	}
	if e.State == protocol.Running && r.run.attempt == e.Attempt {
		c.progressed(r, fromMS(e.ProgressMS))
	}
	if e.Flags.Has(protocol.Partial) && c.unasked(r) {
		w, f := r.run.w, r.fence()
		c.stopRun(r, protocol.ReasonLease)
		c.makeGhost(w, f, ghost{cancel: protocol.ReasonLease, listed: true}) // by the list that is being read
		c.requeue(r, true, "nobody has asked for the parts of its reply")
	}
}

// unasked reports whether nobody has asked for r, which was taken up from a
// list, for as long as a client may need to come back. Such a run may go on, but
// not wait for its client: there may be none.
func (c *Core) unasked(r *request) bool {
	return r.try == 0 && c.now >= max(r.run.at+c.cfg.RecoveryWindow, c.windowEnd, c.judgeAfter)
}

// ghostListed: w is still busy with an attempt that is of no use, or has
// finished one whose reply will come.
func (c *Core) ghostListed(w *worker, e *protocol.Entry, f fence, g ghost) {
	r := c.requests[e.ID]
	if r == nil && g.cancel == 0 { // another attempt has finished since
		g.cancel = protocol.ReasonSuperseded
	}
	if r != nil && r.run == nil && !e.Flags.Has(protocol.CtxCancelled) && g.cancel == 0 {
		delete(w.ghosts, f)
		c.adopt(r, w, e)
		return
	}
	if e.State > protocol.Running {
		delete(w.ghosts, f)
		return
	}
	g.listed = true
	w.ghosts[f] = g
	if g.cancel != 0 {
		c.sendCancel(w, f, g.cancel) // a lost CANCEL is repeated
	}
}

// claimFinished: the request is done here, or at another worker, or this one.
func (c *Core) claimFinished(w *worker, e *protocol.Entry, f fence, fin *finished) {
	if fin.keeper != 0 || e.State > protocol.Finished {
		return
	}
	if e.State == protocol.Finished {
		if fin.attempt == f.attempt { // its reply was taken; the acknowledgement was lost
			c.ack(w, f, fin.deadline, false)
		} // otherwise its REPLY comes first, and is answered
		return
	}
	reason := protocol.ReasonSuperseded
	switch fin.code {
	case protocol.Cancelled:
		reason = protocol.ReasonWithdrawn
	case protocol.Expired:
		reason = protocol.ReasonExpired
	}
	c.unwanted(w, e, f, reason)
}

// takenListed: the reply of this attempt was taken, and ended nothing: RETRY,
// HANDED_BACK. The entry claims nothing, and its acknowledgement was lost.
func (c *Core) takenListed(w *worker, e *protocol.Entry, f fence) {
	w.taken[f] = w.lists
	if e.State <= protocol.Running { // answered, and its handler has not returned
		c.makeGhost(w, f, ghost{listed: true})
		return
	}
	c.ack(w, f, c.now, true)
}

// unwanted: w holds what is of no use here. It is told so, and again with each
// list that still has it.
func (c *Core) unwanted(w *worker, e *protocol.Entry, f fence, reason protocol.Code) {
	if e.State > protocol.Running {
		return
	}
	c.makeGhost(w, f, ghost{cancel: reason, listed: true})
	c.sendCancel(w, f, reason)
}

// adoptUnknown: w holds, or has finished, what this broker has never heard of:
// it was handed out by an earlier one.
func (c *Core) adoptUnknown(w *worker, e *protocol.Entry) {
	if e.Epoch == c.cfg.Epoch { // ours, and forgotten: its time is over, or it was a legacy client's
		f := fence{e.ID, e.Attempt, e.Epoch}
		switch {
		case e.State <= protocol.Running:
			c.unwanted(w, e, f, protocol.ReasonExpired)
		case e.State == protocol.Finished: // what its reply was worth is settled
			c.ack(w, f, c.now, true)
		}
		return
	}
	deadline := c.claimedUntil(e)
	if !c.roomForID() || e.State <= protocol.Finished && !c.roomForClaim() {
		c.noRoom(w, e, deadline)
		return
	}
	switch e.State {
	case protocol.IDOnly:
		c.remember(finished{id: e.ID, code: protocol.Gone, certainty: protocol.Ran, attempt: e.Attempt, deadline: deadline, bodyGone: true}, nil, nil)
	case protocol.Kept:
		c.note(w, e, deadline)
	default:
		c.adopt(c.claimed(e.ID, e.Flags, e.Digest, deadline), w, e)
	}
}

// claimedUntil is the deadline of a request that a worker lists.
func (c *Core) claimedUntil(e *protocol.Entry) time.Duration {
	deadline := c.now + fromMS(e.RemainingMS) - c.turnStop
	if most := c.cfg.MaxDeadline; most > 0 {
		deadline = min(deadline, c.now+most)
	}
	if e.State == protocol.Kept { // its worker remembers it for a heartbeat beyond
		deadline = max(deadline, c.now+c.cfg.Heartbeat)
	}
	return deadline
}

// claimed makes a request of what is known from a worker's list only.
func (c *Core) claimed(id protocol.ID, flags protocol.Flags, digest uint64, deadline time.Duration) *request {
	r := c.newRequest()
	r.id, r.svc, r.flags, r.digest = id, &c.nowhere, flags&protocol.AtMostOnce, digest
	r.accepted, r.deadline, r.handed, r.rerun = c.now, deadline, true, true
	c.goOn(r)
	c.nowhere.open++
	c.admit(r)
	return r
}

// roomForClaim reports whether one more request may be known without its body.
// There were no more of them with an earlier broker than its queue could hold.
func (c *Core) roomForClaim() bool { return len(c.requests)-c.bodies < c.cfg.MaxQueue }

// untakenOutcome is what noRoom is for.
func (c *Core) untakenOutcome(id protocol.ID) outcome {
	return outcome{code: protocol.Overloaded, certainty: protocol.MaybeStarted, retryAfter: c.retryAfter(id),
		text: UntakenText}
}

// UntakenText says why a request that may have been sent to an earlier broker is not
// taken, or no longer.
const UntakenText = "this broker has no room for all that its workers have run for an earlier one, and this may be among it"

// noRoom: what w lists cannot be taken up. Until its deadline nobody who asks for
// what may have been sent to an earlier broker can be sure that it does not run,
// or has not run: he is told OVERLOADED.
func (c *Core) noRoom(w *worker, e *protocol.Entry, deadline time.Duration) {
	c.drop(DropOverBound, e.ID)
	c.untaken = max(c.untaken, deadline+c.cfg.Heartbeat)
	w.untaken++
	if e.State <= protocol.Running { // it takes a slot all the same
		c.makeGhost(w, fence{e.ID, e.Attempt, e.Epoch}, ghost{listed: true, noRoom: true})
	}
}

// adopt makes w the worker of r, which is queued or waits here.
func (c *Core) adopt(r *request, w *worker, e *protocol.Entry) {
	c.unplace(r)
	c.counters.Adopted++
	r.run = c.newRun()
	*r.run = run{w: w, before: true, attempt: e.Attempt, epoch: e.Epoch, seen: w.lists, adopted: true, at: c.now,
		over: e.Flags.Has(protocol.CtxCancelled)}
	r.handed = true
	r.attempt = max(r.attempt, e.Attempt)
	r.enter(assigned)
	w.runs.pushBack(r)
	c.assigned++
	delete(w.ghosts, r.fence())
	c.event(Event{What: EventAdopted, ID: r.id, Worker: w.instance, Attempt: e.Attempt})
	if e.State == protocol.Running {
		c.progressed(r, fromMS(e.ProgressMS))
	}
	c.arm(r)
}
