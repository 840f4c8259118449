package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A DeadLetter is a request that was given up: too many of its workers were
// lost, or its handler asked for too many retries.
type DeadLetter struct {
	ID      protocol.ID
	Service string
	Code    protocol.Code // of the outcome its client got
	Reason  string
	Body    [][]byte
	Attempt uint32
	Workers []uint64 // instances it was lost with, oldest first
	At      time.Duration

	meta     protocol.Meta
	flags    protocol.Flags
	priority uint8
}

type deadLetter struct {
	home node[*deadLetter]
	DeadLetter
	size int64 // that it takes
}

func (d *deadLetter) hook() *node[*deadLetter] { return &d.home }

// giveUp finishes r and keeps it for a look, a requeue or a drop; but not if there is
// nothing to queue again: it is known from a worker's claim only.
func (c *Core) giveUp(r *request, o outcome) {
	if !r.hasBody {
		c.finish(r, o)
		return
	}
	text := o.text
	if text == "" {
		text = o.meta.Get(protocol.MetaErrorText)
	}
	d := &deadLetter{DeadLetter: DeadLetter{ID: r.id, Service: r.svc.name, Code: o.code, Reason: text, Body: cloneFrames(c.content(r)),
		Attempt: r.attempt, Workers: r.lostWorkers(), At: c.now, meta: append(protocol.Meta(nil), r.meta()...), flags: r.flags, priority: r.priority}}
	if r.body != nil { // the dead letter's now
		r.rare.body = nil
	}
	d.size = deadLetterCost(&d.DeadLetter)
	c.counters.DeadLettered++
	c.event(Event{What: EventDeadLetter, ID: r.id, Service: r.svc.name, Attempt: r.attempt, Code: o.code, Reason: text})
	c.keepDead(d)
	c.finish(r, o)
}

// keepDead keeps d, and lets the oldest go that there is no room for beside it; or d
// alone, where it takes more than all may.
func (c *Core) keepDead(d *deadLetter) {
	if d.size > c.cfg.MaxDeadBytes {
		c.drop(DropDeadLetter, d.ID)
		return
	}
	c.dead.pushBack(d)
	c.deadBytes += d.size
	for c.dead.size > c.cfg.MaxDead || c.deadBytes > c.cfg.MaxDeadBytes {
		c.drop(DropDeadLetter, c.dead.head.ID)
		c.removeDead(c.dead.head)
	}
}

func (c *Core) removeDead(d *deadLetter) {
	c.dead.remove(d)
	c.deadBytes -= d.size
}

func (c *Core) findDead(id protocol.ID) *deadLetter {
	for d := c.dead.head; d != nil; d = d.home.next {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// DeadLetters lists the dead letters, oldest first.
func (c *Core) DeadLetters() []DeadLetter {
	var all []DeadLetter
	for d := c.dead.head; d != nil; d = d.home.next {
		all = append(all, d.DeadLetter)
	}
	return all
}

// DropDead forgets a dead letter. It reports whether there was one.
func (c *Core) DropDead(id protocol.ID) bool {
	d := c.findDead(id)
	if d != nil {
		c.removeDead(d)
	}
	return d != nil
}

// RequeueDead queues a dead letter again, as the new request fresh, for no
// client: its outcome is kept for whoever asks by that id. It reports whether
// there was one, there was room, and this broker takes anything new.
func (c *Core) RequeueDead(now time.Duration, id, fresh protocol.ID, out []Output) ([]Output, bool) {
	c.begin(now, out)
	d := c.findDead(id)
	if d == nil || c.draining {
		return c.end(), false
	}
	cost := requestCost + contentCost(d.Body, d.meta)
	if !c.roomForBody(cost) || !c.roomForID() {
		return c.end(), false
	}
	s := c.service([]byte(d.Service))
	if s == nil {
		return c.end(), false
	}
	c.removeDead(d)
	r := c.newRequest()
	r.id, r.svc, r.flags, r.priority, r.rerun = fresh, s, d.flags&^protocol.Partial, d.priority, true
	// A copy, also of large frames: whoever has listed the dead letter may read
	// them still when r is done and its memory is used again.
	body := make([][]byte, len(d.Body))
	for i, f := range d.Body {
		body[i] = append([]byte{}, f...)
	}
	r.setContent(body, d.meta)
	r.hasBody = true
	r.accepted, r.deadline = c.now, c.now+c.cfg.DefaultDeadline
	r.digest = protocol.Digest(fresh, s.wire, r.flags, d.Body)
	s.open++
	c.count(r, cost)
	c.bodies++
	c.admit(r)
	c.counters.Accepted++
	c.event(Event{What: EventAccepted, ID: fresh, Service: s.name, Reason: "requeued dead letter"})
	c.enqueueBack(r)
	c.arm(r)
	return c.end(), true
}
