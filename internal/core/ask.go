package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// outcome is what becomes of a request.
type outcome struct {
	code       protocol.Code
	certainty  protocol.Certainty
	retryable  bool
	attempt    uint32
	retryAfter time.Duration
	stream     protocol.Stream // of a reply in parts
	text       string
	meta       protocol.Meta // instead of text
	body       [][]byte
}

// retryable codes: asking again, under a new id, may well succeed.
var retryableCode = map[protocol.Code]bool{
	protocol.Timeout: true, protocol.Expired: true, protocol.WorkerLost: true, protocol.NoService: true,
	protocol.Overloaded: true, protocol.DrainingNow: true, protocol.Unknown: true,
}

// pong answers a PING.
func (c *Core) pong(from Peer, m *protocol.Message) {
	c.send(Front, from, protocol.Message{
		Command: protocol.Pong, Epoch: c.cfg.Epoch, Instance: m.Instance, SentMS: m.SentMS, Number: m.Number,
		Flags: protocol.Flags(0).With(protocol.Draining, c.draining), Limits: c.limits(), Intervals: c.intervals(),
	})
}

func (c *Core) intervals() *protocol.Intervals {
	return &protocol.Intervals{HeartbeatMS: ms(c.cfg.Heartbeat), Liveness: uint32(c.cfg.Liveness),
		ReconnectMaxMS: ms(c.cfg.ReconnectMax), RetentionMS: ms(c.cfg.Retention)}
}

func (c *Core) limits() *protocol.Limits {
	return &protocol.Limits{MessageBytesMax: uint64(c.cfg.MaxMessage), FramesMax: protocol.FramesMax}
}

// answer sends an outcome to one route.
func (c *Core) answer(id protocol.ID, rt route, o outcome) {
	meta := o.meta
	if meta == nil {
		meta = protocol.ErrorMeta(o.text)
	}
	flags := protocol.Flags(0).WithCertainty(o.certainty).With(protocol.Retryable, o.retryable || retryableCode[o.code])
	c.send(Front, rt.peer, protocol.Message{
		Command: protocol.Reply, Code: o.code, Flags: flags, ID: id, Number: rt.try, Epoch: c.cfg.Epoch,
		Instance: rt.instance, Attempt: o.attempt, RetryAfterMS: ms(o.retryAfter), Stream: o.stream, Meta: meta, Body: o.body,
	})
}

// refuse answers a REQUEST that does not become one. Nothing is recorded.
func (c *Core) refuse(from Peer, m *protocol.Message, o outcome) {
	c.counters.Refused[o.code]++
	c.event(Event{What: EventRefused, ID: m.ID, Service: string(m.Service), Code: o.code, Reason: o.text})
	c.answer(m.ID, route{instance: m.Instance, try: m.Number, peer: from}, o)
}

// malformed: see Malformed.
func (c *Core) malformed(side Side, from Peer, m *protocol.Message, err error) {
	c.drop(DropMalformed, m.ID)
	c.event(Event{What: EventProtocol, ID: m.ID, Reason: err.Error()})
	reason := protocol.ReasonInvalid
	if e, ok := err.(*protocol.Error); ok && e.Kind == protocol.ErrVersion { //nolint:errorlint // Parse returns it bare
		reason = protocol.ReasonVersion
	}
	switch {
	case side == Back && from.legacy() && from.Envelope == nil: // in no state to be answered
	case side == Back && reason == protocol.ReasonInvalid && namesAttempt(from, m):
		refuseReply(m, "the reply of its worker was refused: "+err.Error())
		c.fromWorker(from, m)
	case side == Back:
		c.disconnect(from, m.Link, reason, err.Error())
		if w := c.peers[from.key()]; w != nil && from.legacy() { // it is to start anew
			c.lose(w, "it broke the protocol")
		}
	case from.Envelope != nil:
		c.answer(m.ID, route{instance: m.Instance, try: m.Number, peer: from},
			outcome{code: protocol.Invalid, certainty: protocol.NotStarted, text: err.Error()})
	}
}

// ask takes a REQUEST: a retry joins what is known of its id, anything else is
// a first sending, as far as this broker can tell.
func (c *Core) ask(from Peer, m *protocol.Message) {
	c.counters.Asked++
	if len(m.Service) == 0 {
		m.Service = []byte(c.cfg.DefaultService)
	}
	if isMMI(m.Service) {
		c.mmi(from, m)
		return
	}
	if size := bodyBytes(m.Body); size > c.cfg.MaxMessage {
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.NotStarted,
			text: "body is " + sizeText(size) + ", over this broker's limit of " + sizeText(c.cfg.MaxMessage)})
		return
	}
	if from.legacy() {
		m.RemainingMS = ms(c.cfg.DefaultDeadline)
	}
	if far := fromMS(m.RemainingMS); c.cfg.MaxDeadline > 0 && far > c.cfg.MaxDeadline {
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.NotStarted,
			text: "its deadline is " + far.String() + " away, over this broker's limit of " + c.cfg.MaxDeadline.String()})
		return
	}
	if c.wake(m.ID) {
		m.Flags, m.Epoch = m.Flags|protocol.MaybeSent, 0
	}
	if f := c.done.find(m.ID); f != nil {
		c.replay(f, from, m)
		return
	}
	if t := c.tombs[m.ID]; t != nil && t.covers(m.Instance, m.Number) {
		c.drop(DropCancelledTry, m.ID)
		c.answer(m.ID, route{instance: m.Instance, try: m.Number, peer: from}, outcome{
			code: protocol.Cancelled, certainty: protocol.MaybeStarted, text: "withdrawn by its client before"})
		return
	}
	if r := c.requests[m.ID]; r != nil {
		c.join(r, from, m)
		return
	}
	c.first(from, m)
}

// first takes an id that is not known here.
func (c *Core) first(from Peer, m *protocol.Message) {
	rerun := false
	content := requestCost + contentCost(m.Body, m.Meta)
	cost := content + firstCost(&from)
	mayHaveRun := m.Flags.Has(protocol.MaybeSent) && m.Epoch != c.cfg.Epoch
	remaining := c.left(m)
	certainty := protocol.NotStarted
	if m.Flags.Has(protocol.MaybeSent) { // it may have run, and be forgotten: that is done once its deadline is over
		certainty = protocol.MaybeStarted
	}
	switch {
	case remaining <= 0:
		c.refuse(from, m, outcome{code: protocol.Expired, certainty: certainty, text: "its deadline had passed when it arrived"})
		return
	case c.draining:
		c.refuse(from, m, outcome{code: protocol.DrainingNow, certainty: protocol.NotStarted, retryAfter: c.cfg.Heartbeat,
			text: "this broker is shutting down; ask another, or again when it is back"})
		return
	case cost > c.cfg.MaxQueueBytes: // however empty the queue is
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: certainty,
			text: "it takes " + sizeText(cost) + " here, over this broker's limit of " + sizeText(c.cfg.MaxQueueBytes) + " for all requests"})
		return
	case !c.roomForBody(cost), !c.roomForID():
		c.refuse(from, m, c.overloaded(m, cost, protocol.NotStarted))
		return
	}
	if mayHaveRun && c.windowEnd <= c.now && c.now < c.untaken && !m.Flags.Has(protocol.AtMostOnce) {
		c.refuse(from, m, c.untakenOutcome(m.ID))
		return
	}
	s := c.service(m.Service)
	if s == nil {
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.NotStarted,
			text: c.tooManyNames()})
		return
	}
	if m.Flags.Has(protocol.NoWait) && s.live == 0 && !mayHaveRun {
		c.refuse(from, m, outcome{code: protocol.NoService, certainty: protocol.NotStarted,
			text: "no live worker serves " + s.name})
		c.sweepService(s)
		return
	}
	if mayHaveRun && c.windowEnd <= c.now {
		rerun = true
	}
	r := c.newRequest()
	r.id, r.svc, r.flags = m.ID, s, m.Flags&(protocol.AtMostOnce|protocol.Finish|protocol.Partial)
	r.plain, r.rerun, r.handed = from.legacy(), rerun, mayHaveRun
	r.accepted, r.deadline = c.now, c.now+remaining
	c.goOn(r)
	s.open++
	r.room(from, m)
	c.takeBody(r, m, content)
	c.hear(r, from, m)
	c.admit(r)
	c.counters.Accepted++
	c.event(Event{What: EventAccepted, ID: r.id, Service: s.name, Behind: s.queuedRequests()})
	c.accepted(r, m)
	switch {
	case r.rerun && r.atMostOnce():
		c.finish(r, outcome{code: protocol.Unknown, certainty: protocol.MaybeStarted,
			text: "it may have been sent to an earlier broker, and no worker has claimed it"})
		return
	case mayHaveRun && !rerun:
		c.await(r)
	default:
		c.enqueueBack(r)
		c.arm(r)
	}
}

// takeBody gives r its content, from its first REQUEST or the first retry
// after a restart. cost is what that takes.
func (c *Core) takeBody(r *request, m *protocol.Message, cost int64) {
	r.hasBody = true
	r.setContent(m.Body, m.Meta)
	r.priority = uint8(m.Code)
	if m.Stream.Grant != r.grant {
		r.special().grant = m.Stream.Grant
	}
	r.digest = protocol.Digest(m.ID, m.Service, m.Flags, m.Body)
	c.count(r, cost)
	c.bodies++
}

// leaveBody is the end of what takeBody and hear have begun.
func (c *Core) leaveBody(r *request) {
	if r.hasBody {
		c.bodies--
	}
	c.count(r, -int64(r.size))
	c.leaveParts(r)
}

func (c *Core) overloaded(m *protocol.Message, cost int64, certainty protocol.Certainty) outcome {
	return outcome{code: protocol.Overloaded, certainty: certainty, retryAfter: c.retryAfter(m.ID), text: c.overloadText(cost)}
}

// accepted tells a client that can take more that its request is in hand: of a
// first sending once it takes a while, for most are answered sooner, and where no
// live worker serves it at once.
func (c *Core) accepted(r *request, m *protocol.Message) {
	if r.accept = m.Flags.Has(protocol.CanTakeMore); r.accept && (r.svc.live == 0 || c.now > r.accepted) {
		c.sayAccepted(r, m.Instance)
	}
}

func (c *Core) sayAccepted(r *request, instance uint64) {
	r.accept = false
	if rt, known := r.route(instance); known {
		c.send(Front, rt.peer, protocol.Message{Command: protocol.Accepted, ID: r.id, Number: rt.try,
			Epoch: c.cfg.Epoch, Instance: rt.instance, Served: c.served(r)})
	}
}

// hear notes who asks for r: its route, who owns the id, until when it is
// wanted. It reports false for a try that a later one of the same client has
// overtaken.
func (c *Core) hear(r *request, from Peer, m *protocol.Message) bool {
	if rt, known := r.route(m.Instance); known && m.Number < rt.try {
		return false
	}
	rt := route{instance: m.Instance, try: m.Number, peer: from, interest: c.interest(m)}
	before := r.routesCost()
	if r.setRoute(rt) {
		c.drop(DropOverBound, r.id)
	}
	c.count(r, r.routesCost()-before)
	r.owner = m.Instance
	r.flags = r.flags.With(protocol.Finish, m.Flags.Has(protocol.Finish))
	r.unwanted = false
	if deadline := c.now + c.left(m); deadline >= r.deadline {
		r.deadline = deadline
		aged := c.aged
		if aged < agedMin {
			aged = 0
		}
		if r.doubt != c.unsure || r.aged != aged {
			s := r.special()
			s.doubt, s.aged = c.unsure, aged
		}
	}
	return true
}

// interest is until when the sender of m waits if it does not ask again; 0: until the
// deadline.
func (c *Core) interest(m *protocol.Message) time.Duration {
	if m.InterestMS == 0 {
		return 0
	}
	return c.running() + fromMS(m.InterestMS)
}

// join: the id is open here already.
func (c *Core) join(r *request, from Peer, m *protocol.Message) {
	digest := protocol.Digest(m.ID, m.Service, m.Flags, m.Body)
	if (r.digest != 0 && r.digest != digest) || (r.hasBody && string(m.Service) != r.svc.name) {
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.NotStarted,
			text: "this id was seen before with another service, body, at-most-once or partial flag"})
		return
	}
	if more := r.growth(m.Instance, &from); more > 0 && !c.roomFor(more) {
		c.refuse(from, m, c.overloaded(m, more, protocol.MaybeStarted))
		return
	}
	c.counters.Joined++
	if !c.hear(r, from, m) {
		c.drop(DropStaleTry, r.id)
		return
	}
	c.event(Event{What: EventJoined, ID: r.id, Attempt: r.attempt})
	c.accepted(r, m)
	if !r.hasBody && !c.bringBody(r, from, m) {
		return
	}
	c.arm(r)
}

// bringBody: a retry brings the body of a request that was known from a
// worker's claim only. It reports false when that ended the request.
func (c *Core) bringBody(r *request, from Peer, m *protocol.Message) bool {
	cost := requestCost + contentCost(m.Body, m.Meta)
	if !c.roomForBody(cost) {
		c.refuse(from, m, c.overloaded(m, cost, protocol.MaybeStarted))
		return false
	}
	s := c.service(m.Service)
	if s == nil {
		c.refuse(from, m, outcome{code: protocol.Invalid, certainty: protocol.MaybeStarted,
			text: c.tooManyNames()})
		return false
	}
	r.svc.open--
	c.sweepService(r.svc)
	r.svc = s
	s.open++
	r.flags = r.flags.With(protocol.AtMostOnce, m.Flags.Has(protocol.AtMostOnce)).With(protocol.Partial, m.Flags.Has(protocol.Partial))
	r.room(from, m)
	c.takeBody(r, m, cost)
	switch {
	case r.state == orphan && r.atMostOnce():
		c.finish(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted, text: "the worker that held it was lost"})
		return false
	case r.state == orphan && r.losses() >= c.cfg.MaxAttempts:
		c.giveUp(r, outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted,
			text: "its workers were lost, and no attempts are left"})
		return false
	case r.state == orphan:
		c.requeue(r, true, "its body is here")
	case r.state == kept && !r.run.fetch:
		c.fetch(r)
	}
	return true
}

// retryAfter spreads refused clients over half a second and more.
func (c *Core) retryAfter(id protocol.ID) time.Duration {
	return overloadWait + time.Duration(mix(id, 0)%uint64(overloadWait))
}

func (c *Core) overloadText(cost int64) string {
	switch {
	case c.bodies >= c.cfg.MaxQueue:
		return "the broker's queue is full: " + itoa(c.cfg.MaxQueue) + " requests"
	case !c.roomForID():
		return "the broker's table of finished ids is full: " + itoa(c.cfg.MaxIDs)
	}
	return "the broker's queue is full: " + sizeText(cost) + " more than fit into " + sizeText(c.cfg.MaxQueueBytes)
}
