package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// finished is what is remembered of a request that has its outcome: the id
// until its deadline and a heartbeat, so that no try of it that is still on
// the way can start it again; after that, up to the replay window, while there
// is room. The body goes earlier where the bodies together are too large.
type finished struct {
	home   link[*finished] // in replays, while its body is kept
	linger lingerer
	timer  timer

	id        protocol.ID
	code      protocol.Code
	certainty protocol.Certainty
	retryable bool
	bodyGone  bool
	attempt   uint32
	digest    uint64 // 0: not known
	deadline  time.Duration
	until     time.Duration // end of the replay window
	size      int64
	stream    protocol.Stream
	meta      protocol.Meta
	body      [][]byte
}

func (f *finished) hook() *link[*finished] { return &f.home }

// A lingerer is a finished request's place among those past their deadline.
type lingerer struct {
	link link[*lingerer]
	f    *finished
}

func (l *lingerer) hook() *link[*lingerer] { return &l.link }

// finish gives r its one outcome: every instance that asked hears it, at its
// newest route.
func (c *Core) finish(r *request, o outcome) {
	c.unplace(r)
	r.enter(done)
	c.wheel.clear(&r.timer)
	delete(c.requests, r.id)
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
	plain := r.plain
	f := finished{id: r.id, code: o.code, certainty: o.certainty, retryable: o.retryable, attempt: o.attempt,
		digest: r.digest, deadline: r.deadline + r.doubt, stream: o.stream}
	c.freeRequest(r)
	if plain {
		return // nobody can ask for it again
	}
	if o.meta == nil {
		o.meta = protocol.ErrorMeta(o.text)
	}
	f.meta = o.meta
	c.remember(&f, o.body)
}

// answerAll sends an outcome to all routes of r.
func (c *Core) answerAll(r *request, o outcome) {
	if r.first.try == 0 {
		return // nobody has asked here
	}
	c.answer(r.id, r.first, o)
	for _, rt := range r.others {
		c.answer(r.id, rt, o)
	}
}

// remember puts f into the table of finished ids.
func (c *Core) remember(f *finished, body [][]byte) {
	f.timer.owner, f.linger.f = f, f
	f.until = c.now + c.cfg.ReplayWindow
	c.finished[f.id] = f
	f.size = bodyBytes(body)
	switch {
	case f.size > c.cfg.ReplayBytes:
		f.bodyGone = true
		c.drop(DropReplayBody, f.id)
	case f.size > 0:
		f.body = body
		c.replayBytes += f.size
		c.replays.pushBack(f)
	default:
		f.body = body
	}
	for c.replayBytes > c.cfg.ReplayBytes {
		c.dropBody(c.replays.head)
		c.drop(DropReplayBody, c.lastDropped)
	}
	c.wheel.set(&f.timer, f.deadline+c.cfg.Heartbeat)
	c.trimLingering()
}

func (c *Core) dropBody(f *finished) {
	if !f.home.on {
		return
	}
	c.replays.remove(f)
	c.replayBytes -= f.size
	f.body, f.bodyGone = nil, true
	c.lastDropped = f.id
}

// finishedDue: the deadline has passed; what is left is a courtesy.
func (c *Core) finishedDue(f *finished) {
	if c.now >= f.until || f.linger.link.on {
		c.forget(f)
		return
	}
	c.lingering.pushBack(&f.linger)
	c.wheel.set(&f.timer, f.until)
	c.trimLingering()
}

// trimLingering keeps half of the table free for ids that must be remembered.
func (c *Core) trimLingering() {
	for len(c.finished) > c.cfg.MaxIDs/2 && c.lingering.head != nil {
		c.forget(c.lingering.head.f)
	}
}

func (c *Core) forget(f *finished) {
	c.dropBody(f)
	if f.linger.link.on {
		c.lingering.remove(&f.linger)
	}
	c.wheel.clear(&f.timer)
	delete(c.finished, f.id)
}

// roomForID reports whether one more id can be remembered. Ids that must be
// are never evicted for it.
func (c *Core) roomForID() bool {
	return len(c.finished)+len(c.requests) < c.cfg.MaxIDs
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
			if f.linger.link.on {
				c.lingering.remove(&f.linger)
			}
			c.wheel.set(&f.timer, f.deadline+c.cfg.Heartbeat)
		}
	}
	c.counters.Replayed++
	c.event(Event{What: EventReplayed, ID: f.id, Attempt: f.attempt, Code: f.code})
	if f.bodyGone {
		c.answer(f.id, here, outcome{code: protocol.Gone, certainty: f.certainty, attempt: f.attempt,
			text: goneText})
		return
	}
	c.answer(f.id, here, outcome{code: f.code, certainty: f.certainty, retryable: f.retryable,
		attempt: f.attempt, stream: f.stream, meta: f.meta, body: f.body})
}
