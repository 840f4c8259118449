package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// cancel takes a client's CANCEL. It counts only from the instance that owns
// the id; it is always answered, for the client repeats it until then.
func (c *Core) cancel(from Peer, m *protocol.Message) {
	c.counters.Cancels++
	here := route{instance: m.Instance, try: m.Number, peer: from}
	if f := c.done.find(m.ID); f != nil && f.keeper == 0 {
		c.replay(f, from, m)
		return
	}
	c.bury(m)
	r := c.requests[m.ID]
	if r == nil || r.owner != m.Instance {
		if r != nil || c.done.find(m.ID) != nil {
			c.drop(DropForeignCancel, m.ID)
		}
		c.answer(m.ID, here, outcome{code: protocol.Cancelled, certainty: protocol.MaybeStarted, text: "withdrawn by its client"})
		return
	}
	if _, known := r.route(m.Instance); known {
		r.setRoute(here)
	}
	c.withdraw(r, "withdrawn by its client")
}

// A tomb remembers a CANCEL until the deadline it named, so that a REQUEST
// which it has overtaken starts nothing, and a claim of its id is cancelled.
type tomb struct {
	id       protocol.ID
	instance uint64
	try      uint32
	until    time.Duration
	timer    timer
}

func (t *tomb) covers(instance uint64, try uint32) bool {
	return t.instance == instance && try <= t.try
}

func (c *Core) bury(m *protocol.Message) {
	t := c.tombs[m.ID]
	switch {
	case t != nil && t.instance == m.Instance:
		t.try = max(t.try, m.Number)
	case t != nil:
		t.instance, t.try = m.Instance, m.Number
	case len(c.tombs) >= c.cfg.MaxQueue:
		c.drop(DropTombstone, m.ID)
		return
	default:
		t = &tomb{id: m.ID, instance: m.Instance, try: m.Number}
		t.timer.owner = t
		c.tombs[m.ID] = t
	}
	left := fromMS(m.RemainingMS)
	if left == 0 {
		left = c.cfg.DefaultDeadline
	}
	if until := c.now + left + c.cfg.Heartbeat; until > t.until { // never shorter than another CANCEL has said
		t.until = until
		c.wheel.set(&t.timer, until)
	}
}

func (c *Core) tombDue(t *tomb) { delete(c.tombs, t.id) }
