package clientcore

import (
	"cmp"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A withdrawal is a CANCEL to one broker, sent up to three times until it is
// answered. It outlives its call.
type withdrawal struct {
	ask
	timer
	id     protocol.ID
	try    uint32 // the newest one that this broker was sent
	broker int
	round  int
	call   *call // nil once it is complete

	deadline time.Duration // of the request
}

type withdrawalKey struct {
	id     protocol.ID
	broker int
}

// Withdraw ends the call with that key: its caller no longer waits. The
// outcome follows at once where nothing can have been started, and within 250
// ms otherwise, but not later than without it. A call that is complete, or withdrawn, is left alone.
func (m *Machine) Withdraw(key uint64, out []Output) []Output {
	now := m.now
	c := m.calls[key]
	if c == nil || c.phase == withdrawing {
		return out
	}
	c.pulled = true
	if !c.out {
		out = m.release(&c.ask, false, out)
	}
	if len(c.open) == 0 {
		return m.complete(c, c.cancelled(), out)
	}
	c.phase = withdrawing
	m.timers.arm(&c.timer, min(now+CancelWait, max(m.limit(c), now)))
	out = m.withdrawAll(now, c, out)
	if c.pending == 0 && m.calls[key] == c {
		return m.complete(c, c.cancelled(), out)
	}
	return out
}

// withdrawAll sends a CANCEL to every broker that has a try of c open.
func (m *Machine) withdrawAll(now time.Duration, c *call, out []Output) []Output {
	for i := range m.brokers {
		if !slices.ContainsFunc(c.open, func(t try) bool { return t.broker == i }) {
			continue
		}
		key := withdrawalKey{c.ID, i}
		if m.withdrawals[key] != nil {
			continue
		}
		if len(m.withdrawals) >= m.cfg.CallsMax*2 {
			out = append(out, Output{Kind: Drop, Reason: CancelsFull, Broker: i, Key: c.Key, ID: c.ID})
			continue
		}
		w := &withdrawal{id: c.ID, try: c.asked[i], broker: i, call: c, deadline: c.Deadline}
		w.ask.withdrawal, w.timer.owner = w, w
		m.withdrawals[key] = w
		c.pending++
		out = m.cancel(now, w, out)
	}
	return out
}

// cancel sends w: over REQ on a fresh link.
func (m *Machine) cancel(now time.Duration, w *withdrawal, out []Output) []Output {
	w.round++
	m.timers.arm(&w.timer, now+CancelWait)
	return m.attach(now, &w.ask, protocol.Cancel, w.broker, true, out)
}

// cancelUnanswered: 250 ms went by.
func (m *Machine) cancelUnanswered(now time.Duration, w *withdrawal, out []Output) []Output {
	out = m.release(&w.ask, false, out)
	return m.cancelAgain(now, w, out)
}

// cancelAgain sends w once more, or gives up.
func (m *Machine) cancelAgain(now time.Duration, w *withdrawal, out []Output) []Output {
	if w.round < cancelRounds && !m.closed {
		return m.cancel(now, w, out)
	}
	out = append(out, Output{Kind: Drop, Reason: NotAnswered, Broker: w.broker, ID: w.id, Try: w.try})
	return m.cancelAnswered(w, out)
}

// cancelAnswered ends w.
func (m *Machine) cancelAnswered(w *withdrawal, out []Output) []Output {
	out = m.release(&w.ask, false, out)
	m.timers.disarm(&w.timer)
	delete(m.withdrawals, withdrawalKey{w.id, w.broker})
	if w.call != nil {
		w.call.pending--
	}
	return out
}

// settle takes an answer to a withdrawn call. That it ran is the outcome;
// anything else is when every broker has answered.
func (m *Machine) settle(c *call, o Outcome, refused bool, out []Output) []Output {
	if !refused && (c.verdict == nil || o.Certainty > c.verdict.Certainty) {
		c.verdict = &o
	}
	if o.Certainty == protocol.Ran || c.pending <= 0 {
		return m.complete(c, c.cancelled(), out)
	}
	return out
}

// Close ends every call at once. For those that may have been started one
// CANCEL is sent; the machine is Settled when they are answered, 250 ms later
// at the latest.
func (m *Machine) Close(out []Output) []Output {
	now := m.now
	m.closed = true
	open := make([]*call, 0, len(m.calls))
	for _, c := range m.calls {
		open = append(open, c)
	}
	slices.SortFunc(open, func(a, b *call) int { return cmp.Compare(a.seq, b.seq) })
	for _, c := range open {
		out = m.release(&c.ask, false, out)
		out = m.withdrawAll(now, c, out)
		out = m.complete(c, Outcome{Code: protocol.Cancelled, Certainty: protocol.NotStarted, Closed: true,
			Text: "the client was closed"}, out)
	}
	for i := range m.brokers {
		for _, l := range slices.Clone(m.brokers[i].idle) {
			out = m.shut(l, out)
		}
	}
	return out
}
