package core

import (
	"bytes"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Workers that do not speak PRV1: PPP and MDP. They have no lists, so what they
// hold is known from what they were given; no acknowledgements, so what they
// were sent is taken to have arrived; and no CANCEL.

// fromLegacy takes anything but a READY.
func (c *Core) fromLegacy(from Peer, m *protocol.Message, w *worker) {
	switch {
	case w == nil:
		c.fromStranger(from, m)
	case m.Command == protocol.Disconnect:
		c.leave(w, m)
	case m.Command == protocol.Reply:
		c.heard(w)
		if !w.beatsBusy {
			w.beatSeen = 0 // the next gap has work in it
		}
		c.reply(w, m)
	default:
		c.learn(w)
		c.heard(w)
	}
}

// fromStranger: a worker that is not registered here, or was lost. It is told
// to say READY, as far as its dialect has a word for that.
func (c *Core) fromStranger(from Peer, m *protocol.Message) {
	switch {
	case m.Command == protocol.Disconnect:
		return
	case m.Command == protocol.Reply && m.Epoch == c.cfg.Epoch && !m.Flags.Has(protocol.Partial):
		// Back with a reply: the address it returns proves that it was asked.
		c.withinLimits(m)
		if r := c.requests[m.ID]; r != nil && m.Number <= r.attempt && !r.torn {
			c.rescue(r, &worker{})
			c.stopRun(r, protocol.ReasonSuperseded)
			c.finish(r, outcome{code: m.Code, certainty: protocol.Ran, attempt: m.Number, meta: m.Meta, body: m.Body})
		} else {
			c.drop(DropLateReply, m.ID)
		}
	default:
		c.drop(DropUnknownWorker, m.ID)
	}
	c.disconnect(from, 0, protocol.ReasonUnknown, "this broker does not know the worker: say READY")
}

// learn takes the rhythm of w from its heartbeat. Nothing tells a broker how
// often such a worker means to send one, and many send none while they work.
func (c *Core) learn(w *worker) {
	now := max(c.running(), 1)
	if r := w.runs.head; r != nil && c.now-r.run.at > c.cfg.Heartbeat {
		w.beatsBusy = true
	}
	switch {
	case w.runs.size > 0 && !w.beatsBusy: // it may have crossed the hand-over
		w.beatSeen = 0
		return
	case w.beatSeen != 0:
		gap := min(now-w.beatSeen, rhythmMax*c.cfg.Heartbeat)
		w.rhythm = max(gap, w.rhythm-(w.rhythm-gap)/8) // quick to be patient, slow to be strict
	}
	w.beatSeen = now
}

// patience is how long w may be silent before it is lost. For a legacy worker
// that is liveness in its own rhythm, if that is slower than this broker's.
// While one works that has never sent a heartbeat at work, silence says nothing:
// only the end of its connection or lease does.
func (c *Core) patience(w *worker) time.Duration {
	switch {
	case !w.legacy:
		return c.liveness()
	case w.runs.size+len(w.ghosts) > 0 && !w.beatsBusy:
		return max(c.liveness(), c.lease(w)+c.cfg.Heartbeat)
	case w.rhythm == 0:
		return c.liveness() + rhythmMax*c.cfg.Heartbeat
	}
	return max(c.liveness(), w.rhythm*time.Duration(c.cfg.Liveness))
}

// freeGhosts: what w was told nothing of, for there is no CANCEL for it, is over with
// its lease at the latest.
func (c *Core) freeGhosts(w *worker) {
	for f, g := range w.ghosts { // any order: nothing is put out
		if g.until <= c.running() {
			delete(w.ghosts, f)
			c.regain(w)
		}
	}
}

// lease is what an attempt at w may take without progress; 0: until the
// deadline.
func (c *Core) lease(w *worker) time.Duration {
	if w.legacy && c.cfg.Lease == 0 {
		return legacyLease
	}
	return c.cfg.Lease
}

// Unfit says that msg, an earlier Output, is a REQUEST which the dialect of its
// worker has no form for: it was not sent. It is INVALID for the reason why, as
// certain as it was before this hand-over.
func (c *Core) Unfit(now time.Duration, to Peer, msg *protocol.Message, why string, out []Output) []Output {
	c.begin(now, out)
	r, w := c.requests[msg.ID], c.peers[to.key()]
	if r != nil && w != nil && r.state == assigned && r.run.w == w && r.run.attempt == msg.Number {
		r.handed = r.run.before
		c.unplace(r)
		c.finish(r, outcome{code: protocol.Invalid, certainty: r.certainty(), text: why})
	}
	return c.end()
}

// The Majordomo Management Interface, RFC 8: services that the broker answers
// itself, for clients of any dialect.
var (
	mmiPrefix  = []byte("mmi.")
	mmiService = "mmi.service"
)

func isMMI(service []byte) bool { return bytes.HasPrefix(service, mmiPrefix) }

// mmi answers: 200 or 404, whether a live worker serves the service that the
// body names; 501 for everything else.
func (c *Core) mmi(from Peer, m *protocol.Message) {
	code := "501"
	if string(m.Service) == mmiService && len(m.Body) == 1 {
		code = "404"
		if s := c.services[string(m.Body[0])]; s != nil && s.live > 0 {
			code = "200"
		}
	}
	c.answer(m.ID, route{instance: m.Instance, try: m.Number, peer: from},
		outcome{code: protocol.OK, certainty: protocol.Ran, body: [][]byte{[]byte(code)}})
}
