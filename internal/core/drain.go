package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Drain begins the end: nothing new is taken, what is held goes on.
func (c *Core) Drain(now time.Duration, out []Output) []Output {
	c.begin(now, out)
	if !c.draining {
		c.draining = true
		c.event(Event{What: EventDraining})
	}
	return c.end()
}

// Idle reports whether no request is open for a client that waits here.
func (c *Core) Idle() bool {
	for id := range c.requests { // any order: the answer does not depend on it
		if r := c.requests[id]; r.hasBody {
			return false
		}
	}
	return true
}

// Leave ends the broker: what was never handed out is answered DRAINING, which
// its client may ask elsewhere; what a worker holds is its to keep, for the
// next start. The workers are told.
func (c *Core) Leave(now time.Duration, out []Output) []Output {
	c.begin(now, out)
	c.leaving = true
	for _, r := range c.open() {
		if r.state == queued && !r.handed && r.try != 0 {
			c.answerAll(r, outcome{code: protocol.DrainingNow, certainty: protocol.NotStarted, retryAfter: c.cfg.Heartbeat,
				text: "this broker is shutting down; ask another, or again when it is back"})
			c.abandon(r)
		}
	}
	for _, w := range c.sorted(func(*worker) bool { return true }) {
		if acks := c.takeAcks(w); len(acks) > 0 && !w.legacy {
			c.tell(w, protocol.Message{Command: protocol.Ack, Epoch: c.cfg.Epoch, Acks: acks})
		}
		c.disconnect(w.peer, w.link, protocol.ReasonShutdown, "")
	}
	return c.end()
}

// abandon removes r without an outcome: it was answered DRAINING, which is not
// recorded under its id.
func (c *Core) abandon(r *request) {
	c.unplace(r)
	r.enter(done)
	c.wheel.clear(&r.timer)
	c.dismiss(r)
	r.svc.open--
	c.leaveBody(r)
	c.sweepService(r.svc)
	c.freeRequest(r)
}
