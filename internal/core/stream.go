package core

import "github.com/privateer-mq/privateer/protocol"

// Replies in parts. A PRV1 worker and a PRV1 client settle between themselves
// what has come and what may be sent; the core hands on what belongs to the
// current attempt and its owner, and keeps nothing. Majordomo has neither
// numbers nor credit: for its clients the core grants, and what its workers make
// is put before the end, unless the client speaks MDP as well.

// legacyWindow is the grant of a client that cannot grant.
const legacyWindow = 16

// partial reports whether r's client takes parts.
func (r *request) partial() bool { return r.flags.Has(protocol.Partial) }

// part takes one part of a reply.
func (c *Core) part(w *worker, m *protocol.Message) {
	r := c.requests[m.ID]
	if r == nil || r.state != assigned || r.run.w != w || r.run.attempt != m.Number || r.run.epoch != m.Epoch {
		c.drop(DropLateReply, m.ID)
		return
	}
	c.progressed(r, 0)
	if r.run.parts = true; r.unwanted {
		c.letGo(r)
		return
	}
	rt, known := r.route(r.owner)
	if !known { // adopted, and nobody has asked here yet
		c.drop(DropLateReply, m.ID)
		return
	}
	to := rt.peer
	switch {
	case w.legacy && !(r.plain && r.partial()):
		r.special().torn = true
		c.keepPart(r, m)
		return
	case !r.partial():
		c.drop(DropUnasked, m.ID)
		return
	}
	c.counters.Parts++
	if w.legacy {
		r.special().torn = true
	}
	c.send(Front, to, protocol.Message{
		Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Partial.WithCertainty(protocol.Ran), ID: r.id, Number: rt.try,
		Epoch: c.cfg.Epoch, Instance: rt.instance, Attempt: m.Number, Stream: m.Stream, Meta: m.Meta, Body: m.Body,
	})
	if r.plain && !w.legacy { // it is taken to have come
		c.grant(r, protocol.Stream{Run: m.Stream.Run, Part: m.Stream.Part, Grant: m.Stream.Part + legacyWindow}, 0)
	}
}

// keepPart keeps one part of a legacy worker for the end. It reports false, and
// r is over, if there is too much.
func (c *Core) keepPart(r *request, m *protocol.Message) bool {
	cost := framesCost(m.Body)
	why := ""
	switch {
	case r.partBytes+cost-frameCost*int64(len(r.parts)+len(m.Body)) > c.cfg.MaxMessage: // of bodies
		why = "over this broker's limit of " + sizeText(c.cfg.MaxMessage) + " together"
	case len(r.parts)+len(m.Body) > protocol.FramesMax:
		why = "of more than " + itoa(protocol.FramesMax) + " frames together"
	case !c.roomFor(cost):
		why = "too large for what is left of this broker's " + sizeText(c.cfg.MaxQueueBytes)
	}
	if why != "" {
		c.finish(r, outcome{code: protocol.Failed, certainty: protocol.Ran, attempt: m.Number, text: "the parts of its reply are " + why})
		return false
	}
	s := r.special()
	s.parts = append(s.parts, cloneFrames(m.Body)...)
	s.partBytes += cost
	c.queueBytes += cost
	return true
}

// leaveParts drops what keepPart has kept.
func (c *Core) leaveParts(r *request) {
	if r.parts == nil && r.partBytes == 0 {
		return
	}
	c.queueBytes -= r.partBytes
	r.rare.parts, r.rare.partBytes = nil, 0
}

// credit hands a client's CREDIT to the worker that holds its request. Only the
// newest try of the owner has a say.
func (c *Core) credit(m *protocol.Message) {
	r := c.requests[m.ID]
	if r == nil || r.owner != m.Instance || !r.partial() {
		c.drop(DropStaleCredit, m.ID)
		return
	}
	if rt, known := r.route(m.Instance); !known || m.Number < rt.try {
		c.drop(DropStaleCredit, m.ID)
		return
	}
	if r.wantedUntil() != 0 || r.unwanted {
		r.unwanted = false
		rt, _ := r.route(m.Instance)
		rt.interest = c.interest(m)
		r.setRoute(rt)
		c.arm(r)
	}
	if r.state != assigned {
		c.drop(DropStaleCredit, m.ID)
		return
	}
	c.grant(r, m.Stream, m.Flags&protocol.MaybeSent)
}

// grant tells the worker of r what has come of its reply and what may be sent.
func (c *Core) grant(r *request, s protocol.Stream, again protocol.Flags) {
	w := r.run.w
	if w.legacy || (w.state != up && w.state != welcomed) {
		return // a new link sends again what has not come
	}
	c.tell(w, protocol.Message{Command: protocol.Credit, Flags: again, ID: r.id, Number: r.run.attempt, Epoch: c.cfg.Epoch, Stream: s})
}
