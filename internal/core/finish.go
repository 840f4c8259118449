package core

import (
	"time"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// finish gives r its one outcome: every instance that asked hears it, at its
// newest route.
func (c *Core) finish(r *request, o outcome) {
	if o.code == protocol.WorkerLost { // nobody has answered: the last one that might have
		o.attempt = r.attempt
	}
	c.unplace(r)
	r.enter(done)
	c.wheel.clear(&r.timer)
	c.dismiss(r)
	r.svc.open--
	c.leaveBody(r)
	c.sweepService(r.svc)
	c.counters.Outcomes[o.code]++
	why := o.text
	if why == "" && o.code != protocol.OK {
		why = o.meta.Get(protocol.MetaErrorText)
	}
	c.event(Event{What: EventFinished, ID: r.id, Service: r.svc.name, Attempt: o.attempt, Code: o.code, Took: c.now - r.accepted, Reason: why})
	c.answerAll(r, o)
	if r.plain { // nobody can ask for it again
		c.spend(o.body)
	} else {
		if o.meta == nil {
			o.meta = protocol.ErrorMeta(o.text)
		}
		c.remember(finished{id: r.id, code: o.code, certainty: o.certainty, retryable: o.retryable, attempt: o.attempt,
			digest: r.digest, deadline: r.deadline + max(r.doubt, r.aged), stream: o.stream}, o.meta, o.body)
	}
	c.freeRequest(r)
}

// answerAll sends an outcome to all routes of r.
func (c *Core) answerAll(r *request, o outcome) {
	if r.try == 0 {
		return // nobody has asked here
	}
	c.answer(r.id, r.first(), o)
	for _, rt := range r.others {
		c.answer(r.id, rt, o)
	}
}

// remember puts f into the ledger, with its reply.
func (c *Core) remember(f finished, meta protocol.Meta, body [][]byte) {
	f.until = c.now + c.cfg.ReplayWindow
	l := &c.done
	x := l.add(f)
	if l.kept.cost(meta, body) > c.cfg.ReplayBytes {
		c.replyGone(x, bodyBytes(body) > 0)
		c.spend(body)
	} else {
		l.kept.put(l, x, meta, body)
		c.replayBytes += l.kept.takes(x)
	}
	// A page counts whole: one reply that is kept for long must not keep the
	// memory of thousands that are not.
	for l.kept.oldest != 0 && (c.replayBytes > c.cfg.ReplayBytes || l.kept.pages.Bytes() > c.cfg.ReplayBytes+replaySlack) {
		c.dropReply(l.get(l.kept.oldest))
	}
	c.expect(&l.must, x, x.deadline+c.cfg.Heartbeat)
	c.trimLingering()
}

// replaySlack: pages that are begun, and those whose replies end in disorder.
const replaySlack = 16 * flat.PageBytes

// dropReply makes room.
func (c *Core) dropReply(f *finished) {
	c.replayBytes -= c.done.kept.takes(f)
	c.replyGone(f, f.bodied)
	c.spend(c.done.kept.drop(&c.done, f))
}

// replyGone: there is no room for the reply of f. An error without a body only loses
// its text.
func (c *Core) replyGone(f *finished, bodied bool) {
	if bodied || f.code == protocol.OK {
		f.bodyGone = true
		c.drop(DropReplayBody, f.id)
	}
}

// expect notes in k that something is due for f.
func (c *Core) expect(k *calendar, f *finished, due time.Duration) {
	f.lingers = k == &c.done.may
	k.put(&c.done, f, c.now, due)
	if at, ok := k.next(); ok && (c.ledger.slot == nil || uint64(at/wheelTick) < c.ledger.due) {
		c.wheel.set(&c.ledger, at)
	}
}

// ledgerDue: the deadlines of some have passed; what is left of those is a
// courtesy. Others have had it.
func (c *Core) ledgerDue() {
	l := &c.done
	for f := l.must.due(l, c.now); f != nil; f = l.must.due(l, c.now) {
		switch due := f.deadline + c.cfg.Heartbeat; {
		case due > c.now: // it moved meanwhile, or was too far away
			c.expect(&l.must, f, due)
		case c.now >= f.until:
			c.forget(f)
		default:
			c.expect(&l.may, f, f.until)
		}
	}
	c.trimLingering()
	for f := l.may.due(l, c.now); f != nil; f = l.may.due(l, c.now) {
		if c.now >= f.until {
			c.forget(f)
		} else {
			c.expect(&l.may, f, f.until)
		}
	}
	for _, k := range []*calendar{&l.must, &l.may} {
		if at, ok := k.next(); ok && (c.ledger.slot == nil || uint64(at/wheelTick) < c.ledger.due) {
			c.wheel.set(&c.ledger, at)
		}
	}
}

// trimLingering keeps half of the table free for ids that must be remembered.
func (c *Core) trimLingering() {
	l := &c.done
	for l.size() > c.cfg.MaxIDs/2 && l.may.size > 0 {
		r, _ := l.may.first()
		f := l.get(r)
		l.may.remove(l, f)
		c.forget(f)
	}
}

// forget removes f, which is in no calendar.
func (c *Core) forget(f *finished) {
	if f.keeper != 0 {
		c.delist(f)
	}
	c.replayBytes -= c.done.kept.takes(f)
	c.spend(c.done.kept.drop(&c.done, f))
	c.done.remove(f)
}

// roomForID reports whether one more id can be remembered. Ids that must be
// are never evicted for it.
func (c *Core) roomForID() bool {
	return c.done.size()+len(c.requests) < c.cfg.MaxIDs
}

// replay answers a retry, or a late CANCEL, of a finished request.
func (c *Core) replay(f *finished, from Peer, m *protocol.Message) {
	here := route{instance: m.Instance, try: m.Number, peer: from}
	if m.Command == protocol.Request {
		if f.digest != 0 && f.digest != protocol.Digest(m.ID, m.Service, m.Flags, m.Body) {
			c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.NotStarted,
				text: "this id was seen before with another service, body, at-most-once or partial flag"})
			return
		}
		if deadline := c.now + fromMS(m.RemainingMS); deadline > f.deadline {
			f.deadline = deadline // wanted for longer: it must be remembered again
			if f.lingers {
				c.done.may.remove(&c.done, f)
				c.expect(&c.done.must, f, f.deadline+c.cfg.Heartbeat)
			}
		}
	}
	c.counters.Replayed++
	c.event(Event{What: EventReplayed, ID: f.id, Attempt: f.attempt, Code: f.code})
	if f.bodyGone {
		c.answer(f.id, here, outcome{code: protocol.Gone, certainty: f.certainty, attempt: f.attempt,
			text: goneText})
		return
	}
	meta, body := c.done.kept.get(f)
	c.answer(f.id, here, outcome{code: f.code, certainty: f.certainty, retryable: f.retryable,
		attempt: f.attempt, stream: f.stream, meta: meta, body: body})
}
