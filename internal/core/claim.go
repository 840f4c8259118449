package core

import "github.com/privateer-mq/privateer/protocol"

// claim compares one entry of w's list with what is known of its id.
func (c *Core) claim(w *worker, e *protocol.Entry) {
	f := fence{e.ID, e.Attempt, e.Epoch}
	if g, ok := w.ghosts[f]; ok {
		c.ghostListed(w, e, f, g)
		return
	}
	if _, ok := w.taken[f]; ok {
		c.takenListed(w, e, f)
		return
	}
	if fin := c.done.find(e.ID); fin != nil {
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
	case here && r.state == kept && e.State != protocol.IDOnly: // confirmed by takeKept
		if r.hasBody && !r.run.fetch {
			c.fetch(r)
		}
	case r.state == kept && !here && e.State >= protocol.Finished: // one keeper is enough
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
}

// takeKept, at READY: what w was thought to keep, and does not list, it has
// forgotten.
func (c *Core) takeKept(w *worker, entries []protocol.Entry) {
	if w.kept.size+w.fetching.size == 0 {
		return
	}
	for i := range entries {
		e := &entries[i]
		if r := c.requests[e.ID]; r != nil && r.state == kept && r.run.w == w && (e.State == protocol.Kept || e.State == protocol.Finished) {
			r.run.seen = w.lists + 1
		}
	}
	for _, l := range []*list[*request]{&w.kept, &w.fetching} {
		for r := l.head; r != nil; {
			next := r.home.next
			r.run.seq = 0
			if r.run.seen != w.lists+1 {
				c.keeperLost(r)
			}
			r = next
		}
	}
}

// keeperGone: w, which keeps replies, is lost or leaves.
func (c *Core) keeperGone(w *worker) {
	for w.kept.head != nil {
		c.keeperLost(w.kept.head)
	}
	for w.fetching.head != nil {
		c.keeperLost(w.fetching.head)
	}
}

// keeperLost: r ran, and the reply is out of reach.
func (c *Core) keeperLost(r *request) {
	c.unplace(r)
	if r.atMostOnce() {
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: "it ran, and the worker that kept its reply was lost"})
		return
	}
	c.requeue(r, true, "the worker that kept its reply was lost")
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

// claimFinished: the request is done here.
func (c *Core) claimFinished(w *worker, e *protocol.Entry, f fence, fin *finished) {
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
	deadline := c.now + fromMS(e.RemainingMS) - c.turnStop
	if e.State == protocol.IDOnly {
		if c.done.size() >= c.cfg.MaxIDs {
			c.drop(DropOverBound, e.ID)
		} else {
			c.remember(finished{id: e.ID, code: protocol.Gone, certainty: protocol.Ran, attempt: e.Attempt, deadline: deadline},
				protocol.ErrorMeta(goneText), nil)
		}
		return
	}
	if !c.roomForID() {
		c.drop(DropOverBound, e.ID) // its client's retry is told OVERLOADED
		return
	}
	if e.State == protocol.Kept { // its worker remembers it for a heartbeat beyond
		deadline = max(deadline, c.now+c.cfg.Heartbeat)
	}
	r := c.newRequest()
	r.id, r.svc, r.flags, r.digest = e.ID, &c.nowhere, e.Flags&protocol.AtMostOnce, e.Digest
	r.accepted, r.deadline, r.handed, r.rerun = c.now, deadline, true, true
	c.nowhere.open++
	c.admit(r)
	if e.State == protocol.Kept {
		c.keep(r, w, e)
		return
	}
	c.adopt(r, w, e)
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

// keep notes that w has finished r and keeps its reply; it is fetched as soon
// as a client asks.
func (c *Core) keep(r *request, w *worker, e *protocol.Entry) {
	c.stopOther(r, w)
	c.unplace(r)
	r.run = c.newRun()
	*r.run = run{w: w, before: true, attempt: e.Attempt, epoch: e.Epoch, seen: w.lists, adopted: true, at: c.now}
	r.handed = true
	r.attempt = max(r.attempt, e.Attempt)
	r.enter(kept)
	w.kept.pushBack(r)
	c.event(Event{What: EventKept, ID: r.id, Worker: w.instance, Attempt: e.Attempt})
	c.arm(r)
	if r.hasBody {
		c.fetch(r)
	}
}

// fetch asks the worker that has finished r for the reply it keeps. It needs
// no credit, and is never run. Without a link r stays kept: the next READY
// confirms it.
func (c *Core) fetch(r *request) {
	w := r.run.w
	if w.state != welcomed && w.state != up {
		return
	}
	if !r.run.fetch {
		w.kept.remove(r)
		w.fetching.pushBack(r)
	}
	r.attempt++
	r.run.attempt, r.run.epoch, r.run.fetch = r.attempt, c.cfg.Epoch, true
	c.counters.Fetches++
	r.run.seq = c.tell(w, protocol.Message{Command: protocol.Request, Flags: protocol.ReplayOnly | r.flags&protocol.AtMostOnce,
		ID: r.id, Number: r.attempt, Epoch: c.cfg.Epoch, RemainingMS: ms(r.deadline - c.now), Digest: r.digest,
		Service: r.svc.wire})
}
