package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// heartbeat takes a worker's heartbeat: its credit, and the list of what it
// holds. A heartbeat never means "ready for more": only credit does.
func (c *Core) heartbeat(w *worker, m *protocol.Message) {
	w.credit = int(m.Credit)
	w.draining = m.Flags.Has(protocol.Draining)
	c.takeList(w, m.Entries)
	if w.acksDue() {
		c.flushAcks(w)
	}
	c.regain(w)
}

// takeList reconciles what w says it holds with what this broker knows. What
// was sent with a number up to the list's acknowledgement, and is in no state
// on the list, never arrived: then, and only then, it is handed out again.
func (c *Core) takeList(w *worker, entries []protocol.Entry) {
	w.lists++
	c.claimAll(w, entries)
	c.endList(w)
}

// claimAll compares the entries of a list, or of a part of one, with what is known.
func (c *Core) claimAll(w *worker, entries []protocol.Entry) {
	for i := range entries {
		c.claim(w, &entries[i])
	}
}

// endList judges what a list, which is whole now, does not name.
func (c *Core) endList(w *worker) {
	for r := w.runs.tail; r != nil; {
		prev := r.home.prev
		if r.run.seen != w.lists && r.run.seq <= w.acked {
			c.counters.LostOnTheWay++
			c.drop(DropUnlisted, r.id)
			c.neverTaken(r)
		}
		r = prev
	}
	for r := w.fetching.head; r != nil; { // it answers at once: no answer, no hand-over
		next := r.home.next
		if r.run.seq <= w.acked {
			c.fetch(r)
		}
		r = next
	}
	for f, list := range w.taken { // any order: nothing is put out
		if list != w.lists {
			delete(w.taken, f)
		}
	}
	for f, g := range w.ghosts { // any order: nothing is put out
		if !g.listed && g.seq <= w.acked {
			delete(w.ghosts, f)
			continue
		}
		g.listed = false
		w.ghosts[f] = g
	}
}

// progress: the attempt has started, or gets on.
func (c *Core) progress(w *worker, m *protocol.Message) {
	r := c.requests[m.ID]
	if r == nil || r.run == nil || r.run.w != w || r.run.attempt != m.Number || r.run.epoch != m.Epoch || r.state != assigned {
		c.drop(DropLateReply, m.ID)
		return
	}
	c.progressed(r, 0)
}

// ago is what its worker says: a clock that has jumped there says more than there was.
func (c *Core) progressed(r *request, ago time.Duration) {
	ago = min(ago, c.now-r.run.at)
	if !r.run.started {
		r.run.started = true
		c.event(Event{What: EventStarted, ID: r.id, Worker: r.run.w.instance, Attempt: r.run.attempt})
	}
	if r.run.lease != 0 {
		r.run.leaseAt = max(r.run.leaseAt, c.running()-ago+r.run.lease)
		c.armSooner(r, c.due(r.run.leaseAt))
	}
}

// reply takes a worker's REPLY. It is acknowledged whatever it is worth, so
// that the worker need not keep it.
func (c *Core) reply(w *worker, m *protocol.Message) {
	c.withinLimits(m)
	if m.Flags.Has(protocol.Partial) {
		c.part(w, m)
		return
	}
	f := fence{m.ID, m.Number, m.Epoch}
	if _, ok := w.ghosts[f]; ok {
		delete(w.ghosts, f)
		c.regain(w)
	}
	c.wake(m.ID)
	r := c.requests[m.ID]
	if r == nil {
		c.lateReply(w, m, f)
		return
	}
	current := r.run != nil && r.run.w == w && r.run.attempt == m.Number && r.run.epoch == m.Epoch
	switch {
	case m.Epoch == c.cfg.Epoch && m.Number > r.attempt:
		c.ack(w, f, c.now, true)
		c.drop(DropUnknownRequest, m.ID)
	case !w.mayHold(r):
		c.ack(w, f, c.now, true)
		c.drop(DropOtherService, m.ID)
	case m.Code.Final() && m.Flags.Has(protocol.CtxCancelled) && m.Code != protocol.OK:
		c.ack(w, f, r.deadline, true) // a broker's own cancel is no outcome
		c.take(w, f)
		switch {
		case current && r.state == kept: // it came to an end, and what it brings is no outcome
			c.keeperLost(r)
		case current: // adopted: it was cancelled under an earlier broker
			c.unplace(r)
			c.requeue(r, true, "cancelled before")
		}
		c.drop(DropLateReply, m.ID)
	case m.Code == protocol.Gone && m.Flags.Has(protocol.CtxCancelled) && m.Epoch != c.cfg.Epoch && r.state != kept:
		// Withdrawn under an earlier broker: it ran, as an id-only entry would say.
		c.ack(w, f, r.deadline, false)
		c.stopOther(r, w)
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: goneText})
	case m.Code.Final() && !current && (m.Stream.Part > 0 || r.torn): // its parts are of another run
		c.ack(w, f, r.deadline, true)
		c.take(w, f)
		c.drop(DropLateReply, m.ID)
	case m.Code.Final():
		c.ack(w, f, r.deadline, false)
		if !current {
			c.rescue(r, w)
		}
		if len(r.parts) > 0 {
			if !c.keepPart(r, m) {
				return
			}
			m.Body = r.parts
		}
		c.stopOther(r, w)
		c.finish(r, outcome{code: m.Code, certainty: protocol.Ran, attempt: m.Number, stream: m.Stream, meta: m.Meta, body: m.Body})
	case !current:
		c.ack(w, f, r.deadline, true)
		c.take(w, f)
		c.drop(DropLateReply, m.ID)
	case r.state == kept && m.Code != protocol.Gone: // it was asked for the reply, or GONE
		c.ack(w, f, r.deadline, false)
		c.keeperLost(r)
	default:
		c.ack(w, f, r.deadline, false)
		c.take(w, f)
		c.notDone(r, w, m)
	}
}

// take notes that the reply of f was taken, and that its request goes on. A worker
// that is in its right mind has no more of them than a list has entries.
func (c *Core) take(w *worker, f fence) {
	if w.legacy {
		return
	}
	if w.taken == nil { // most workers never need one
		w.taken = map[fence]uint32{}
	}
	if _, known := w.taken[f]; !known && len(w.taken) >= protocol.EntriesMax {
		c.drop(DropOverBound, f.id)
		return
	}
	w.taken[f] = w.lists
}

// notDone: the worker answers that this attempt brought no outcome.
func (c *Core) notDone(r *request, w *worker, m *protocol.Message) {
	before := r.run.before
	started := m.Flags.Has(protocol.Started)
	if m.Code == protocol.Retry {
		c.countLoss(r)
	}
	c.unplace(r)
	switch m.Code {
	case protocol.Retry:
		c.again(r, w, m)
	case protocol.HandedBack:
		if started && r.hasBody && r.atMostOnce() {
			c.finish(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
				text: "its worker stopped before it had finished, and it is at-most-once"})
			return
		}
		if !started {
			r.handed = before
		}
		if !started && !w.draining && r.hasBody && !c.once(r) {
			// It would be handed back again at once: once per heartbeat is enough.
			c.restUntil(r, c.now+c.cfg.Heartbeat, "handed back")
			return
		}
		if c.requests[r.id] == r {
			c.requeue(r, started, "handed back")
		}
	case protocol.Expired:
		if !started && r.hasBody && r.deadline > c.now+c.cfg.Heartbeat {
			// It was handed out with the deadline of an earlier asker.
			r.handed = before
			if !c.once(r) {
				c.restUntil(r, c.now+c.cfg.Heartbeat, "handed out with a shorter deadline")
			}
			return
		}
		text := "the deadline passed before its handler was started"
		if started {
			text = "the deadline passed while its handler ran"
		}
		certainty := protocol.NotStarted
		if before || started {
			certainty = protocol.MaybeStarted
		}
		c.finish(r, outcome{code: protocol.Expired, certainty: certainty, text: text})
	case protocol.Gone:
		c.finish(r, outcome{code: protocol.Gone, certainty: protocol.Ran, text: goneText})
	}
}

// restUntil queues r again at that time.
func (c *Core) restUntil(r *request, at time.Duration, why string) {
	c.event(Event{What: EventRequeued, ID: r.id, Attempt: r.attempt, Reason: why})
	if c.takeRival(r) || c.leaveUnwanted(r) {
		return
	}
	c.enterBackoff(r, at)
}

// enterBackoff puts r into the state backoff: it is queued again at that time.
func (c *Core) enterBackoff(r *request, at time.Duration) {
	r.enter(backoff)
	r.svc.later.pushBack(r)
	r.special().again = at
	c.arm(r)
}

// again: the handler asked for a retry.
func (c *Core) again(r *request, w *worker, m *protocol.Message) {
	if r.losses() >= c.cfg.MaxAttempts || (r.hasBody && r.atMostOnce()) {
		o := outcome{code: protocol.Failed, certainty: protocol.Ran, retryable: true, attempt: m.Number, meta: m.Meta}
		if m.Meta.Get(protocol.MetaErrorText) == "" {
			o.meta, o.text = nil, "its handler asked for another attempt, and none is left"
		}
		c.giveUp(r, o)
		return
	}
	r.rerun = true
	c.counters.Retries++
	c.event(Event{What: EventRequeued, ID: r.id, Service: r.svc.name, Worker: w.instance, Attempt: m.Number, Reason: "handler asked for a retry"})
	if c.takeRival(r) || c.leaveUnwanted(r) {
		return
	}
	if !r.hasBody {
		c.orphaned(r)
		return
	}
	wait := min(retryFirst<<min(r.losses()-1, 10), retryLast)
	wait += time.Duration(mix(r.id, uint64(r.attempt)) % uint64(wait/2))
	c.enterBackoff(r, c.now+wait)
}

// rescue: a worker wrongly believed dead has finished after all, and nobody
// else has.
func (c *Core) rescue(r *request, w *worker) {
	c.counters.LateRepliesUsed++
	c.counters.FalseSuspicions++
	c.event(Event{What: EventRescued, ID: r.id, Worker: w.instance, Attempt: r.attempt})
}

// stopOther cancels the attempt of r that runs elsewhere than at w.
func (c *Core) stopOther(r *request, w *worker) {
	if r.run != nil && r.run.w != w {
		c.stopRun(r, protocol.ReasonSuperseded)
	}
}

// lateReply: the request is done or was never known here.
func (c *Core) lateReply(w *worker, m *protocol.Message, f fence) {
	fin := c.done.find(m.ID)
	switch {
	case fin != nil:
		// Superseded is what another attempt has finished. A run that no other
		// took the place of is remembered by its worker, for the next broker; and so
		// is one whose kept reply was asked for twice, under two numbers.
		c.ack(w, f, fin.deadline, fin.code.Final() && fin.attempt != f.attempt && !m.Flags.Has(protocol.FromKept))
		if fin.attempt != f.attempt || fin.code != m.Code {
			c.drop(DropLateReply, m.ID)
		}
	case w.legacy || m.Epoch == c.cfg.Epoch || !saysThatItRan(m): // nobody can ask for it
		c.ack(w, f, c.now, true)
		c.drop(DropUnknownRequest, m.ID)
	case !c.roomForID(): // the worker keeps it, and offers it again
		c.untaken = max(c.untaken, c.now+c.cfg.ReplayWindow)
		c.drop(DropOverBound, m.ID)
	case m.Code.Final(): // run under an earlier broker: kept for the client's retry
		deadline := c.now + c.cfg.ReplayWindow
		c.ack(w, f, deadline, false)
		c.remember(finished{id: m.ID, code: m.Code, certainty: protocol.Ran, attempt: m.Number,
			stream: m.Stream, deadline: deadline}, m.Meta, m.Body)
	default: // withdrawn under an earlier broker, and its READY found no room here
		deadline := c.now + c.cfg.ReplayWindow
		c.ack(w, f, deadline, false)
		c.remember(finished{id: m.ID, code: protocol.Gone, certainty: protocol.Ran, attempt: m.Number, deadline: deadline, bodyGone: true}, nil, nil)
	}
}

// saysThatItRan reports whether m, a reply to an earlier broker, is an outcome, or
// that of a run which that broker had withdrawn.
func saysThatItRan(m *protocol.Message) bool {
	if m.Flags.Has(protocol.CtxCancelled) {
		return m.Code == protocol.OK || m.Code == protocol.Gone
	}
	return m.Code.Final()
}

// ack notes that a reply needs no keeping; it goes out with the next heartbeat
// or in a batch. superseded: the worker may forget that it ever ran.
func (c *Core) ack(w *worker, f fence, deadline time.Duration, superseded bool) {
	if w.legacy || w.state == silent {
		return
	}
	w.acks = append(w.acks, protocol.Acked{ID: f.id, Attempt: f.attempt, Epoch: f.epoch,
		RemainingMS: ms(deadline - c.now), Superseded: superseded})
	if w.acksDue() {
		c.flushAcks(w)
	}
}

// acksDue reports whether what waits to be acknowledged is not to wait for a
// heartbeat: there is much of it, or its worker waits for it to leave, or has no room
// on its list for what it may be handed, and for what is finished there and not
// acknowledged.
func (w *worker) acksDue() bool {
	return len(w.acks) >= ackBatch || len(w.acks) > 0 && (w.draining || w.credit+len(w.acks) > protocol.EntriesMax)
}

func (c *Core) flushAcks(w *worker) {
	if w.state == up || w.state == welcomed {
		c.tell(w, protocol.Message{Command: protocol.Ack, Epoch: c.cfg.Epoch, Acks: c.takeAcks(w)})
	}
	if len(w.acks) >= protocol.EntriesMax { // the worker offers them again
		c.drop(DropOverBound, w.acks[0].ID)
		w.acks = w.acks[:0]
	}
}

// takeAcks hands over the waiting acknowledgements; they now belong to an Output.
func (c *Core) takeAcks(w *worker) []protocol.Acked {
	acks := w.acks
	w.acks = nil
	return acks
}

func sortWorkers(ws []*worker) {
	slices.SortFunc(ws, func(a, b *worker) int { return cmp.Compare(a.instance, b.instance) })
}
